"""What is installed, under the names that orders use: the owner's list says which product is which package. Pure.

A program that no list names gets a name of its own from its title: it is told, and no order can change it. A program of
one user carries that user in its label: who is not logged on cannot be installed for, so those are told too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.windows.listed import Catalogue, Listed
from brakeline.agent.providers.windows.programs import Program

UNKNOWN = "0"  # it is there, and does not say which version: older than any
_NOT = re.compile(r"[^a-z0-9.]+")
_VERSIONISH = re.compile(r"[^0-9A-Za-z.\-]+")


@dataclass(frozen=True, slots=True)
class Here:
    """One installed program as a package. `listed`: whether the owner's list has it."""

    package: Installed
    program: Program
    listed: bool = False


def here(programs: Iterable[Program], catalogue: Catalogue, held: frozenset[str] = frozenset()) -> tuple[Here, ...]:
    """Every program, by a name that no other has."""
    found: dict[tuple[str, str], Here] = {}
    for p in programs:
        mine = next((x for x in catalogue.packages if is_of(x, p)), None)
        label = label_of(p, mine)
        name = mine.name if mine else slug(p.name)
        if (name, label) in found:
            name = f"{name[:50]}.{_digest(f'{p.key} {p.version} {p.view}')}"
        state = "hi" if name in held else "ii"
        version = _VERSIONISH.sub("-", p.version).strip("-.")[:64] or UNKNOWN
        row = Installed(name, label, version, shown(p.name), version, state)
        found[name, label] = Here(row, p, mine is not None)
    return tuple(found[key] for key in sorted(found))


def is_of(listed: Listed, p: Program) -> bool:
    """Whether this program is a version of that package: by upgrade code, product code or key, never by its title."""
    if listed.kind == "msi":
        return bool(p.product) and (p.upgrade == listed.upgrade or p.product == listed.product)
    return not p.product and p.key.lower() == listed.key.lower()


def label_of(p: Program, listed: Listed | None = None) -> str:
    """x64, x86, or that and whose it is."""
    base = listed.architecture if listed is not None else "x64" if p.view == 64 else "x86"
    return f"{base}-user-{_digest(p.user)}" if p.user else base


def of_user(label: str) -> bool:
    return "-user-" in label


def shown(text: str, most: int = 120) -> str:
    """A text of somebody else's as it may stand in one field of ours: one line, printable, bounded."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())[:most]


def slug(title: str) -> str:
    return _NOT.sub("-", title.lower()).strip("-.")[:48].strip("-.") or "program"


def _digest(text: str) -> str:
    return hashlib.sha256(text.lower().encode(errors="surrogatepass")).hexdigest()[:8]
