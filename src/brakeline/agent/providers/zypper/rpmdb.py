"""Pure: what rpm's records say is installed. One line a package, in a format of ours.

A package may be there in several versions: kernels, which are made for it (`multiversion(…)`), and what an interrupted
run has left. The second is a fault that rpm and zypper report nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from brakeline.core.debversion import BadVersion
from brakeline.core.rpmversion import rpm_key
from brakeline.protocol.messages import Package, PackageChange

EVR: Final = "%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}"
FIELDS: Final = ("%{NAME}", "%{ARCH}", EVR, "%{SOURCERPM}", "%{VENDOR}", "%{SIZE}", "%{INSTALLTIME}", "%{SHA256HEADER}")
FORMAT: Final = "\\t".join(("@", *FIELDS)) + "\\n"
NONE: Final = "(none)"
KEYS: Final = "gpg-pubkey"  # trusted keys are kept as packages that are none


@dataclass(frozen=True, slots=True)
class Installed:
    """One version of one package, as rpm has it (of a file: as it would have it)."""

    name: str
    architecture: str
    version: str  # [epoch:]version-release
    source: str = ""
    source_version: str = ""
    vendor: str = ""
    size: int = 0
    installed_s: int = 0
    identity: str = ""  # SHA-256 of its header: rpm keeps it, and every file of this very package has it

    @property
    def key(self) -> str:
        return f"{self.name}:{self.architecture}"


def parse(text: str) -> tuple[Installed, ...]:
    """The answer of rpm in FORMAT; what is no such line (warnings) is passed over."""
    found = []
    for line in text.splitlines():
        cells = line.split("\t")
        if cells[0] == "@" and len(cells) == len(FIELDS) + 1 and cells[1] != KEYS:
            cells = ["" if c == NONE else c for c in cells]
            source, source_version = source_of(cells[4])
            size, when = (int(c) if c.isdigit() else 0 for c in cells[6:8])
            name, architecture, version = cells[1:4]
            found.append(
                Installed(
                    name,
                    architecture,
                    version,
                    source or name,
                    source_version or version,
                    cells[5],
                    size,
                    when,
                    cells[8],
                )
            )
    return tuple(found)


def source_of(file: str) -> tuple[str, str]:
    """Name and version of the source package: `libfoo-1.0-1.src.rpm` -> (libfoo, 1.0-1)."""
    stem = file.removesuffix(".rpm").rpartition(".")[0]
    parts = stem.rsplit("-", 2)
    return (parts[0], f"{parts[1]}-{parts[2]}") if len(parts) == 3 else ("", "")


def is_older(left: str, right: str) -> bool:
    """`left` < `right` by rpm's order; a version that is none is older than nothing."""
    try:
        return rpm_key(left) < rpm_key(right)
    except BadVersion:
        return False


def versions(installed: Iterable[Installed]) -> dict[str, tuple[str, ...]]:
    """`name:architecture` -> the versions that are there, oldest first."""
    found: dict[str, list[str]] = {}
    for p in installed:
        mine = found.setdefault(p.key, [])
        at = next((i for i, v in enumerate(mine) if is_older(p.version, v)), len(mine))
        mine.insert(at, p.version)
    return {key: tuple(v) for key, v in found.items()}


def doubled(installed: Iterable[Installed], several: frozenset[str]) -> tuple[str, ...]:
    """Packages that are recorded in two versions and not made for it: an interrupted run. `several`: names that are."""
    twice = {k: v for k, v in versions(installed).items() if len(v) > 1 and k.partition(":")[0] not in several}
    return tuple(
        f"{key.partition(':')[0]}: recorded in versions {' and '.join(v)} at once, from an interrupted run"
        for key, v in sorted(twice.items())
    )


def packages(installed: Iterable[Installed], held: Mapping[str, str]) -> tuple[Package, ...]:
    """As the cell is told it. `held`: `name:architecture` -> the lock that holds it."""
    return tuple(
        Package(
            p.name, p.architecture, p.version, p.source, p.source_version,
            "hi" if p.key in held else "ii", p.vendor, "rpm",
        )
        for p in sorted(installed, key=lambda p: (p.name, p.architecture, p.version))
    )  # fmt: skip


def changes_between(before: Iterable[Installed], after: Iterable[Installed]) -> tuple[PackageChange, ...]:
    """What is different, one line a package; of several versions the newest speaks."""
    was, now = versions(before), versions(after)
    changed = sorted(k for k in was.keys() | now.keys() if was.get(k, ()) != now.get(k, ()))
    return tuple(_change(key, was.get(key, ()), now.get(key, ())) for key in changed)


def _change(key: str, was: tuple[str, ...], now: tuple[str, ...]) -> PackageChange:
    name, _, architecture = key.partition(":")
    return PackageChange(name, architecture, was[-1] if was else "", now[-1] if now else "", "ii" if now else "")


def changed_configuration(text: str) -> tuple[str, ...]:
    """Configuration files in an answer of `rpm --verify` that are gone or not as their package brought them."""
    lines = (line.split(None, 2) for line in text.splitlines())
    return tuple(
        cells[2]
        for cells in lines
        if len(cells) == 3 and cells[1] == "c" and (cells[0] == "missing" or "5" in cells[0])
    )
