"""Who holds pacman's lock. pacman writes no pid into `db.lck`, it only keeps it open: so the kernel is asked who has.

A lock file that no process has open was left behind by a run that was killed: *stale*. It blocks every later run and
is told as a problem; only `recovery` removes it, where the lost run was ours.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from brakeline.agent.providers.apt.runner import Runner


@dataclass(frozen=True, slots=True)
class Lock:
    """`pid` 0 = nobody has it open (stale); -1 = we may not look."""

    lock: str
    pid: int
    command: str

    @property
    def stale(self) -> bool:
        return self.pid == 0

    def __str__(self) -> str:
        if self.pid > 0:
            return f"{self.command} (pid {self.pid})"
        return "nobody any more" if self.stale else "a process that only root may see"


def lock_of(runner: Runner, db_path: str) -> Lock | None:
    """None = nobody holds it."""
    path = f"{db_path.rstrip('/')}/db.lck"
    try:
        wanted = os.stat(runner.path(path))
    except OSError:
        return None
    pid, hidden = opened_by(wanted)
    if pid:
        return Lock(path, pid, command_of(str(pid)))
    if not runner.path(path).exists():
        return None  # released while we looked
    return Lock(path, -1 if hidden else 0, "")


def opened_by(wanted: os.stat_result) -> tuple[int, bool]:
    """Pid of a process that has this file open, 0 = none was seen; whether there are processes that we may not see."""
    hidden = False
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            handles = os.listdir(f"/proc/{entry}/fd")
        except PermissionError:
            hidden = True
            continue
        except OSError:
            continue  # it has ended meanwhile
        if any(_same(f"/proc/{entry}/fd/{h}", wanted) for h in handles):
            return int(entry), hidden
    return 0, hidden


def _same(handle: str, wanted: os.stat_result) -> bool:
    try:
        found = os.stat(handle)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)


def command_of(pid: str) -> str:
    """What a process calls itself."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a process that has ended"
