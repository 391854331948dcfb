"""OSV's routes of a real server, from import to answer: with no token for the question, with one for the import."""

from __future__ import annotations

import json
import signal
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.integration.server.test_server_process import ServerProcess, root  # noqa: F401  # a fixture

LINE = {
    "id": "PYSEC-2023-1", "modified": "2023-01-01T00:00:00Z", "affected": [{
        "package": {"ecosystem": "PyPI", "name": "demo"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}]}],
}  # fmt: skip


def ask(server: ServerProcess, route: str, body: Any) -> tuple[int, Any]:
    """Without any token."""
    trust = ssl.create_default_context(cafile=server.context["ca_file"])
    request = urllib.request.Request(
        f"https://127.0.0.1:{server.port}{route}", json.dumps(body).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request, context=trust, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        with e:
            return e.code, json.load(e)


@pytest.mark.long
def test_a_server_answers_what_it_has_imported_and_nothing_it_does_not_know(root: Path) -> None:  # noqa: F811
    server = ServerProcess(root)
    server.start()
    demo = {"package": {"ecosystem": "PyPI", "name": "demo"}, "version": "1.0"}
    status, said = ask(server, "/v1/query", demo)
    assert (status, said["code"]) == (422, "no-osv-question")
    assert ask(server, "/api/v1/content/osv-pypi/import", LINE)[0] == 401
    assert server.api("POST", "/api/v1/content/osv-pypi/import", LINE)[0] == 200
    assert ask(server, "/v1/query", demo)[1]["vulns"][0]["id"] == "PYSEC-2023-1"
    assert ask(server, "/v1/querybatch", {"queries": [demo]})[1]["results"][0]["vulns"][0]["id"] == "PYSEC-2023-1"
    status, _, packed = server.get("/api/v1/content/osv-pypi/bundle")
    assert (status, json.loads(packed)["feed"]) == (200, "osv-pypi")
    assert ask(server, "/v1/nothing", {})[0] == 404
    assert server.end(signal.SIGTERM) == 0
