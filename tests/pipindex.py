"""A package index on the loopback, wheels made by hand, and a Python environment as `pipx --global` makes it.

Real pip on real files; the packages and the index are the test's own (*real manager, synthetic packages*).
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

from tests.support import require

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine, Ran
from brakeline.agent.providers.pip import PipProvider
from brakeline.core.clock import Clock

HOME = "opt/pipx/venvs/tool"
LABEL = "pypi-tool"
OURS = ("/opt/pipx", "/var/lib/brakeline-helper")


class _Quiet(SimpleHTTPRequestHandler):
    hangs = threading.Event()

    def do_GET(self) -> None:
        if self.hangs.is_set():
            threading.Event().wait(60)  # longer than anybody waits in a test; the thread is a daemon
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        return


class Index:
    """PEP 503 pages over wheels; `stop` takes it off the network."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.hangs = directory, threading.Event()
        directory.mkdir()
        handler = type("Handler", (_Quiet,), {"hangs": self.hangs})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(directory)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def hang(self) -> None:
        """It takes connections and never answers."""
        self.hangs.set()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def publish(self, name: str, version: str, needs: tuple[str, ...] = (), size: int = 10) -> Path:
        """Build a wheel and list it."""
        page = self.directory / name
        page.mkdir(exist_ok=True)
        path = wheel(page, name, version, needs, size)
        links = [f'<a href="{w.name}#sha256={digest(w)}">{w.name}</a>' for w in sorted(page.glob("*.whl"))]
        (page / "index.html").write_text("<!DOCTYPE html><html><body>" + "\n".join(links) + "</body></html>")
        return path

    def withdraw(self, name: str, version: str) -> None:
        """A version cannot be had any more."""
        page = self.directory / name / "index.html"
        lines = page.read_text().splitlines()
        page.write_text("\n".join(line for line in lines if f"-{version}-" not in line))


@contextmanager
def without_proxies() -> Iterator[None]:
    """The loopback is asked directly."""
    kept = {n: os.environ.pop(n) for n in list(os.environ) if n.lower() in ("http_proxy", "https_proxy", "all_proxy")}
    try:
        yield
    finally:
        os.environ.update(kept)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wheel(directory: Path, name: str, version: str, needs: tuple[str, ...] = (), size: int = 10) -> Path:
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}/__init__.py": f"VERSION = {version!r}\n".encode(),
        f"{name}/data.bin": b"x" * size,
        f"{info}/METADATA": (metadata + "".join(f"Requires-Dist: {n}\n" for n in needs)).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_urlsafe(data)},{len(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    path = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as z:
        for file, data in files.items():
            z.writestr(file, data)
    return path


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class Under:
    """A real machine whose directories of pip and of the helper lie under `root`: real processes, real files."""

    root: Path
    machine: Machine = field(default_factory=Machine)

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
class Tool:
    """One endpoint with one application's environment."""

    root: Path
    index: Index

    @property
    def runner(self) -> Under:
        return Under(self.root)

    @property
    def provider(self) -> PipProvider:
        return self.provider_at(SystemClock())

    def provider_at(self, clock: Clock) -> PipProvider:
        return PipProvider(clock, self.runner)

    @property
    def site(self) -> Path:
        return next((self.root / HOME / "lib").glob("python3*")) / "site-packages"

    def pip(self, *words: str) -> str:
        """pip by hand, as the owner would."""
        command = [str(self.root / HOME / "bin/python"), "-I", "-m", "pip", "-q", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def has(self, name: str) -> str:
        """The version that the environment's Python itself imports, "" = none."""
        command = [str(self.root / HOME / "bin/python"), "-I", "-c", f"import {name}; print({name}.VERSION)"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()


def template(directory: Path) -> Path:
    """An environment with pip in it, made once; it may be copied."""
    require(os.geteuid() == 0, "root, whose environments alone are changed")
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(directory)], capture_output=True, text=True, check=False, timeout=280
    )
    require(made.returncode == 0, f"venv and ensurepip: {made.stderr[:200]}")
    return directory


def tool(root: Path, made: Path, index: Index) -> Tool:
    shutil.copytree(made, root / HOME, symlinks=True)
    (root / HOME / "pip.conf").write_text(f"[global]\nindex-url = {index.url}\nextra-index-url =\nno-index = false\n")
    return Tool(root, index)
