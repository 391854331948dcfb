"""A package repository that a test builds and serves: real .deb files, real indexes, every field ours to bend.

Served over http on 127.0.0.1, so "no network" is a closed port and a wrong checksum is a changed file. Unsigned: the
sources line says `trusted=yes`, until a test puts `inline` what a key of its own has signed.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

EPOCH = 1_700_000_000


@dataclass(frozen=True)
class Built:
    """One binary package. `scripts`: maintainer script -> body of a shell script; `fields`: more control fields."""

    name: str
    version: str
    architecture: str = "all"
    depends: str = ""
    conflicts: str = ""
    phased: int | None = None
    scripts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """The test's output is for its own words."""


class Repository:
    """`directory` holds packages and indexes; `label`/`suite` are what endpoints see of it."""

    def __init__(self, work: Path, label: str = "Test", suite: str = "stable") -> None:
        self.directory, self._work, self.label, self.suite = work / "repository", work / "build", label, suite
        self.directory.mkdir(parents=True)
        handler = functools.partial(_Quiet, directory=str(self.directory))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self._open, self._editions = True, 0

    @property
    def source(self) -> str:
        """The line for sources.list."""
        return f"deb [trusted=yes] http://127.0.0.1:{self.port} ./"

    def publish(self, *packages: Built, valid_until: str = "", fields: Mapping[str, str] | None = None) -> None:
        """Build these, add them to what is there, and write the indexes anew."""
        for package in packages:
            self._build(package)
        self.index(valid_until, fields or {})

    def withdraw(self, name: str, version: str) -> None:
        """Take one version out of the repository."""
        for path in self.directory.glob(f"{name}_{version}_*.deb"):
            path.unlink()
        self.index()

    def index(self, valid_until: str = "", fields: Mapping[str, str] | None = None) -> None:
        """Packages and Release for what is there now."""
        listed = self._tool("apt-ftparchive", "packages", ".")
        (self.directory / "Packages").write_text(listed)
        (self.directory / "Release").unlink(missing_ok=True)
        options = {"Label": self.label, "Origin": self.label, "Suite": self.suite, "Version": "1", **(fields or {})}
        arguments = [a for k, v in options.items() for a in ("-o", f"APT::FTPArchive::Release::{k}={v}")]
        release = self._tool("apt-ftparchive", *arguments, "release", ".")
        if valid_until:
            release = f"Valid-Until: {valid_until}\n" + release
        (self.directory / "Release").write_text(release)
        self._editions += 1  # dates in http have whole seconds: two editions within one would be the same to apt
        for path in self.directory.iterdir():
            os.utime(path, (EPOCH + self._editions, EPOCH + self._editions))

    def signed(self, inline: bytes) -> None:
        """`InRelease`: the present Release, with somebody's signature."""
        path = self.directory / "InRelease"
        path.write_bytes(inline)
        self._editions += 1
        os.utime(path, (EPOCH + self._editions, EPOCH + self._editions))

    def spoil(self) -> None:
        """The index changes after its checksum was written: what a mirror in mid-update looks like."""
        path = self.directory / "Packages"
        path.write_text(path.read_text().replace("Description:", "Description: x", 1)[: path.stat().st_size])

    def stop(self) -> None:
        """No network: nothing listens any more."""
        if self._open:
            self._server.shutdown()
            self._server.server_close()
            self._open = False

    def _build(self, package: Built) -> None:
        tree = self._work / f"{package.name}_{package.version}"
        control = tree / "DEBIAN"
        control.mkdir(parents=True)
        fields = {
            "Package": package.name,
            "Version": package.version,
            "Architecture": package.architecture,
            "Maintainer": "Test <test@example.invalid>",
            "Depends": package.depends,
            "Conflicts": package.conflicts,
            "Phased-Update-Percentage": "" if package.phased is None else str(package.phased),
            "Description": "built by a test",
            **package.fields,
        }
        (control / "control").write_text("".join(f"{k}: {v}\n" for k, v in fields.items() if v))
        for path, content in package.files.items():
            target = tree / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
            if isinstance(content, str) and content.startswith("#!"):
                target.chmod(0o755)
        if package.conffiles:
            (control / "conffiles").write_text("".join(f"{c}\n" for c in package.conffiles))
        for name, body in package.scripts.items():
            (control / name).write_text(f"#!/bin/sh\nset -e\n{body}\n")
            (control / name).chmod(0o755)
        target = self.directory / f"{package.name}_{package.version}_{package.architecture}.deb"
        command = ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(target)]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
        shutil.rmtree(tree)

    def _tool(self, *command: str) -> str:
        return subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=True).stdout


def ago(days: float) -> str:
    """A date for Release files, `days` before now (negative: after)."""
    return formatdate(time.time() - days * 86400, usegmt=True).replace("GMT", "UTC")
