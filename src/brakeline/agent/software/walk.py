"""Goes through directories and finds the files that tell of software. Bounded, incremental, and it follows no link.

Incremental: a directory whose inode and time of writing are as before has the same names in it, so one `stat` stands
for reading it; a file whose inode, size and times are as before says the same, so its packages are taken from memory
(`Memory`, one file in the agent's work directory). What was written to within the last moments is looked at again next
time, because two writes within one tick of the clock look like one.

Ended in order by whichever bound comes first: what lies in directories that were not reached stays as last known.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Final

from brakeline.agent.software import kinds, mounts
from brakeline.agent.software.model import NOTHING, Bounds, Found, Told, Unreadable, shown

RACY_NS: Final = 2_000_000_000
GAPS_MAX: Final = 40
Read = Callable[[str, IO[bytes], str], Told]  # kind, file, path


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that tells of software: what identified it, and what it said."""

    mark: str
    told: Told = NOTHING


@dataclass(slots=True)
class Directory:
    """What one directory had in it. `mark` "" = do not believe it the next time."""

    mark: str
    below: tuple[str, ...] = ()
    files: dict[str, Seen] = field(default_factory=dict)


Memory = dict[str, Directory]


@dataclass(slots=True)
class Clocks:
    """Time that this process used and time that has passed, in seconds; wall time for comparing with files."""

    cpu_s: Callable[[], float]
    monotonic_s: Callable[[], float]
    now_ns: Callable[[], int]


@dataclass(slots=True)
class Walked:
    """What one look has gone through."""

    memory: Memory = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    more_gaps: int = 0
    unreadable: int = 0  # directories that this user may not read
    ended: str = ""  # which bound ended the look, "" = it went to its end
    read: int = 0  # files that were opened

    def gap(self, text: str) -> None:
        if len(self.gaps) < GAPS_MAX:
            self.gaps.append(text)
        else:
            self.more_gaps += 1


