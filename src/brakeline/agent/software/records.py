"""The package databases of a root file system that is not this system's: dpkg's status, apk's installed. Pure.

What they tell is judged in the ecosystem of *their* os-release, whatever system the image lies on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from brakeline.agent.software.model import FOUND_PER_FILE_MAX, Found, Unreadable, found

RELEASES: Final = ("etc/os-release", "usr/lib/os-release")
DPKG, DPKG_PARTS, APK = "var/lib/dpkg/status", "var/lib/dpkg/status.d/", "lib/apk/db/installed"
RPM: Final = ("var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/Packages")


def is_wanted(path: str) -> bool:
    """Whether a file of an image tells what is in it."""
    return path in RELEASES or path in (DPKG, APK) or path.startswith(DPKG_PARTS) or path in RPM


def ecosystem_of(release: bytes) -> str:
    """`debian:12` of an os-release. Raises `Unreadable`."""
    said = {}
    for line in release[:16_384].decode("utf-8", "replace").splitlines():
        key, between, value = line.partition("=")
        if between:
            said[key.strip()] = value.strip().strip("\"'")
    name, version = said.get("ID", ""), said.get("VERSION_ID", "")
    if not name.replace("-", "").isalnum():
        raise Unreadable("its os-release does not say which system it is")
    return f"{name}:{version}" if version else name


def read(files: dict[str, bytes], where: str) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    """The packages of an image, from the files that `is_wanted` chose; and gaps. Raises `Unreadable`."""
    parts = [data for path, data in sorted(files.items()) if path == DPKG or path.startswith(DPKG_PARTS)]
    gaps = tuple(f"{where}: its rpm database is not read, so its packages are not known" for _ in _rpm(files))
    if not parts and APK not in files:
        return (), gaps or (f"{where}: it has no package database that is known here",)
    release = next((files[path] for path in RELEASES if path in files), b"")
    ecosystem = ecosystem_of(release)
    items = [*_dpkg(b"\n\n".join(parts), ecosystem, where), *_apk(files.get(APK, b""), ecosystem, where)]
    if len(items) > FOUND_PER_FILE_MAX:
        raise Unreadable(f"it has more than {FOUND_PER_FILE_MAX} packages")
    return tuple(items), gaps


def _rpm(files: dict[str, bytes]) -> Sequence[str]:
    return [path for path in RPM if path in files][:1]


def _dpkg(data: bytes, ecosystem: str, where: str) -> Iterator[Found]:
    for said in _paragraphs(data, ": "):
        if " installed" not in said.get("Status", " installed"):  # a part of distroless has no status: it is there
            continue
        name, version = said.get("Package", ""), said.get("Version", "")
        if name and version:
            source, _, rest = said.get("Source", name).partition(" ")
            yield found(ecosystem, name, version, where, source, rest.strip("()") or version)


def _apk(data: bytes, ecosystem: str, where: str) -> Iterator[Found]:
    for said in _paragraphs(data, ":"):
        if said.get("P") and said.get("V"):
            yield found(ecosystem, said["P"], said["V"], where, said.get("o", said["P"]), said["V"])


def _paragraphs(data: bytes, sign: str) -> Iterator[dict[str, str]]:
    for text in data.decode("utf-8", "replace").split("\n\n"):
        said: dict[str, str] = {}
        for line in text.splitlines():
            key, between, value = line.partition(sign)
            if between and not line.startswith(" "):
                said.setdefault(key, value.strip())
        if said:
            yield said
