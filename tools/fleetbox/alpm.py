"""Packages and a database of pacman, written as makepkg and repo-add write them, every field ours to bend.

Real formats without an Arch machine: Debian has no repo-add that could be used here.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
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


def database(packages: Iterable[Built], directory: Path) -> bytes:
    """The sync database over these packages, whose files lie in `directory`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for package in packages:
            data = (directory / package.file).read_bytes()
            add(archive, f"{package.name}-{package.version}/desc", desc_of(package, data).encode())
    return out.getvalue()


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
