"""A real server in a process of its own, driven by the real command line; and how tests wait for things."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tools.ports import free_port

T = TypeVar("T")
BRAKELINE = Path(sys.executable).with_name("brakeline")
READY_WAIT_S = 60.0
CHECK_IN_S = 2


def wait_for(what: str, look: Callable[[], T], within_s: float, every_s: float = 0.5) -> T:
    """The first truthy answer of `look`; fails with its last answer after `within_s`."""
    deadline = time.monotonic() + within_s
    while not (answer := look()):
        assert time.monotonic() < deadline, f"waited {within_s:.0f} s for {what}; last seen: {answer!r}"
        time.sleep(every_s)
    return answer


class Server:
    """`brakeline server run` on one data directory and port, as often as the test starts it."""

    def __init__(self, data: Path, ready_within_s: float = READY_WAIT_S) -> None:
        self.data, self.port, self._ready_within_s = data, free_port(), ready_within_s
        self.log = data.with_name("server.log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not running"
        return self._process.pid

    def start(self) -> float:
        """Start it; seconds until its ready line."""
        assert self._process is None, "running already"
        environment = {**os.environ, "BRAKELINE_CHECK_IN_INTERVAL_S": str(CHECK_IN_S)}
        begun = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(BRAKELINE), "server", "run", "--data", str(self.data), "--port", str(self.port)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        self._await_ready(self._process)
        return time.monotonic() - begun

    def kill9(self) -> None:
        """The server process dies at once. Its database lives on as an orphan, as it would in earnest."""
        process = self._gone()
        process.kill()
        process.wait()

    def stop(self) -> int:
        """End it in order; its exit code."""
        process = self._gone()
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=30)

    def close(self) -> None:
        """Whatever the test did, neither the server nor its database stays."""
        if self._process is None and (self.data / "context.json").exists():
            self.start()  # adopts the orphaned database, to end it in order
        if self._process is not None:
            self.stop()

    def cli(self, *words: str) -> Any:
        """The JSON document that `brakeline WORDS --json` prints; fails unless its exit code is 0."""
        done = self.cli_raw(*words, "--json")
        assert done.returncode == 0, f"brakeline {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def cli_raw(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "BRAKELINE_CONTEXT": str(self.data / "context.json")}
        return subprocess.run([str(BRAKELINE), *words], env=environment, capture_output=True, text=True, check=False)

    def _gone(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not running"
        process, self._process = self._process, None
        if process.stdout:
            process.stdout.close()
        return process

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        seen, deadline = b"", time.monotonic() + self._ready_within_s
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"ready https://" not in seen:
                waiting = selector.select(max(0.0, deadline - time.monotonic()))
                chunk = os.read(process.stdout.fileno(), 65536) if waiting else b""
                if not chunk:
                    tail = self.log.read_text(errors="replace")[-3000:]
                    self.kill9()
                    raise AssertionError(f"no ready line; stdout: {seen!r}; the end of its log:\n{tail}")
                seen += chunk
