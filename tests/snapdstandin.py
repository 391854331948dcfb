"""A stand-in for snapd on a socket of its own: *not run on the real system*. It answers as its REST API is documented:
`sync` and `async`, changes with a status, errors with a kind. What the store has stands in `store`."""

from __future__ import annotations

import json
import shutil
import socketserver
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import IO, Any

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine, Ran
from brakeline.agent.providers.snap import SnapProvider


@dataclass
class World:
    """What snapd knows: revisions on the disk, which are active, what the store has, and what goes wrong."""

    disk: dict[str, dict[str, str]] = field(default_factory=dict)  # name -> revision -> version
    active: dict[str, str] = field(default_factory=dict)
    store: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> (revision, version)
    hold: dict[str, str] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)  # their changes end when they are aborted, and not before
    stuck: set[str] = field(default_factory=set)  # theirs do not even end then
    deaf: int = 0  # so many questions about a change find snapd in the middle of a start of its own
    conflict: bool = False
    offline: bool = False
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    said: list[Any] = field(default_factory=list)

    def rows(self, *, every: bool) -> list[dict[str, Any]]:
        made = []
        for name, revisions in self.disk.items():
            for revision, version in revisions.items():
                active = self.active[name] == revision
                if not active and not every:
                    continue
                row: dict[str, Any] = {"name": name, "revision": revision, "version": version, "type": "app",
                                       "status": "active" if active else "installed",
                                       "tracking-channel": "latest/stable"}  # fmt: skip
                if name in self.hold:
                    row["hold"] = self.hold[name]
                if name in self.running:
                    row["refresh-inhibit"] = {"proceed-time": "2026-12-01T10:00:00Z"}
                made.append(row)
        return made

    def get(self, route: str) -> tuple[int, dict[str, Any]]:
        if route.startswith("/v2/snaps"):
            return sync(self.rows(every="select=all" in route))
        if route == "/v2/find?select=refresh":
            if self.offline:
                return error('Post "https://store.example/": dial tcp: no such host', "dns-failure")
            newer = {n: s for n, s in self.store.items() if n in self.active and s[0] != self.active[n]}
            return sync([{"name": n, "revision": r, "version": v, "download-size": 10} for n, (r, v) in newer.items()])
        if route.startswith("/v2/changes?"):
            return sync([c for c in self.changes.values() if not c["ready"]])
        return sync(self.changes[route.rpartition("/")[2]])

    def post(self, route: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        self.said.append((route, dict(body)))
        name = route.rpartition("/")[2]
        if route.startswith("/v2/changes/"):
            if not self.stuck:
                self.changes[name] |= {"status": "Undone", "ready": True, "err": "aborted"}
            return sync(self.changes[name])
        if self.conflict:
            return error(f'snap "{name}" has "auto-refresh" change in progress', "snap-change-conflict", 409)
        if body["action"] == "refresh" and self.offline:
            return error("unable to contact the store", "network-timeout")
        if name in self.running:
            return error(f'snap "{name}" has running apps ({name}), pids: 12', "")
        if body["action"] == "refresh" and self.store.get(name, ("", ""))[0] != body["revision"]:
            return error(f'snap "{name}" has no updates available', "snap-no-update-available")
        return self._begun(name, body)

    def _begun(self, name: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        number = str(len(self.changes) + 1)
        change = {"id": number, "status": "Done", "ready": True}
        if name in self.slow | self.stuck:
            change = {"id": number, "status": "Doing", "ready": False}
        elif name in self.fails:
            failed = f'cannot perform the following tasks:\n- Run post-refresh hook of "{name}" (failed)'
            change = {"id": number, "status": "Error", "ready": True, "err": failed}
        elif body["action"] == "refresh":
            self.disk[name][body["revision"]] = self.store[name][1]
            self.active[name] = body["revision"]
        else:
            self.active[name] = body["revision"]
        self.changes[number] = change
        return 202, {"type": "async", "status-code": 202, "change": number, "result": None}


def sync(result: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"type": "sync", "status-code": 200, "status": "OK", "result": result}


def error(message: str, kind: str, status: int = 400) -> tuple[int, dict[str, Any]]:
    result = {"message": message} | ({"kind": kind} if kind else {})
    return status, {"type": "error", "status-code": status, "result": result}


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def _handler(world: World) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if world.deaf and self.path.startswith("/v2/changes/"):
                world.deaf -= 1
                return  # the connection ends without a word
            self._answer(*world.get(self.path))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(*world.post(self.path, body))

        def _answer(self, status: int, answer: dict[str, Any]) -> None:
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def address_string(self) -> str:
            return "a socket has none"

        def log_message(self, *_: object) -> None:
            return

    return Handler


@dataclass(frozen=True)
class Under:
    """This machine, with snapd's socket and the helper's directories below `root`."""

    root: Path

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def query(self, *command: str, timeout_s: float = 60.0) -> Ran:
        return Machine().query(*command, timeout_s=timeout_s)

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        return Machine().job(*command, timeout_s=timeout_s, log=log, environment=environment)


@dataclass(frozen=True)
class Endpoint:
    root: Path
    world: World

    @property
    def provider(self) -> SnapProvider:
        return SnapProvider(SystemClock(), Under(self.root))

    def install(self, name: str, revision: str, version: str) -> None:
        self.world.disk[name] = {revision: version}
        self.world.active[name] = revision
        self.world.store.setdefault(name, (revision, version))


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    root = Path(tempfile.mkdtemp(prefix="brakeline-snap-"))  # a socket's path has at most 107 characters
    world = World()
    (root / "run").mkdir()
    server = _Server(str(root / "run/snapd.socket"), _handler(world))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Endpoint(root, world)
    finally:
        server.shutdown()
        server.server_close()
        shutil.rmtree(root)
