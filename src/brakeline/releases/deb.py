"""Writes the .deb by itself: ar, two tars, xz. No dpkg-deb, no root, no temporary directory.

Invariants: the bytes follow from the package alone, because every owner, mode, time, order and the compressor's
settings stand here; directories come before what is in them, root owns all. Checked by dpkg, apt and lintian in tests.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.releases.build import PYTHON_NEEDED
from brakeline.releases.packages import (
    DESCRIPTION,
    FIXED_S,
    MAINTAINER,
    NAME,
    SUMMARY,
    File,
    Package,
    recipe,
)

ARCHITECTURES: Final = {"": "all", "x86_64": "amd64", "aarch64": "arm64"}
XZ_PRESET: Final = 6  # dpkg-deb's own
COPYRIGHT: Final = """Brakeline is Copyright 2026 the authors of Brakeline.

Licence: Apache-2.0. On Debian systems its full text is in /usr/share/common-licenses/Apache-2.0.
"""


def file_name(package: Package) -> str:
    """As apt repositories call it."""
    return f"{NAME}_{package.version}_{architecture(package)}.deb"


def architecture(package: Package) -> str:
    """Debian's name of the machine. `Invalid` for one that we do not know."""
    if package.machine not in ARCHITECTURES:
        raise Invalid(f"no .deb is built for {package.machine!r}; for {', '.join(a for a in ARCHITECTURES if a)}")
    return ARCHITECTURES[package.machine]


def build(package: Package) -> bytes:
    """The whole file."""
    files = {**package.files, **_debian_documents(package)}
    for name in [n for n in files if n.startswith("usr/share/man/")]:
        files[name + ".gz"] = File(_gzipped(files.pop(name).data))
    control = {name: File(text.encode(), mode) for name, text, mode in _control(package, files)}
    members = {"debian-binary": b"2.0\n", "control.tar.xz": _tar(control), "data.tar.xz": _tar(files)}
    return b"!<arch>\n" + b"".join(_member(name, data) for name, data in members.items())


def _member(name: str, data: bytes) -> bytes:
    head = f"{name:<16}{FIXED_S:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
    return head.encode("ascii") + data + b"\n" * (len(data) % 2)


def _tar(files: Mapping[str, File]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder in _folders(files):
            tar.addfile(_entry(folder, 0o755, kind=tarfile.DIRTYPE))
        for name in sorted(files):
            file = files[name]
            tar.addfile(_entry(f"./{name}", file.mode, len(file.data)), io.BytesIO(file.data))
    return lzma.compress(out.getvalue(), lzma.FORMAT_XZ, lzma.CHECK_CRC64, XZ_PRESET)


def _folders(names: Mapping[str, File]) -> list[str]:
    """Every directory above the files, each after the one that it is in."""
    parents = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    return ["./" if one == "." else f"./{one}/" for one in sorted(parents)]


def _entry(name: str, mode: int, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.mtime = kind, mode, size, FIXED_S
    entry.uname = entry.gname = "root"
    return entry


def _control(package: Package, files: Mapping[str, File]) -> Iterator[tuple[str, str, int]]:
    """(name, text, mode) of everything beside the data: what it is, its sums, its scripts."""
    scripts = package.scripts
    yield "control", _about(package, files), 0o644
    yield "md5sums", "".join(f"{_md5(f.data)}  {n}\n" for n, f in sorted(files.items())), 0o644
    yield "preinst", _script({"install|upgrade": scripts.before_install}), 0o755
    yield "postinst", _script({"configure": scripts.after_install}), 0o755
    yield "prerm", _script({"remove": scripts.before_remove}), 0o755
    yield "postrm", _script({"remove": scripts.after_remove, "purge": scripts.purge}), 0o755


def _script(cases: Mapping[str, str]) -> str:
    """Debian calls each script with what is going on; in every other case there is nothing to do."""
    bodies = "".join(f"{case})\n{body.rstrip()}\n;;\n" for case, body in cases.items())
    return f'#!/bin/sh\nset -e\ncase "$1" in\n{bodies}esac\nexit 0\n'


def _about(package: Package, files: Mapping[str, File]) -> str:
    python = f"libc6 (>= {package.glibc})" if package.machine else f"python3 (>= {PYTHON_NEEDED})"
    fields = {
        "Package": NAME, "Version": package.version, "Architecture": architecture(package),
        "Maintainer": MAINTAINER, "Installed-Size": str(sum(-(-len(f.data) // 1024) for f in files.values())),
        "Depends": f"{python}, systemd", "Section": "admin", "Priority": "optional",
        "Description": "\n ".join((SUMMARY, *DESCRIPTION)),
    }  # fmt: skip
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


def _debian_documents(package: Package) -> dict[str, File]:
    """What Debian's policy wants to find: licence, changelog, and why some of its advice is not followed."""
    when = datetime.fromtimestamp(FIXED_S, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
    log = f"{NAME} ({package.version}) stable; urgency=medium\n\n  * See CHANGELOG.md of the source.\n\n"
    folder = f"usr/share/doc/{NAME}"
    overrides = recipe("lintian-overrides") + recipe(f"lintian-overrides-{'private' if package.machine else 'system'}")
    return {
        f"usr/share/lintian/overrides/{NAME}": File(overrides.encode()),
        f"{folder}/copyright": File(COPYRIGHT.encode()),
        f"{folder}/changelog.gz": File(_gzipped(f"{log} -- {MAINTAINER}  {when}\n".encode())),
    }


def _gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
