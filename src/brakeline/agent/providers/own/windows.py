"""Which own packages are on a Windows endpoint, by what its registry and its files say. Pure; reads what it is handed.

Made of recordings and *not run on the real system*; no provider runs own packages on Windows yet. What is there without
a version that could be compared is `0`: older than any.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, Protocol

from brakeline.agent.providers.windows.programs import Program
from brakeline.protocol.software import Detection, Look
from brakeline.protocol.software_rules import VERSION

UNKNOWN: Final = "0"
HEADERS_BYTES: Final = 4096
RESOURCES_BYTES_MAX: Final = 8 * 1024 * 1024
SECTIONS_MAX: Final = 96
_INFO: Final = "VS_VERSION_INFO".encode("utf-16-le")
_FIXED: Final = struct.pack("<I", 0xFEEF04BD)


class Recorded(Protocol):
    """What a Windows endpoint says of itself."""

    def programs(self) -> tuple[Program, ...]: ...
    def value(self, key: str, name: str) -> str | None: ...  # of a key as `HKLM/SOFTWARE/…`; None = there is none
    def read(self, path: str, offset: int, size: int) -> bytes | None: ...  # None = there is no such file


def look(detection: Detection, machine: Recorded) -> str:
    """The version that is here, "" = none."""
    match detection.kind:
        case Look.PROGRAM:
            return _newest(p.version for p in machine.programs() if named(detection.package, p.name))
        case Look.MSI:
            code = detection.package
            return _newest(p.version for p in machine.programs() if code in (p.product, p.upgrade))
        case Look.REGISTRY:
            said = machine.value(detection.path, detection.package)
            return "" if said is None else _comparable(said)
        case Look.FILE_VERSION:
            return file_version(detection.path, machine)
        case _:
            return ""


def named(wanted: str, name: str) -> bool:
    """As a person sees it in the list of programs; a `*` at the end stands for the rest."""
    if wanted.endswith("*"):
        return name.lower().startswith(wanted[:-1].lower())
    return name.lower() == wanted.lower()


def _newest(versions: Iterable[str]) -> str:
    found = [_comparable(v) for v in versions]
    return max(found, key=_numbers, default="")


def _comparable(version: str) -> str:
    text = version.strip().removeprefix("v")
    return text if VERSION.fullmatch(text) else UNKNOWN


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else -1 for part in version.replace("-", ".").split("."))


def file_version(path: str, machine: Recorded) -> str:
    """The version in the fixed part of a program file's version resource, "" = there is no such file."""
    head = machine.read(path, 0, HEADERS_BYTES)
    if head is None:
        return ""
    place = _resources(head)
    data = machine.read(path, *place) if place else None
    at = data.find(_INFO) if data else -1
    at = data.find(_FIXED, at) if data and at >= 0 else -1
    if not data or at < 0 or at + 16 > len(data):
        return UNKNOWN
    high, low = struct.unpack_from("<II", data, at + 8)
    return f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"


def _resources(head: bytes) -> tuple[int, int] | None:
    """(offset, size) of the section `.rsrc` of a PE file."""
    if len(head) < 64 or head[:2] != b"MZ":
        return None
    begin = int(struct.unpack_from("<I", head, 60)[0])
    if head[begin : begin + 4] != b"PE\0\0" or begin + 24 > len(head):
        return None
    sections, optional = struct.unpack_from("<H", head, begin + 6)[0], struct.unpack_from("<H", head, begin + 20)[0]
    for n in range(min(sections, SECTIONS_MAX)):
        at = begin + 24 + optional + 40 * n
        if at + 40 > len(head):
            return None
        if head[at : at + 8].rstrip(b"\0") == b".rsrc":
            size, offset = struct.unpack_from("<II", head, at + 16)
            return offset, min(size, RESOURCES_BYTES_MAX)
    return None
