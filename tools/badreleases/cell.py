"""A server of our own for the exercise, driven by its HTTP interface: publish, promote, brake, look."""

from __future__ import annotations

import http.client
import json
import os
import selectors
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.ports import free_port

START_S = 90.0


class CellError(Exception):
    """The server did not do what was asked; says what it answered."""


@dataclass
class Cell:
    """`brakeline server run` below `place`."""

    place: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    context: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Until its ready line."""
        self.port = free_port()
        data = self.place / "data"
        command = [
            sys.executable,
            "-m",
            "brakeline.cli",
            "server",
            "run",
            "--data",
            str(data),
            "--port",
            str(self.port),
        ]
        with (self.place / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self._until_ready()
        self.context = json.loads((data / "context.json").read_text())

    def _until_ready(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        output, deadline = b"", time.monotonic() + START_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"ready https://" not in output:
                waiting = selector.select(max(0.0, deadline - time.monotonic()))
                chunk = os.read(self.process.stdout.fileno(), 65536) if waiting else b""
                if not chunk:
                    raise CellError(f"the server did not become ready; its log: {self.place / 'server.log'}")
                output += chunk

    def stop(self) -> None:
        """In order, within its five seconds."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    def ask(self, method: str, path: str, body: Any = None, octets: bytes | None = None) -> Any:
        """The answer's JSON. Raises `CellError` with the problem's text."""
        trust = ssl.create_default_context(cafile=self.context["ca_file"])
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=trust, timeout=60)
        data = octets if octets is not None else (None if body is None else json.dumps(body).encode())
        kind = "application/x-tar" if octets is not None else "application/json"
        headers = {"authorization": f"Bearer {self.context['token']}", "content-type": kind}
        connection.request(method, f"/api/v1{path}", data, headers)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        if answer.status >= 300:
            raise CellError(f"{method} {path}: {answer.status} {raw.decode(errors='replace')[:600]}")
        return json.loads(raw) if raw else None

    def shipped(self) -> int:
        """The sequence of the agent that came with the server, once that is published."""
        deadline = time.monotonic() + START_S
        while not (found := [r["sequence"] for r in self.ask("GET", "/releases")["items"] if r["product"] == "agent"]):
            if time.monotonic() > deadline:
                raise CellError("the server does not publish the agent that came with it")
            time.sleep(0.2)
        return max(found)

    def publish(self, bundle: bytes) -> str:
        """Sign and publish; its release_id."""
        return str(self.ask("POST", "/releases", octets=bundle)["id"])

    def promote(self, release_id: str) -> str:
        """Make and start its rollout at rehearsal pace; the rollout's id."""
        return str(self.ask("POST", f"/releases/{release_id}/promote", {"pace": "rehearsal", "start": True})["id"])

    def rollout(self, rollout_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/rollouts/{rollout_id}")
        return found

    def token(self, uses: int) -> str:
        """An enrolment token."""
        return str(self.ask("POST", "/enrol-tokens", {"region": "eu", "uses": uses})["token"])
