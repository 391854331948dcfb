"""Python: METADATA of a wheel, PKG-INFO of an egg, as their bytes. Pure."""

from __future__ import annotations

from typing import Final

from brakeline.agent.software.model import Found, Unreadable, found

HEAD_BYTES_MAX: Final = 64 * 1024  # headers come first; a description of megabytes may follow


def read(data: bytes, where: str) -> Found:
    """The distribution that a METADATA or PKG-INFO names. Raises `Unreadable`."""
    head: dict[str, str] = {}
    for line in data[:HEAD_BYTES_MAX].decode("utf-8", "replace").splitlines():
        if not line:
            break  # the description begins
        key, colon, value = line.partition(":")
        if colon and key.lower() in ("name", "version"):
            head.setdefault(key.lower(), value.strip())
    if len(head) < 2:
        raise Unreadable("it names no package and version")
    return found("pypi", head["name"], head["version"], where)
