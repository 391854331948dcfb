"""Words of the search for software: what was found, what could not be read, and within which bounds. Pure.

Names and versions come from files that anybody may have written: `found` takes nothing that could not be a name, so
that neither a table, a log line nor a file of ours is broken by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.protocol.managers import found_label
from brakeline.protocol.messages import Package

NAME_CHARS_MAX: Final = 200
VERSION_CHARS_MAX: Final = 100
WHERE_CHARS_MAX: Final = 500
FOUND_PER_FILE_MAX: Final = 2000  # dependencies of one program, packages of one image
OWNED_ORIGIN: Final = "part of a system package"  # a cell that does not know `owner` takes it for a third party's


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one look may cost at most. Each of them ends the look in order; what was known of the rest stays."""

    cpu_s: float = 30.0  # of the 120 s that a scan child has
    wall_s: float = 90.0  # of the 300 s, in which a package manager wants to answer too
    directories: int = 60_000
    entries: int = 20_000  # of one directory: where more lie, it is a store of data
    depth: int = 24
    found: int = 8_000  # together with the system's packages below what one inventory may hold


@dataclass(frozen=True, slots=True)
class Found:
    """One piece of software. `path`: the file that says so, by which its owner is looked up."""

    ecosystem: str  # pypi | npm | rubygems | maven | golang | crates.io | debian:12 | alpine:3.19 …
    name: str
    version: str
    where: str
    source: str = ""
    source_version: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What one file says. `untold`: why more is in it than can be told; no news where a system package owns it."""

    items: tuple[Found, ...] = ()
    gaps: tuple[str, ...] = ()
    untold: str = ""


NOTHING: Final = Told()


class Unreadable(ValueError):
    """A file that is not what its name says, or that goes beyond a bound; the text is for people."""


def found(ecosystem: str, name: str, version: str, where: str, source: str = "", source_version: str = "") -> Found:
    """Raises `Unreadable` for what could be no name or version."""
    for what, text, most in (("name", name, NAME_CHARS_MAX), ("version", version, VERSION_CHARS_MAX)):
        if not text or len(text) > most or not text.isprintable() or any(c.isspace() for c in text):
            raise Unreadable(f"its {what} is none: {text[:40]!r}")
    return Found(ecosystem, name, version, where, source, source_version)


def shown(path: str) -> str:
    """A path as text that can be stored and shown whatever bytes it has."""
    text = path.encode("utf-8", "backslashreplace").decode()
    if not text.isprintable():
        text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return text if len(text) <= WHERE_CHARS_MAX else f"{text[: WHERE_CHARS_MAX - 1]}…"


def packages(items: tuple[Found, ...]) -> tuple[Package, ...]:
    """As an inventory tells them: one row each, sorted; equal names at one place are told apart."""
    made: dict[tuple[str, str], Package] = {}
    for item in sorted(set(items), key=lambda f: (f.ecosystem, f.name, f.where, f.version)):
        again, label = 0, found_label(item.ecosystem, item.where)
        while (item.name, label) in made:
            again += 1
            label = found_label(item.ecosystem, item.where, again)
        made[item.name, label] = Package(
            item.name, label, item.version, item.source or item.name, item.source_version or item.version, "ii",
            OWNED_ORIGIN if item.owner else "", item.ecosystem, item.owner, "", item.where,
        )  # fmt: skip
    return tuple(made.values())
