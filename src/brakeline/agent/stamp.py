"""Reads the stamp of everything that a scan depends on: calls of stat and four tiny files, about a millisecond.

The resident agent takes it before each periodic scan, the scan itself before it looks. What the two parts are for
is told in `rescan`. Which files those are, `WATCHED` says of each manager of a system. Phased updates need no clock
here: apt decides them by machine-id, version and the percentage that the lists say, and all three are in the stamp.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brakeline.agent import facts, system_manager
from brakeline.agent.clock import boot_id
from brakeline.agent.npm_sites import npm_places
from brakeline.agent.python_sites import python_sites
from brakeline.agent.rescan import Stamp

LISTS = "var/lib/apt/lists"
PIP_LISTS = "var/cache/brakeline/pip-lists.json"  # what the last refresh found newer, per Python environment
NPM_FILES = ("var/cache/brakeline/npm-lists.json", "etc/brakeline/npm.hold")
OWN = "var/lib/brakeline-own"  # records of own packages
OWN_FILES = ("etc/brakeline/authors.json", "etc/brakeline/own.hold")
FLATPAK_FILES = (  # flatpak touches the first whenever anything is deployed
    "var/lib/flatpak/.changed", "var/lib/flatpak/repo/config", "var/cache/brakeline/flatpak-lists.json",
)  # fmt: skip
BREW = ("opt/homebrew", "usr/local", "home/linuxbrew/.linuxbrew")
BREW_FILES = ("var/cache/brakeline/brew-lists.json", *(
    f"{prefix}/{place}" for prefix in BREW for place in ("opt", "Caskroom", "var/homebrew/pinned")
))  # fmt: skip
SNAP_FILES = ("var/cache/brakeline/snap-lists.json", "var/lib/snapd/state.json")  # the second whenever it did anything
FWUPD_FILES = ("var/lib/fwupd/pending.db", "etc/fwupd/fwupd.conf", "var/cache/brakeline/fwupd-lists.json",
               "etc/brakeline/fwupd.hold")  # fmt: skip
FWUPD_REMOTES = "etc/fwupd/remotes.d"


@dataclass(frozen=True, slots=True)
class Watched:
    """What packages and updates of a manager follow from (slow), and its health (quick). `nested`: of each directory
    in the first, the file that the second names."""

    slow_files: tuple[str, ...]
    slow_directories: tuple[str, ...]
    quick_files: tuple[str, ...]
    nested: tuple[tuple[str, str], ...] = ()


RPM = tuple(f"{d}/{f}" for d in ("var/lib/rpm", "usr/lib/sysimage/rpm")
            for f in ("rpmdb.sqlite", "rpmdb.sqlite-wal", "Packages.db", "Packages"))  # fmt: skip
WATCHED = {
    "apt": Watched(
        ("var/lib/dpkg/status", "var/lib/dpkg/arch", "var/lib/apt/extended_states", "etc/apt/sources.list",
         "etc/apt/preferences", "etc/apt/apt.conf", "etc/machine-id", "usr/bin/apt-get"),
        (LISTS, "var/lib/dpkg/updates", "etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d"),
        ("usr/sbin/needrestart", "var/lib/dpkg/info", "var/cache/brakeline/apt-refresh.json"),
    ),
    "dnf": Watched(
        (*RPM, "etc/dnf/dnf.conf", "etc/dnf/plugins/versionlock.list", "usr/bin/dnf"),
        ("var/cache/dnf", "etc/yum.repos.d", "etc/dnf/vars", "etc/yum/vars", "etc/dnf/modules.d"),
        ("var/cache/brakeline/dnf-lists.json",),
    ),
    "zypper": Watched(
        (*RPM, "etc/zypp/zypp.conf", "etc/zypp/zypper.conf", "etc/zypp/locks", "usr/bin/zypper"),
        ("etc/zypp/repos.d", "etc/zypp/services.d", "etc/zypp/vendors.d", "etc/zypp/multiversion.d"),
        ("var/cache/brakeline/zypper-refresh.json",),
        (("var/cache/zypp/solv", "cookie"),),
    ),
    "pacman": Watched(
        ("var/lib/pacman/local", "etc/pacman.conf", "usr/bin/pacman"),  # an entry is a directory: a change renames it
        ("var/lib/pacman/sync", "var/cache/brakeline/pacman/sync", "etc/pacman.d"),
        ("var/cache/brakeline/pacman-refresh.json", "var/lib/pacman/db.lck"),
    ),
}  # fmt: skip
QUICK_FILES = (
    "run/reboot-required", "run/reboot-required.pkgs", "etc/os-release", "var/cache/brakeline/stale-services.json",
)  # fmt: skip


def take(program: str, root: Path = Path("/")) -> Stamp:
    """The stamp of the system at `root`, now. What is missing or may not be read is part of it too.

    `program`: who looks, its version and content.
    """
    if sys.platform == "win32":
        from brakeline.agent.providers.windows.stamps import parts

        slow_parts, quick_parts = parts()
        return Stamp(_digest([program, boot_id(), *slow_parts]), _digest([socket.gethostname(), *quick_parts]))
    found = system_manager.here(facts.os_release(root), root)
    manager = found if isinstance(found, str) else "apt"
    watched = WATCHED[manager]
    slow = [program, str(found), boot_id(root / "proc")]
    slow += [_file(root / name) for name in watched.slow_files]
    slow += [line for name in watched.slow_directories for line in _directory(root / name)]
    slow += [line for name, file in watched.nested for line in _nested(root / name, file)]
    slow += [_file(root / PIP_LISTS), *(_file(root / site.lstrip("/")) for _, site in python_sites(root))]
    slow += [
        _file(root / name) for name in (*NPM_FILES, *FLATPAK_FILES, *SNAP_FILES, *BREW_FILES, *FWUPD_FILES, *OWN_FILES)
    ]
    slow += [*_directory(root / OWN), *_directory(root / FWUPD_REMOTES)]
    slow += [line for prefix in BREW for line in _nested(root / prefix / "Caskroom", "")]  # a cask is a directory
    slow += [_file(root / place.lstrip("/")) for place in npm_places(root)]
    quick = [socket.gethostname(), _text(root / "proc/sys/kernel/osrelease")]
    quick += [_file(root / name) for name in (*QUICK_FILES, *watched.quick_files)]
    quick += _refreshed(root / LISTS) if manager == "apt" else ()
    return Stamp(_digest(slow), _digest(quick))


def _file(path: Path) -> str:
    """Inode, size and time of writing: managers replace files by renaming, so the inode changes nearly always."""
    try:
        s = path.stat()
    except OSError as e:
        return f"{path.name} {e.errno}"
    return f"{path.name} {s.st_ino} {s.st_size} {s.st_mtime_ns}"


def _directory(path: Path) -> Iterator[str]:
    """All files right in it. Directories in it are a manager's workshop (partial, auxfiles) and count for nothing."""
    try:
        with os.scandir(path) as entries:
            names = sorted(e.name for e in entries if not e.is_dir() and e.name != "lock")
    except OSError as e:
        yield f"{path.name}/ {e.errno}"
        return
    yield f"{path.name}/"
    for name in names:
        yield _file(path / name)


def _nested(path: Path, file: str) -> Iterator[str]:
    """`file` of each directory in it."""
    try:
        with os.scandir(path) as entries:
            names = sorted(e.name for e in entries if e.is_dir())
    except OSError as e:
        yield f"{path.name}// {e.errno}"
        return
    for name in names:
        yield f"{name}/{_file(path / name / file)}"


def _refreshed(lists: Path) -> Iterator[str]:
    """A refresh that finds nothing new changes only the ctime of Release files, and with it the age of the lists."""
    try:
        with os.scandir(lists) as entries:
            found = sorted((e.name, e.stat().st_ctime_ns) for e in entries if e.name.endswith("Release"))
    except OSError:
        return
    for name, changed_ns in found:
        yield f"{name} {changed_ns}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as e:
        return str(e.errno)


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()
