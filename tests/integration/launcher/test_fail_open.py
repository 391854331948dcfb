"""Whatever cannot be had, the last good release runs; and nothing new is installed by what cannot be verified."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.support import require
from tests.support_launcher import GOOD, Cell, Endpoint, release_bytes, send
from tests.support_trust import Repository

from brakeline.launcher.records import SLOTS
from brakeline.platform.clock import SystemClock
from brakeline.platform.tls import ensure_tls


def _status(status: int) -> Callable[[BaseHTTPRequestHandler], bool]:
    def misbehave(request: BaseHTTPRequestHandler) -> bool:
        send(request, status, b"no")
        return True

    return misbehave


def _garbage(request: BaseHTTPRequestHandler) -> bool:
    send(request, 200, bytes(range(256)) * 64)
    return True


def _portal(request: BaseHTTPRequestHandler) -> bool:
    send(request, 200, b"<html><body>Please accept our terms</body></html>")
    return True


def _truncated(request: BaseHTTPRequestHandler) -> bool:
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    request.wfile.write(b'{"targets": "')
    request.close_connection = True
    return True


def _slow(request: BaseHTTPRequestHandler) -> bool:
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    for _ in range(300):
        request.wfile.write(b" ")
        request.wfile.flush()
        time.sleep(0.1)
    return True


def _endless(request: BaseHTTPRequestHandler) -> bool:
    request.send_response(200)
    request.end_headers()
    for _ in range(200):
        request.wfile.write(b" " * 100_000)
    return True


SERVERS = {
    "404": _status(404), "500": _status(500), "garbage": _garbage, "captive portal": _portal, "truncated": _truncated,
    "slow-loris": _slow, "endless": _endless,
}  # fmt: skip


def runs_the_good_one(host: Endpoint, baseline: str) -> None:
    host.start()
    host.until_running(baseline, 20)
    host.until(lambda: host.runs("1.0.0") == 1)
    assert host.report().trial == ""


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_misbehaves(host: Endpoint, name: str) -> None:
    host.knobs |= {"check_s": 2}
    baseline = host.prepare(release_bytes("1.0.0"))
    offer(host)
    host.cell.misbehave = SERVERS[name]
    runs_the_good_one(host, baseline)
    host.until(lambda: any(p.partition(":")[0] in ("unreachable", "check") for p in host.report().problems))
    host.cell.misbehave = lambda _: False
    host.until(lambda: host.report().confirmed.startswith("2.0.0"), what="healed when the server came back")


def offer(host: Endpoint) -> str:
    release_id = host.cell.repository.publish("2.0.0", release_bytes("2.0.0", GOOD, 2), 2)
    host.cell.repository.offer(release_id)
    return release_id


def test_nobody_there_and_no_name(host: Endpoint) -> None:
    baseline = host.prepare(release_bytes("1.0.0"))
    for server in ("https://127.0.0.1:9", "https://no-such-name.invalid", "not even an address", ""):
        plain = json.loads((host.etc / "agent.json").read_text())
        (host.etc / "agent.json").write_text(json.dumps(plain | {"server_url": server}))
        host.start()
        host.until_running(baseline, 20)
        host.stop()


def test_another_authority_is_not_our_cell(host: Endpoint, tmp_path: Path) -> None:
    baseline = host.prepare(release_bytes("1.0.0"))
    offer(host)
    plain = json.loads((host.etc / "agent.json").read_text())
    pem = ensure_tls(tmp_path / "other", (), SystemClock()).ca_file.read_text()
    (host.etc / "agent.json").write_text(json.dumps(plain | {"ca_pem": pem}))
    runs_the_good_one(host, baseline)


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_expired_metadata(host: Endpoint, role: str) -> None:
    host.cell.repository.lifetimes_d[role] = -1
    host.cell.repository.roots[0] = host.cell.repository.root_text()
    baseline = host.prepare(release_bytes("1.0.0"))
    offer(host)
    runs_the_good_one(host, baseline)
    host.until(lambda: any("metadata_expired" in p for p in host.report().problems))


def test_expired_metadata_recalls_hold(host: Endpoint) -> None:
    host.cell.repository.lifetimes_d["timestamp"] = -1
    baseline = host.prepare(release_bytes("1.0.0"))
    host.cell.repository.recalled.append(baseline)
    host.start()
    host.until(lambda: baseline in host.report().recalled)
    assert host.runs("1.0.0") == 0


@pytest.mark.parametrize("offset", ["-3650d", "+400d"])
def test_a_clock_that_is_years_off_heals_by_the_cells_time(host: Endpoint, offset: str) -> None:
    require(shutil.which("faketime"), "faketime: gives a process another clock")
    host.wrap = ("faketime", "-f", offset)
    host.environment = {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    host.prepare(release_bytes("1.0.0"))
    two = offer(host)
    host.start()
    host.until_confirmed(two)


def test_both_records_corrupt(host: Endpoint) -> None:
    baseline = host.prepare(release_bytes("1.0.0"))
    for slot in SLOTS:
        (host.root / slot).write_bytes(b"\xff" * 4096)
    runs_the_good_one(host, baseline)


def test_settings_that_are_no_json(host: Endpoint) -> None:
    baseline = host.prepare(release_bytes("1.0.0"))
    (host.etc / "root.json").write_text("{")
    shutil.rmtree(host.root / "tuf", ignore_errors=True)
    runs_the_good_one(host, baseline)


def test_a_cell_with_other_keys_installs_nothing(host: Endpoint) -> None:
    """A whole repository of somebody else's, served under our cell's own TLS."""
    baseline = host.prepare(release_bytes("1.0.0"))
    stranger = Repository(now_ms=host.cell.repository.now_ms)
    assert isinstance(host.cell, Cell)
    host.cell.repository = stranger
    offer(host)
    runs_the_good_one(host, baseline)
    host.until(lambda: any(p.startswith("threshold") for p in host.report().problems))
