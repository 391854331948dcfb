"""What went away on this machine that no package change explains: files of packages, units, accounts. Unprivileged.

A file counts as gone when a package lists it, it was there at the look before, it is missing at two looks, and the
package has not been changed in between: what an update drops is the update's own business. Directories are read anew
only when one of them has changed, so a quiet machine costs a dozen calls of stat. What cannot be read in time is not
told. Next: `harms`, which asks at each check-in and keeps `Kept` on disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

INFO: Final = "var/lib/dpkg/info"
PROGRAMS: Final = ("bin", "sbin", "lib", "usr/bin", "usr/sbin", "usr/lib", "usr/lib/systemd/system")
LIBRARIES: Final = "usr/lib/*-linux-*"  # of each architecture that is installed here
UNITS: Final = ("etc/systemd/system", "run/systemd/system")
ACCOUNTS: Final = "etc/passwd"
NO_SHELL: Final = ("nologin", "false", "sync", "shutdown", "halt")
LOOK_S_MAX: Final = 3.0
NAMED_MAX: Final = 10
MISSING_MAX: Final = 5_000  # more than this is a machine that leaves files out on purpose
ACCOUNTS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered between two looks, and over a restart. Times are the file system's, in nanoseconds."""

    gone: int = 0
    named: tuple[str, ...] = ()
    stamp: tuple[str, ...] = ()  # of the watched directories, when they were read
    looked_ns: int = 0  # 0 = never
    missing: dict[str, str] = field(default_factory=dict)  # path -> the package's list
    doubtful: dict[str, str] = field(default_factory=dict)  # the same, at the last look for the first time
    accounts: tuple[str, ...] = ()  # that ever had a shell


@dataclass(frozen=True, slots=True)
class Losses:
    """None = cannot be told."""

    files_gone: int | None
    units_masked: int | None
    accounts_closed: int | None


def look(root: Path, kept: Kept, now_ns: int, clock: Callable[[], float]) -> tuple[Losses, Kept]:
    """What is lost by now. `now_ns`: of the same clock as the file system's times; `clock` counts seconds."""
    kept, files = _files(root, kept, now_ns, clock() + LOOK_S_MAX, clock)
    here = shells(root)
    known = kept.accounts
    if here is not None:
        known = tuple(sorted({*known, *here})[:ACCOUNTS_MAX])
    closed = None if here is None else len(set(known) - here)
    return Losses(files, masked(root), closed), replace(kept, accounts=known)


# --- files ----------------------------------------------------------------------------------------------------------


def _files(root: Path, kept: Kept, now_ns: int, deadline_s: float,
           clock: Callable[[], float]) -> tuple[Kept, int | None]:  # fmt: skip
    if not (root / INFO).is_dir():
        return kept, None
    kept = _settle(root, kept)
    stamp = stamp_of(root)
    if kept.looked_ns and stamp == kept.stamp:
        return kept, kept.gone
    found = missing(root, deadline_s, clock)
    if found is None:
        return replace(kept, stamp=(), looked_ns=0, missing={}, doubtful={}), None
    fresh = {} if not kept.looked_ns else {
        path: of for path, of in found.items() if path not in kept.missing and _older(root, of, kept.looked_ns)
    }  # fmt: skip
    return replace(kept, stamp=stamp, looked_ns=now_ns, missing=found, doubtful=kept.doubtful | fresh), kept.gone


def _settle(root: Path, kept: Kept) -> Kept:
    """What was missing for the first time at the last look, and still is, is gone."""
    if not kept.doubtful:
        return kept
    sure = [p for p, of in kept.doubtful.items() if not os.path.lexists(root / p) and _older(root, of, kept.looked_ns)]
    named = (*(f"gone: /{p}" for p in sorted(sure)), *kept.named)[:NAMED_MAX]
    return replace(kept, gone=kept.gone + len(sure), named=named, doubtful={})


def _older(root: Path, of: str, than_ns: int) -> bool:
    """Whether this package is as it was then; a package that is not installed any more is not."""
    try:
        return os.stat(root / INFO / of).st_mtime_ns < than_ns
    except OSError:
        return False


def watched(root: Path) -> dict[str, Path]:
    """Directories whose own entries are looked at, by the names that packages have for them (/bin is /usr/bin)."""
    names = [*PROGRAMS, *sorted(str(p.relative_to(root)) for p in root.glob(LIBRARIES))]
    return {f"/{n}": (root / n).resolve() for n in names if (root / n).is_dir()}


def stamp_of(root: Path) -> tuple[str, ...]:
    return tuple(f"{p} {p.stat().st_mtime_ns}" for p in dict.fromkeys(watched(root).values()))


def missing(root: Path, deadline_s: float, clock: Callable[[], float]) -> dict[str, str] | None:
    """Files in watched directories that a package lists and that are not there, with the name of its list; None = not
    known in time."""
    try:
        there = {name: set(os.listdir(d)) for name, d in watched(root).items()}
        lists = sorted(e.name for e in os.scandir(root / INFO) if e.name.endswith(".list"))
        found: dict[str, str] = {}
        for name in lists:
            if clock() > deadline_s or len(found) > MISSING_MAX:
                return None
            with open(root / INFO / name, encoding="utf-8", errors="replace") as f:
                found |= dict.fromkeys(_absent(f, there), name)
    except OSError:
        return None  # a package was changed meanwhile: at the next check-in
    return found


def _absent(lines: Iterable[str], there: dict[str, set[str]]) -> list[str]:
    """Line by line: the agent must not grow by a list of a hundred thousand files."""
    found, below = [], tuple(f"{name}/" for name in there)
    for line in lines:
        if line.startswith(below):
            parent, _, name = line.rstrip("\n").rpartition("/")
            entries = there.get(parent)
            if entries is not None and name not in entries:
                found.append(f"{parent[1:]}/{name}")
    return found


# --- units and accounts ---------------------------------------------------------------------------------------------


def masked(root: Path) -> int | None:
    """Units that point to nowhere; None = this system has no such units."""
    found, seen = 0, False
    for directory in UNITS:
        try:
            with os.scandir(root / directory) as entries:
                found += sum(e.is_symlink() and os.readlink(e.path) == "/dev/null" for e in entries)
        except OSError:
            continue
        seen = True
    return found if seen else None


def shells(root: Path) -> set[str] | None:
    """Accounts that may log in, as far as the file that everybody may read says."""
    try:
        text = (root / ACCOUNTS).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    rows = [line.split(":") for line in text.splitlines()]
    return {r[0] for r in rows if len(r) == 7 and r[6].rpartition("/")[2] not in NO_SHELL}
