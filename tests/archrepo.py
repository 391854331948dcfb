"""A pacman repository that a test builds and serves: real packages, a real database, every field ours to bend.

Served over http on 127.0.0.1, so "no network" is a closed port and a wrong checksum is a changed file. Unsigned unless
`signed_by` names a key's home directory.
"""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import threading
from pathlib import Path

from tools.fleetbox.alpm import EPOCH, Built, add, database, desc_of, package_bytes


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """The test's output is for its own words."""


class Repository:
    """`directory` holds packages and the database `NAME.db`."""

    def __init__(self, work: Path, name: str = "test", signed_by: str = "", faked_time: str = "") -> None:
        self.directory, self.name = work / "repository", name
        self.signed_by, self.faked_time = signed_by, faked_time
        self.directory.mkdir(parents=True)
        self.packages: dict[str, Built] = {}
        handler = functools.partial(_Quiet, directory=str(self.directory))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._open, self._editions = True, 0
        self.index()

    @property
    def server(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, *packages: Built, withdraw: tuple[str, ...] = ()) -> None:
        """Build these; as in Arch, a newer version of a name takes the place of the former one."""
        for package in packages:
            (self.directory / package.file).write_bytes(package_bytes(package))
            self.packages[package.name] = package
        for name in withdraw:
            del self.packages[name]
        self.index()

    def index(self) -> None:
        """The database for what is there now, newer than the one before (dates in http have whole seconds)."""
        path = self.directory / f"{self.name}.db"
        path.write_bytes(database(self.packages.values(), self.directory))
        self._editions += 1
        if self.signed_by:
            self._sign(path)
        for file in self.directory.iterdir():
            os.utime(file, (EPOCH + self._editions, EPOCH + self._editions))

    def spoil(self, package: Built) -> None:
        """The package is not any more what the database says: a mirror in mid-update, or tampering."""
        path = self.directory / package.file
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(bytes(data))

    def stop(self) -> None:
        """No network: nothing listens any more."""
        if self._open:
            self._server.shutdown()
            self._server.server_close()
            self._open = False

    def _sign(self, path: Path) -> None:
        signature = path.with_name(path.name + ".sig")
        signature.unlink(missing_ok=True)
        faked = ("--faked-system-time", self.faked_time) if self.faked_time else ()
        command = (
            "gpg",
            "--homedir",
            self.signed_by,
            "--batch",
            *faked,
            "--detach-sign",
            "-o",
            str(signature),
            str(path),
        )
        subprocess.run(command, check=True, capture_output=True)


__all__ = ["EPOCH", "Built", "Repository", "add", "desc_of", "package_bytes"]
