"""A recorded Windows or macOS as the product that its vendor's advisories speak of. Pure; *not run on real systems*.

Microsoft names a product by release, version and architecture ("Windows 11 Version 23H2 for x64-based Systems"), a
server by its year and how it was installed; builds compare. Apple's advisories speak of a version of macOS. What cannot
be told for certain answers None: a product that is guessed would be judged by another's advisories.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

MICROSOFT, APPLE = "microsoft", "macos"
CLIENT: Final = re.compile(r"(?:Microsoft )?Windows (10|11)\b.{0,80}")
SERVER: Final = re.compile(r"(?:Microsoft )?Windows Server (20[0-9]{2})( R2)?\b.{0,80}")
VERSION: Final = re.compile(r"[0-9]{2}H[12]|1[5-9][0-9]{2}|20[0-9]{2}")
BUILD: Final = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{3,6}\.[0-9]{1,6}")
SYSTEMS: Final = {"AMD64": "x64-based", "X64": "x64-based", "X86": "32-bit", "ARM64": "ARM64-based"}
MAC: Final = re.compile(r"(?:macOS |OS X )?(([0-9]{2})(?:\.[0-9]{1,3}){0,2})(?: \([0-9A-Za-z.]{1,20}\))?")
CORE: Final = "Server Core"


class System(NamedTuple):
    """What a system is judged as; `version` is its build on Windows."""

    product: str
    version: str
    ecosystem: str


def windows(said: dict[str, Any]) -> System | None:
    """Of `System` (its caption), `Version` (23H2), `Build` (10.0.22631.3296), `Architecture`, `Installation`."""
    caption, build = _text(said, "System"), _text(said, "Build")
    if not BUILD.fullmatch(build):
        return None
    if server := SERVER.fullmatch(caption):
        core = f" ({CORE} installation)" if _text(said, "Installation") == CORE else ""
        return System(f"Windows Server {server[1]}{server[2] or ''}{core}", build, MICROSOFT)
    client, version = CLIENT.fullmatch(caption), _text(said, "Version")
    systems = SYSTEMS.get(_text(said, "Architecture").upper())
    if client is None or systems is None or not VERSION.fullmatch(version):
        return None
    return System(f"Windows {client[1]} Version {version} for {systems} Systems", build, MICROSOFT)


def mac(os_version: str) -> System | None:
    """Of what `system_profiler` calls it: "macOS 14.5 (23F79)"."""
    found = MAC.fullmatch(os_version.strip())
    return System(APPLE, found[1], f"{APPLE}:{found[2]}") if found else None


def _text(said: dict[str, Any], key: str) -> str:
    value = said.get(key)
    return value.strip()[:200] if isinstance(value, str) else ""
