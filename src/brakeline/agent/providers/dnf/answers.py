"""Pure: what the child said, typed. A package is known by name, architecture and version: rpm may have several.

Versions are written `[epoch:]version-release`, without an epoch of 0, as `core.rpmversion` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from brakeline.core.debversion import BadVersion
from brakeline.core.rpmversion import rpm_key
from brakeline.protocol.messages import Package, PendingUpdate, UpdateState

MARK: Final = "\x1ebrakeline-dnf "  # the same as in `child`, which stands alone
ECOSYSTEM: Final = "rpm"


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed package."""

    name: str
    architecture: str
    version: str
    source: str = ""
    source_version: str = ""
    origin: str = ""  # the repository it came from, as dnf's history has it; else its vendor
    several: bool = False  # versions of it lie beside each other: kernels
    installed_s: int = 0
    state: str = "ii"
    module: str = ""  # label of the module that it was built in, where somebody asked for it

    @property
    def key(self) -> str:
        return f"{self.name}:{self.architecture}"


def answer_of(text: str) -> dict[str, Any] | None:
    """The child's answer out of everything that was printed; None = it never came to one."""
    _, mark, line = text.rpartition(MARK)
    try:
        found = json.loads(line.splitlines()[0]) if mark else None
    except (ValueError, IndexError):
        return None
    return found if isinstance(found, dict) else None


def installed_of(rows: Iterable[Mapping[str, Any]]) -> tuple[Installed, ...]:
    """Sorted by name, architecture, version."""
    return tuple(sorted(map(_installed, rows), key=lambda p: (p.name, p.architecture, version_key(p.version))))


def _installed(row: Mapping[str, Any]) -> Installed:
    source, version = source_of(str(row["source"]), int(row["epoch"]))
    return Installed(
        row["name"], row["arch"], row["version"], source or row["name"], version or row["version"],
        row["origin"] or row["vendor"], bool(row["several"]), int(row["installed_s"]),
        module=str(row.get("module", "")),
    )  # fmt: skip


def source_of(sourcerpm: str, epoch: int) -> tuple[str, str]:
    """Name and version of a source package by its file name, which has no epoch: that of its packages is taken."""
    name, _, release = sourcerpm.removesuffix(".rpm").removesuffix(".src").removesuffix(".nosrc").rpartition("-")
    name, _, version = name.rpartition("-")
    return (name, (f"{epoch}:" if epoch else "") + f"{version}-{release}") if name else ("", "")


def version_key(version: str) -> bytes:
    """rpm's order; what is no version comes first."""
    try:
        return rpm_key(version)
    except BadVersion:
        return b""


def packages_of(installed: Iterable[Installed], held: frozenset[str]) -> tuple[Package, ...]:
    """The inventory: one row a name and architecture, of several kernels the newest."""
    newest = {p.key: p for p in installed}  # they come in rising order
    return tuple(
        Package(p.name, p.architecture, p.version, p.source, p.source_version, "hi" if p.key in held else p.state,
                p.origin, ECOSYSTEM, module=p.module)
        for p in newest.values()
    )  # fmt: skip


def pending_of(rows: Iterable[Mapping[str, Any]]) -> tuple[PendingUpdate, ...]:
    """What waits. Security is what the vendor's advisory says; the advisories stand beside the repository."""
    return tuple(
        PendingUpdate(
            r["name"], r["arch"], r["installed"], r["candidate"], " ".join((r["repository"], *r["advisories"])),
            bool(r["security"]), UpdateState(r["state"]), _reason(r), int(r["size"]),
        )
        for r in rows
    )  # fmt: skip


def _reason(row: Mapping[str, Any]) -> str:
    was, new = row["vendor"]
    changed = f"Its vendor changes from {was} to {new}." if was and new and was != new else ""
    return " ".join(filter(None, (str(row["reason"]), changed)))
