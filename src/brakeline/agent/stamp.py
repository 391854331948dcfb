"""Reads the stamp of everything that a scan depends on: calls of stat and four tiny files, about a millisecond.

The resident agent takes it before each periodic scan, the scan itself before it looks. What the two parts are for
is told in `rescan`. Phased updates need no clock here: apt decides them by machine-id, version and the percentage
that the lists say, and all three are in the stamp.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from brakeline.agent.clock import boot_id
from brakeline.agent.npm_sites import npm_places
from brakeline.agent.python_sites import python_sites
from brakeline.agent.rescan import Stamp

LISTS = "var/lib/apt/lists"
PIP_LISTS = "var/cache/brakeline/pip-lists.json"  # what the last refresh found newer, per Python environment
NPM_FILES = ("var/cache/brakeline/npm-lists.json", "etc/brakeline/npm.hold")
FLATPAK_FILES = (  # flatpak touches the first whenever anything is deployed
    "var/lib/flatpak/.changed", "var/lib/flatpak/repo/config", "var/cache/brakeline/flatpak-lists.json",
)  # fmt: skip
SLOW_FILES = (
    "var/lib/dpkg/status", "var/lib/dpkg/arch", "var/lib/apt/extended_states",
    "etc/apt/sources.list", "etc/apt/preferences", "etc/apt/apt.conf", "etc/machine-id", "usr/bin/apt-get",
)  # fmt: skip
SLOW_DIRECTORIES = (
    LISTS, "var/lib/dpkg/updates", "etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d",
)  # fmt: skip
QUICK_FILES = (
    "run/reboot-required", "run/reboot-required.pkgs", "etc/os-release", "usr/sbin/needrestart", "var/lib/dpkg/info",
    "var/cache/brakeline/apt-refresh.json", "var/cache/brakeline/stale-services.json",
)  # fmt: skip


def take(program: str, root: Path = Path("/")) -> Stamp:
    """The stamp of the system at `root`, now. What is missing or may not be read is part of it too.

    `program`: who looks, its version and content.
    """
    slow = [program, boot_id(root / "proc")]
    slow += [_file(root / name) for name in SLOW_FILES]
    slow += [line for name in SLOW_DIRECTORIES for line in _directory(root / name)]
    slow += [_file(root / PIP_LISTS), *(_file(root / site.lstrip("/")) for _, site in python_sites(root))]
    slow += [_file(root / name) for name in (*NPM_FILES, *FLATPAK_FILES)]
    slow += [_file(root / place.lstrip("/")) for place in npm_places(root)]
    quick = [socket.gethostname(), _text(root / "proc/sys/kernel/osrelease")]
    quick += [_file(root / name) for name in QUICK_FILES]
    quick += _refreshed(root / LISTS)
    return Stamp(_digest(slow), _digest(quick))


def _file(path: Path) -> str:
    """Inode, size and time of writing: dpkg and apt replace files by renaming, so the inode changes nearly always."""
    try:
        s = path.stat()
    except OSError as e:
        return f"{path.name} {e.errno}"
    return f"{path.name} {s.st_ino} {s.st_size} {s.st_mtime_ns}"


def _directory(path: Path) -> Iterator[str]:
    """All files right in it. Directories in it are apt's workshop (partial, auxfiles) and count for nothing."""
    try:
        with os.scandir(path) as entries:
            names = sorted(e.name for e in entries if not e.is_dir() and e.name != "lock")
    except OSError as e:
        yield f"{path.name}/ {e.errno}"
        return
    yield f"{path.name}/"
    for name in names:
        yield _file(path / name)


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
