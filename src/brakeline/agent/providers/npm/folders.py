"""What is installed in npm's global folders, read from the packages' own files; no Node.js and no npm is started.

A package is sound when its package.json can be read. What belongs to the system's package manager, and what is a link
to a directory elsewhere (`npm link`), is somebody else's: the first is not inventoried, the second is held.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brakeline.agent.npm_sites import names, npm_folders
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.npm.answers import labelled

HOLDS = "/etc/brakeline/npm.hold"  # names of packages that their owner keeps as they are, one a line
DEPTH_MAX = 40  # trees deeper than this are no trees
_ASIDE = re.compile(r"\.[^/]+-[A-Za-z0-9]{8}|\.brakeline-(new|old)-.+")  # the first is how npm names it
OWNERS = (("dpkg-query", "-S"), ("rpm", "-qf"), ("pacman", "-Qo"))


@dataclass(frozen=True, slots=True)
class Folder:
    """One global folder; paths as the endpoint names them."""

    label: str
    prefix: str

    @property
    def modules(self) -> str:
        return f"{self.prefix}/lib/node_modules"

    def home(self, app: str) -> str:
        return f"{self.modules}/{app}"


def folders(runner: Runner) -> tuple[Folder, ...]:
    """All there are."""
    return tuple(Folder(label, prefix) for label, prefix in npm_folders(runner.path("/")))


def apps(runner: Runner, folder: Folder) -> tuple[str, ...]:
    """The global packages of a folder that are npm's, and not the system's package manager's."""
    found = tuple(names(runner.path(folder.modules)))
    if folder.prefix != "/usr":
        return found
    return tuple(name for name in found if not _owned(runner, folder.home(name)))


def _owned(runner: Runner, path: str) -> bool:
    """Whether the system's package manager has put a package there. One that is not there owns nothing."""
    return any(runner.query(*ask, f"{path}/package.json").rc == 0 for ask in OWNERS
               if runner.path(f"/usr/bin/{ask[0]}").exists())  # fmt: skip


def holds(runner: Runner) -> frozenset[str]:
    """What the owner keeps as it is. A list that is there and cannot be read is an `OSError`: it may say anything."""
    try:
        lines = runner.path(HOLDS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return frozenset()
    return frozenset(line.partition("#")[0].strip() for line in lines)


def installed(runner: Runner, folder: Folder) -> tuple[Installed, ...]:
    """Every package of a folder and of the trees below them."""
    held = holds(runner)
    return tuple(p for app in apps(runner, folder) for p in tree(runner, folder, app, held))


def tree(runner: Runner, folder: Folder, app: str, held: frozenset[str]) -> Iterator[Installed]:
    """One global package first, then what it needs."""
    home = runner.path(folder.home(app))
    kept = app in held or home.is_symlink()
    pieces, broken = contents(home, app)
    for (name, label), version in labelled(app, folder.label, pieces).items():
        top = (name, label) == (app, folder.label)
        whole = bool(version) and not (top and broken)
        state = ("h" if kept and top else "i") + ("i" if whole else "HR")
        yield Installed(name, label, version or "unknown", name, version or "unknown", state)


def contents(home: Path, app: str) -> tuple[tuple[tuple[str, str], ...], bool]:
    """(name, version) of everything in the tree of one package, itself first; whether any of it cannot be read."""
    top = manifest(home)
    found, broken = [(app, str(top.get("version", "")))], not top
    if not home.is_symlink():
        for directory in below(home):
            values = manifest(directory)
            broken = broken or not values
            name = directory.relative_to(home).as_posix().rpartition("node_modules/")[2]
            found.append((str(values.get("name") or name), str(values.get("version", ""))))
    return tuple(found), broken


def below(home: Path, depth: int = 0) -> Iterator[Path]:
    """The directory of every package below one."""
    modules = home / "node_modules"
    for name in names(modules) if depth < DEPTH_MAX else ():
        if not (modules / name).is_symlink() and (modules / name).is_dir():
            yield modules / name
            yield from below(modules / name, depth + 1)


def manifest(directory: Path) -> dict[str, object]:
    """The package.json of a package; {} = none that could be read."""
    try:
        found = json.loads((directory / "package.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def leftovers(runner: Runner, folder: Folder) -> tuple[str, ...]:
    """Directories that npm, or a way back, has put aside and never taken away: it was ended in the middle."""
    modules = runner.path(folder.modules)
    places = [modules, *(modules / n for n in os.listdir(modules) if n.startswith("@"))]
    return tuple(
        f"{folder.modules}/{(place / name).relative_to(modules).as_posix()}"
        for place in places
        for name in sorted(os.listdir(place))
        if _ASIDE.fullmatch(name)
    )


def foreign(runner: Runner, folder: Folder) -> str:
    """ "" or why what lies in this folder must not be touched as root: others could have written it."""
    for path in (folder.prefix, f"{folder.prefix}/bin", f"{folder.prefix}/lib", folder.modules):
        try:
            s = os.stat(runner.path(path))
        except FileNotFoundError:
            continue
        by_group = s.st_mode & stat.S_IWGRP and s.st_gid != 0
        if s.st_uid != 0 or by_group or s.st_mode & stat.S_IWOTH:
            return f"{path} can be written by others than root"
    return ""


def damage(stage: Path, live: Path) -> str:
    """ "" or the first file of the stage that is not in the live tree as it was unpacked."""
    for directory, _, files in os.walk(stage):
        for name in sorted(files):
            here = Path(directory) / name
            there = live / here.relative_to(stage)
            try:
                same = here.is_symlink() or here.read_bytes() == there.read_bytes()
            except OSError:
                same = False
            if not same:
                return f"{here.relative_to(stage)} is missing or not what was unpacked"
    return ""


def size_of(directory: Path) -> int:
    """What the files below a directory come to, in whole blocks."""
    return sum(
        -(-os.lstat(os.path.join(place, name)).st_size // 4096) * 4096
        for place, _, names in os.walk(directory)
        for name in names
    )
