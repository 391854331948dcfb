"""Pure reading of pacman's local database: one directory a package, with `desc` and `files` in it.

States are told in dpkg's letters, which the rest of the product knows: "ii" installed, "hi" held by IgnorePkg or
IgnoreGroup, "iH" half-written by a lost run. Next: `queries` reads the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from brakeline.protocol.digests import package_key
from brakeline.protocol.messages import PackageChange

SOUND: Final = "ii"
HELD: Final = "hi"
BROKEN: Final = "iH"
Sections = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Installed:
    """One package as the local database has it. `explicit`: somebody asked for it by name."""

    name: str
    architecture: str
    version: str
    source: str
    state: str = SOUND
    installed_bytes: int = 0
    explicit: bool = True
    sections: Sections = field(default_factory=dict, compare=False, repr=False)

    @property
    def key(self) -> str:
        return package_key(self.name, self.architecture)

    @property
    def held(self) -> bool:
        return self.state[:1] == "h"

    @property
    def sound(self) -> bool:
        return self.state[1:] == "i"


def sections_of(text: str) -> dict[str, tuple[str, ...]]:
    """`%NAME%` and the lines below it, up to a blank one."""
    found: dict[str, tuple[str, ...]] = {}
    title, lines = "", list[str]()
    for line in [*text.splitlines(), ""]:
        if title and not line:
            found[title], title, lines = tuple(lines), "", []
        elif not title and line.startswith("%") and line.endswith("%"):
            title = line.strip("%")
        elif title:
            lines.append(line)
    return found


def installed_of(directory: str, desc: str | None) -> Installed:
    """One entry of the local database; without a readable `desc` it is what a lost run has left."""
    name, version = split_entry(directory)
    if not desc:
        return Installed(name, "", version, name, BROKEN)
    s = sections_of(desc)
    return Installed(
        first(s, "NAME") or name, first(s, "ARCH"), first(s, "VERSION") or version, first(s, "BASE") or name,
        installed_bytes=int(first(s, "SIZE") or 0), explicit=first(s, "REASON") != "1", sections=s,
    )  # fmt: skip


def first(sections: Sections, title: str) -> str:
    lines = sections.get(title, ())
    return lines[0] if lines else ""


def split_entry(directory: str) -> tuple[str, str]:
    """`name-version-release` -> (name, version-release)."""
    parts = directory.rsplit("-", 2)
    return (parts[0], f"{parts[1]}-{parts[2]}") if len(parts) == 3 else (directory, "")


def by_name(installed: Iterable[Installed]) -> dict[str, Installed]:
    """The sound entry of each package; a broken one only where there is no other."""
    found: dict[str, Installed] = {}
    for p in installed:
        if p.name not in found or not found[p.name].sound:
            found[p.name] = p
    return found


def problems_of(installed: Iterable[Installed], replaced: Iterable[str] = ()) -> tuple[str, ...]:
    """What is broken by the local database's own entries. `replaced`: is put there again, so that is no problem."""
    installed, again = tuple(installed), frozenset(replaced)
    broken = (p.name for p in installed if not p.sound and p.name not in again)
    found = [f"{name}: its database entry is incomplete (half-installed)" for name in broken]
    names = [p.name for p in installed if p.sound]
    twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    return tuple(found + [f"{n}: it is in the local database twice" for n in twice])


def changes_between(before: Iterable[Installed], after: Iterable[Installed]) -> tuple[PackageChange, ...]:
    """What differs, sorted by name; both sides as the local database had them."""
    was, now = by_name(before), by_name(after)
    found = []
    for name in sorted(was.keys() | now.keys()):
        old, new = was.get(name), now.get(name)
        if _told(old) != _told(new):
            either = new or old
            assert either is not None
            state = new.state if new else "un"
            found.append(
                PackageChange(name, either.architecture, old.version if old else "", new.version if new else "", state)
            )
    return tuple(found)


def _told(p: Installed | None) -> tuple[str, bool] | None:
    return (p.version, p.sound) if p is not None else None


def files_of(files: str) -> tuple[str, ...]:
    """Files of a package without their first slash (`files`, section FILES); directories are left out."""
    return tuple(line for line in sections_of(files).get("FILES", ()) if not line.endswith("/"))


def backups_of(files: str) -> dict[str, str]:
    """Configuration files of a package: path -> MD5 as the package brought it (`files`, section BACKUP)."""
    found = {}
    for line in sections_of(files).get("BACKUP", ()):
        path, _, md5 = line.partition("\t")
        found["/" + path] = md5
    return found
