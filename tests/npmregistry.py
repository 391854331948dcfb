"""A registry of npm on the loopback, packages made by hand, and an endpoint with a global folder of npm under a root.

Real npm on real files; the registry and its packages are the test's own (*real manager, synthetic packages*). The
protocol is npm's: a document with every version of a package (`GET /NAME`), and one archive a version.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from tests.support import require

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine, Ran
from brakeline.agent.providers.npm import NpmProvider
from brakeline.core.clock import Clock

OURS = ("/usr/local", "/var/lib/brakeline-helper", "/tmp/brakeline-npm-")
MODULES = "usr/local/lib/node_modules"


def archive(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """What `npm pack` would make: everything below `package/`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for name, data in {"package.json": json.dumps(manifest).encode(), **files}.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Registry:
    """Documents and archives; `stop` takes it off the network, `hang` lets it take connections and never answer."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.archives: dict[str, bytes] = {}
        self.hangs = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def publish(
        self, name: str, version: str, needs: Mapping[str, str] | None = None, size: int = 10, **more: Any
    ) -> str:
        """A version whose program prints its version and those of what it needs; the path of its archive.

        `more`: other fields of its package.json (`scripts`, `engines`, `peerDependencies` …).
        """
        program = "bin.js"
        manifest = {
            "name": name, "version": version, "bin": {name.rpartition("/")[2]: program},
            "dependencies": dict(needs or {}), **more,
        }  # fmt: skip
        said = "".join(f" + ' {n} ' + require('{n}/package.json').version" for n in needs or {})
        code = f"#!/usr/bin/env node\nconsole.log('{version}'{said})\n".encode()
        data = archive(manifest, {program: code, "data.bin": os.urandom(size) if size > 10 else b"x" * size})
        path = f"{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        self.archives[path] = data
        dist = {
            "tarball": self.url + path, "shasum": hashlib.sha1(data).hexdigest(),
            "integrity": "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode(),
        }  # fmt: skip
        if manifest.get("scripts"):
            manifest["hasInstallScript"] = True
        page = self.documents.setdefault(name, {"name": name, "versions": {}, "dist-tags": {}})
        page["versions"][version] = {**manifest, "dist": dist}
        page["dist-tags"]["latest"] = version
        return path

    def withdraw(self, name: str, version: str) -> None:
        """A version cannot be had any more."""
        del self.documents[name]["versions"][version]


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.registry.hangs.is_set():
            threading.Event().wait(60)  # longer than anybody waits in a test; the thread is a daemon
            return
        path = unquote(self.path).lstrip("/")
        if path in self.registry.archives:
            self._send(self.registry.archives[path], "application/octet-stream")
        elif path in self.registry.documents:
            self._send(json.dumps(self.registry.documents[path]).encode(), "application/json")
        else:
            self.send_error(404)

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


@dataclass(frozen=True)
class Under:
    """A real machine whose folder of npm and whose helper's directories lie under `root`: real processes and files."""

    root: Path
    registry: str

    @property
    def machine(self) -> Machine:
        """npm with the settings of this endpoint; nothing of the machine that runs the test."""
        etc = self.root / "usr/local/etc"
        return Machine(("env", f"npm_config_globalconfig={etc}/npmrc", f"npm_config_userconfig={etc}/none"))

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def _there(self, words: tuple[str, ...]) -> list[str]:
        return [str(self.path(w)) if w.startswith(OURS) else w for w in words]

    def query(self, *command: str, timeout_s: float = 60.0) -> Ran:
        return self.machine.query(*self._there(command), timeout_s=timeout_s)

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        return self.machine.job(*self._there(command), timeout_s=timeout_s, log=log, environment=environment)


@dataclass
class Endpoint:
    """One endpoint with `app` 1.0.0, which needs `part` ^1.0.0, as a global package."""

    root: Path
    registry: Registry

    @property
    def runner(self) -> Under:
        return Under(self.root, self.registry.url)

    @property
    def provider(self) -> NpmProvider:
        return self.provider_at(SystemClock())

    def provider_at(self, clock: Clock) -> NpmProvider:
        return NpmProvider(clock, self.runner)

    @property
    def modules(self) -> Path:
        return self.root / MODULES

    def npm(self, *words: str) -> str:
        """npm by hand, as the owner would."""
        machine = self.runner.machine
        places = [f"--prefix={self.root / 'usr/local'}", f"--cache={self.root}/hand"]
        command = [*machine.prefix, "npm", "--global", *places, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def runs(self, program: str = "app") -> str:
        """What the program itself prints: its version and those of what it loads; "" = there is none that runs."""
        command = [str(self.root / "usr/local/bin" / program)]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()
        except OSError:
            return ""


def endpoint(root: Path, registry: Registry) -> Endpoint:
    require(os.geteuid() == 0, "root, whose packages alone are changed")
    require(shutil.which("npm"), "npm")
    (root / "usr/local/etc").mkdir(parents=True)
    (root / "usr/local/etc/npmrc").write_text(f"registry={registry.url}\n")
    made = Endpoint(root, registry)
    registry.publish("part", "1.0.0")
    registry.publish("app", "1.0.0", {"part": "^1.0.0"})
    made.npm("install", "app@1.0.0")
    return made
