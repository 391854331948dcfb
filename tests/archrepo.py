"""A pacman repository that a test builds and serves: real packages, a real database, every field ours to bend.

Served over http on 127.0.0.1, so "no network" is a closed port and a wrong checksum is a changed file. Unsigned unless
`signed_by` names a key's home directory.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

EPOCH = 1_700_000_000


@dataclass(frozen=True)
class Built:
    """One package. `script`: the body of .INSTALL; lists as .PKGINFO has them."""

    name: str
    version: str
    architecture: str = "any"
    base: str = ""
    depends: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    backup: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    script: str = ""

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}-{self.architecture}.pkg.tar.gz"


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
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            for package in self.packages.values():
                data = (self.directory / package.file).read_bytes()
                add(archive, f"{package.name}-{package.version}/desc", desc_of(package, data).encode())
        path = self.directory / f"{self.name}.db"
        path.write_bytes(out.getvalue())
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


def package_bytes(package: Built) -> bytes:
    """The package file: .PKGINFO, .INSTALL and the files."""
    lines = [("pkgname", package.name), ("pkgbase", package.base or package.name), ("pkgver", package.version),
             ("pkgdesc", "built by a test"), ("url", "https://example.invalid"), ("builddate", "1700000000"),
             ("packager", "Test <test@example.invalid>"), ("size", str(sum(map(len, package.files.values())))),
             ("arch", package.architecture)]  # fmt: skip
    for key, values in (("depend", package.depends), ("conflict", package.conflicts), ("replaces", package.replaces),
                        ("provides", package.provides), ("backup", package.backup)):  # fmt: skip
        lines += [(key, v) for v in values]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        add(archive, ".PKGINFO", "".join(f"{k} = {v}\n" for k, v in lines).encode())
        if package.script:
            add(archive, ".INSTALL", package.script.encode())
        seen: set[str] = set()
        for path, content in package.files.items():
            for parent in reversed([str(p) for p in Path(path).parents if str(p) != "."]):
                if parent not in seen:
                    seen.add(parent)
                    add(archive, parent, None)
            add(archive, path, content)
    return out.getvalue()


def desc_of(package: Built, data: bytes) -> str:
    size = sum(map(len, package.files.values()))
    rows = [("FILENAME", (package.file,)), ("NAME", (package.name,)), ("BASE", (package.base or package.name,)),
            ("VERSION", (package.version,)), ("DESC", ("built by a test",)), ("CSIZE", (str(len(data)),)),
            ("ISIZE", (str(size),)), ("MD5SUM", (hashlib.md5(data, usedforsecurity=False).hexdigest(),)),
            ("SHA256SUM", (hashlib.sha256(data).hexdigest(),)), ("ARCH", (package.architecture,)),
            ("BUILDDATE", ("1700000000",)), ("PACKAGER", ("Test <test@example.invalid>",)),
            ("REPLACES", package.replaces), ("CONFLICTS", package.conflicts), ("PROVIDES", package.provides),
            ("DEPENDS", package.depends)]  # fmt: skip
    return "".join(f"%{k}%\n" + "".join(f"{v}\n" for v in values) + "\n" for k, values in rows if values)


def add(archive: tarfile.TarFile, name: str, content: bytes | None) -> None:
    """A file, or a directory where there is no content."""
    info = tarfile.TarInfo(name)
    info.mtime, info.mode = EPOCH, 0o755 if content is None else 0o644
    if content is None:
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    else:
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
