"""A real server that conducts itself: its call is held open over TLS, news goes out at once, and it ends in order."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from tests.integration.server.test_server_process import ServerProcess

from brakeline.cells.model import HELD_S_MAX

SOON_S = 60.0


def asked_ms(server: ServerProcess) -> int:
    link = json.loads(server.get("/api/v1/cells")[2])["link"]
    assert link["trouble"] == ""
    return int(link["asked_ms"])


def settled(server: ServerProcess) -> int:
    """When the call went out that is held open now: no other followed for longer than a round."""
    deadline, last = time.monotonic() + SOON_S, 0
    while time.monotonic() < deadline:
        seen = asked_ms(server)
        if seen and seen == last:
            return seen
        last = seen
        time.sleep(HELD_S_MAX / 2)
    raise AssertionError("its calls are not held open")


@pytest.mark.long
def test_a_call_is_held_open_until_there_is_news_and_nobody_s_end_waits_for_it(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    server.start()
    try:
        url = f"https://127.0.0.1:{server.port}"
        made = json.loads(server.api("POST", "/api/v1/cells", {"name": "self", "region": "eu", "url": url})[2])
        assert server.api("POST", "/api/v1/cells/join", {"token": made["token"]})[0] == 200
        before = settled(server)
        updates = [{"name": "libssl3", "version": "3.0.17-1"}]
        lead = json.loads(server.api("POST", "/api/v1/leads", {"title": "t", "updates": updates})[2])
        deadline = time.monotonic() + SOON_S
        while lead["cells"][0]["state"] != "nobody":  # it has been told of the lead, and told how many it has: none
            assert time.monotonic() < deadline, lead
            time.sleep(0.1)
            lead = json.loads(server.get(f"/api/v1/leads/{lead['id']}")[2])
        assert asked_ms(server) > before
        settled(server)
    finally:
        assert server.end(signal.SIGTERM) == 0
    assert "services-cut-off" not in server.log.read_text()