class Walk:
    """One look below some roots."""

    def __init__(self, read: Read, bounds: Bounds, clocks: Clocks, mounted: Mapping[str, str], root: str = "") -> None:
        """`root` stands before every path, for a system that lies in a directory; "" = this one."""
        self._read, self._bounds, self._clocks, self._mounted, self._root = read, bounds, clocks, mounted, root
        self._out = Walked()
        self._begun = clocks.cpu_s(), clocks.monotonic_s()
        self._looked: set[tuple[int, int]] = set()
        self._items = 0

    def go(self, roots: tuple[str, ...], memory: Memory) -> Walked:
        """Look below each root; what is not reached is taken over from `memory`."""
        for path in roots:
            if self._out.ended:
                break
            self._below(path, memory)
        if self._out.ended:
            self._out.gap(
                f"not everything was looked at: {self._out.ended}; the rest is as last known, or not known yet"
            )
            for path, directory in memory.items():
                self._out.memory.setdefault(path, directory)
        if self._out.unreadable:
            self._out.gap(f"{self._out.unreadable} directories could not be read by the agent, which is not root")
        return self._out

    def _below(self, top: str, memory: Memory) -> None:
        status = self._stat(top)
        if status is None or not stat.S_ISDIR(status.st_mode):
            return
        if why := mounts.refusal(self._root + top, self._mounted):
            self._out.gap(f"{top}: not looked at, {why}")
            return
        waiting = [(top, 0)]
        while waiting:
            path, depth = waiting.pop()
            if self._over():
                return
            directory = self._directory(path, memory.get(path), status.st_dev)
            if directory is None:
                continue
            self._out.memory[path] = directory
            below = [f"{path}/{name}" for name in directory.below]
            if below and depth >= self._bounds.depth:
                self._out.gap(f"{shown(path)}: what lies deeper than {self._bounds.depth} directories is not looked at")
                continue
            waiting += [(b, depth + 1) for b in reversed(below)]

    def _over(self) -> bool:
        """Whether a bound has been reached."""
        out, b, c = self._out, self._bounds, self._clocks
        if len(out.memory) >= b.directories:
            out.ended = f"there are more than {b.directories} directories"
        elif self._items >= b.found:
            out.ended = f"more than {b.found} packages were found"
        elif c.cpu_s() - self._begun[0] > b.cpu_s or c.monotonic_s() - self._begun[1] > b.wall_s:
            out.ended = "it took too long"
        return bool(out.ended)

    def _directory(self, path: str, before: Directory | None, device: int) -> Directory | None:
        status = self._stat(path)
        if status is None or not stat.S_ISDIR(status.st_mode):
            return None
        if status.st_dev != device:
            self._out.gap(f"{shown(path)}: not looked at, another file system is mounted there")
            return None
        if (status.st_dev, status.st_ino) in self._looked:  # a bind mount: the same directory by another name
            return None
        self._looked.add((status.st_dev, status.st_ino))
        mark = _mark(status)
        if before is not None and before.mark == mark:
            names, below = list(before.files), before.below
        else:
            listed = self._listed(path)
            if listed is None:
                return None
            names, below = listed
        fresh = self._clocks.now_ns() - status.st_mtime_ns < RACY_NS
        made = Directory("" if fresh else mark, below)
        for name in names:
            seen = self._file(path, name, before.files.get(name) if before else None)
            if seen is not None:
                made.files[name] = seen
        return made

    def _listed(self, path: str) -> tuple[list[str], tuple[str, ...]] | None:
        """Names of files that may tell something, and of directories to go on with."""
        names, below = [], []
        try:
            with os.scandir(self._root + path) as entries:
                for number, entry in enumerate(entries):
                    if number >= self._bounds.entries:
                        self._out.gap(f"{shown(path)}: only {number} of its entries were looked at")
                        break
                    if entry.is_dir(follow_symlinks=False):
                        if not kinds.is_pruned(f"{path}/{entry.name}", entry.name):
                            below.append(entry.name)
                    elif kinds.kind_of(path, entry.name) and entry.is_file(follow_symlinks=False):
                        names.append(entry.name)
        except OSError:
            self._out.unreadable += 1
            return None
        return sorted(names), tuple(sorted(below))

    def _file(self, directory: str, name: str, before: Seen | None) -> Seen | None:
        """What a file says: from memory if it is as it was, else read."""
        path = f"{directory}/{name}"
        status = self._stat(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        mark, kind = _mark(status), kinds.kind_of(directory, name)
        seen = before if before is not None and before.mark == mark else self._opened(path, kind, mark)
        if self._clocks.now_ns() - status.st_mtime_ns < RACY_NS:
            seen = Seen("", seen.told)
        for gap in seen.told.gaps:
            self._out.gap(gap)
        self._items += len(seen.told.items)
        return seen

    def _opened(self, path: str, kind: str, mark: str) -> Seen:
        self._out.read += 1
        try:
            with open(self._root + path, "rb", opener=_opener, buffering=0) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # replaced since it was listed
                    return Seen("")
                return Seen(mark, self._read(kind, file, path))
        except Unreadable as e:
            return Seen(mark, Told(gaps=(f"{shown(path)}: {e}",)))
        except OSError as e:
            return Seen(mark, Told(gaps=(f"{shown(path)}: {e.strerror}",)))

    def _stat(self, path: str) -> os.stat_result | None:
        try:
            return os.stat(self._root + path, follow_symlinks=False)
        except (OSError, ValueError):
            return None


def items_of(memory: Memory) -> Iterator[tuple[str, Found]]:
    """Everything that was found, with the file that says so."""
    for path, directory in memory.items():
        for name, seen in directory.files.items():
            for item in seen.told.items:
                yield f"{path}/{name}", item


def untold(memory: Memory) -> dict[str, str]:
    """Files with more in them than can be told, and why."""
    return {
        f"{path}/{name}": seen.told.untold
        for path, directory in memory.items()
        for name, seen in directory.files.items()
        if seen.told.untold
    }


def _mark(status: os.stat_result) -> str:
    return f"{status.st_ino}.{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}"


def _opener(path: str, flags: int) -> int:
    """Neither a link nor a pipe that would never answer."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
