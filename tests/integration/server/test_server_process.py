"""The real server in a process of its own: readiness, orderly end, taken port, kill -9, database away."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support_agent import AgentTwin, packages
from tools.ports import free_port

from brakeline.protocol import routes

START_S = 60.0


class ServerProcess:
    """`brakeline server run` on one directory and port, as often as the test starts it."""

    def __init__(self, root: Path) -> None:
        self.data, self.log = root / "data", root / "server.log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.output = b""
        self.environment = dict(os.environ)

    def command(self) -> list[str]:
        run = ["server", "run", "--data", str(self.data), "--port", str(self.port)]
        return [sys.executable, "-m", "brakeline.cli", *run]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
                env=self.environment,
            )  # fmt: skip
        assert self.process.stdout is not None
        self.output, deadline = b"", time.monotonic() + START_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"ready https://" not in self.output:
                waiting = selector.select(max(0.0, deadline - time.monotonic()))
                chunk = os.read(self.process.stdout.fileno(), 65536) if waiting else b""
                assert chunk, f"no ready line: {self.output!r}\n{self.log.read_text()[-3000:]}"
                self.output += chunk

    def end(self, sig: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(sig)
        code = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    @property
    def context(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.data / "context.json").read_text())
        return found

    def get(self, path: str) -> tuple[int, dict[str, str], Any]:
        return self.api("GET", path)

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self.context['token']}", "content-type": "application/json"},
        )
        trust = ssl.create_default_context(cafile=self.context["ca_file"])
        try:
            with urllib.request.urlopen(request, context=trust, timeout=20) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, {k.lower(): v for k, v in e.headers.items()}, e.read()

    def agent(self) -> AgentTwin:
        """An enrolled endpoint."""
        status, _, made = self.api("POST", "/api/v1/enrol-tokens", {"region": "eu"})
        assert status == 201
        twin = AgentTwin(self.port, self.context["ca_file"])
        twin.enrol(json.loads(made)["token"])
        return twin

    def postmaster(self) -> int:
        found = next((self.data).glob("**/postmaster.pid"))
        return int(found.read_text().splitlines()[0])


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="brakeline-test-server-"))
    made.chmod(0o755)  # root's cluster runs as nobody
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def root() -> Iterator[Path]:
    with directory() as made:
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """One for all tests that leave it usable: a fresh database takes seconds. Each enrols an endpoint of its own."""
    with directory() as place:
        made = ServerProcess(place)
        made.start()
        yield made
        if made.process is None:
            made.start()  # adopts what a test left behind, to end it in order
        assert made.end(signal.SIGTERM) == 0


def test_it_says_ready_once_and_ends_in_order_even_with_a_long_poll(root: Path) -> None:
    server = ServerProcess(root)
    server.start()
    lines = server.output.decode().splitlines()
    assert lines.count(f"ready https://127.0.0.1:{server.port}") == 1
    assert any(line.startswith("login link https://") for line in lines)
    assert server.get("/readyz")[0] == server.get("/healthz")[0] == 200
    assert b"brakeline_reconciler_runs" in server.get("/metrics")[2]
    assert (server.data / "context.json").stat().st_mode & 0o777 == 0o600
    assert (server.data / "cell.key").stat().st_mode & 0o777 == 0o600

    twin = server.agent()
    assert twin.check_in().status == 200
    target, body = f"{routes.CHECK_IN}?wait=50", twin.check_in_body()
    assert twin.connection is not None
    twin.connection.request("POST", target, body, twin.mac_headers(twin.request(target, body)))
    begun = time.monotonic()
    assert server.end(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 5
    answer = twin.connection.getresponse()
    assert answer.status == 304  # the poll was answered, not cut
    answer.read()
    twin.close()


@pytest.mark.long
def test_a_taken_port_is_said_and_nothing_else_is_started(root: Path) -> None:
    server = ServerProcess(root)
    with socket.socket() as other:
        other.bind(("127.0.0.1", server.port))
        other.listen()
        done = subprocess.run(server.command(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"127.0.0.1:{server.port}" in done.stderr
    assert "--port" in done.stderr
    assert not server.data.exists()


@pytest.mark.long
def test_an_unknown_setting_is_said(root: Path) -> None:
    environment = os.environ | {"BRAKELINE_PROT": "1"}
    done = subprocess.run(
        ServerProcess(root).command(), env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "did you mean 'port'" in done.stderr


@pytest.mark.long
def test_kill_9_at_any_moment_loses_no_acknowledged_inventory(server: ServerProcess) -> None:
    """The server dies at a random point between receiving an inventory and acknowledging it, several times."""
    twin = server.agent()
    acknowledged = 0
    for turn, delay_s in enumerate((0.0, 0.003, 0.01, 0.03, 0.08)):
        sent = packages(300, f"{turn + 1}.0")
        request_sequence = twin.sequence
        killer = subprocess.Popen(["sh", "-c", f"sleep {delay_s}; kill -9 {_pid(server)}"])
        with contextlib.suppress(OSError, ssl.SSLError, Exception):
            if twin.send_inventory(sent).status == 200:
                acknowledged = twin.sequence
        killer.wait()
        assert server.process is not None
        server.process.wait()
        if server.process.stdout:
            server.process.stdout.close()
        twin.close()
        server.start()
        status, _, body = server.get(f"/api/v1/endpoints/{twin.endpoint_id}")
        held = json.loads(body)
        assert status == 200
        assert held["inventory_sequence"] in (acknowledged, request_sequence + 1)
        assert held["inventory_sequence"] >= acknowledged
        assert twin.renew().status == 200
        again = twin.send_inventory(sent)  # what an agent does that heard no acknowledgement
        assert again.json["resync"] is False
        acknowledged = twin.sequence
        _, _, body = server.get(f"/api/v1/endpoints/{twin.endpoint_id}/packages")
        assert {p["version"] for p in json.loads(body)} == {f"{turn + 1}.0"}
    twin.close()


def _pid(server: ServerProcess) -> int:
    assert server.process is not None
    return server.process.pid


def end_at_once(postmaster: int) -> None:
    """Every session ends too; back when the process is gone. The supervisor notices within a second."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(postmaster, signal.SIGQUIT)
    while Path(f"/proc/{postmaster}").exists() and "Z" not in Path(f"/proc/{postmaster}/stat").read_text().split()[2]:
        time.sleep(0.005)


def test_database_away_means_503_and_comes_back_by_itself(server: ServerProcess) -> None:
    twin = server.agent()
    assert twin.check_in().status == 200
    deadline, away = time.monotonic() + 60, None
    while time.monotonic() < deadline:
        if away is None:  # again, should the supervisor have been quicker than the question
            end_at_once(server.postmaster())
        answer = twin.send_inventory(packages(10))
        if answer.status == 200 and away is not None:
            break
        if answer.status == 200:
            continue
        assert (answer.status, answer.code) == (503, "unavailable"), answer.body
        assert answer.headers["retry-after"] == "10"
        away = answer
        time.sleep(0.05)
    assert answer.status == 200, answer.body
    assert away is not None, "the database was never away"
    assert twin.check_in().status in (200, 304)
    while server.get("/readyz")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    twin.close()
