"""Who holds the locks of dpkg and apt: the process, by name. Asked of the kernel, never guessed from file presence.

Root asks for the lock itself (F_GETLK names the holder); everybody may read /proc/locks, which names it by inode.
Pids are as this process sees them.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from brakeline.agent.providers.apt.runner import Runner

DPKG_LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
LISTS_LOCK = "/var/lib/apt/lists/lock"
ARCHIVES_LOCK = "/var/cache/apt/archives/lock"
ALL_LOCKS = (*DPKG_LOCKS, LISTS_LOCK, ARCHIVES_LOCK)
FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid
INTERPRETERS = ("python", "perl", "sh", "bash", "dash")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a lock."""

    pid: int
    command: str
    lock: str

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid})"


def holder(runner: Runner, locks: tuple[str, ...] = ALL_LOCKS) -> Holder | None:
    """The first of `locks` that somebody holds, and who; None if all are free."""
    for lock in locks:
        pid = _asked(runner, lock)
        if pid is None:
            pid = _listed(runner, lock)
        if pid:
            return Holder(pid, _command(pid), lock)
    return None


def _asked(runner: Runner, lock: str) -> int | None:
    """Pid of the holder, 0 = free, None = we may not ask."""
    import fcntl  # late: Windows' providers load parts of this package, and have none

    try:
        fd = os.open(runner.path(lock), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    except OSError:
        return None
    try:
        answer = fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(fd)
    kind, _, _, _, pid = struct.unpack(FLOCK, answer)
    return 0 if kind == fcntl.F_UNLCK else pid


def _listed(runner: Runner, lock: str) -> int:
    try:
        inode = os.stat(runner.path(lock)).st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        words = line.split()
        if len(words) >= 6 and words[3] == "WRITE" and words[5].rpartition(":")[2] == str(inode):
            return int(words[4])
    return 0


def _command(pid: int) -> str:
    """What the process calls itself: the program, or the script if an interpreter runs one."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a process that has ended"
    if words and os.path.basename(words[0]).rstrip("0123456789.") in INTERPRETERS:
        scripts = [w for w in words[1:] if w.startswith("/")]
        if scripts:
            return os.path.basename(scripts[0])
    return os.path.basename(words[0]) if words and words[0] else name
