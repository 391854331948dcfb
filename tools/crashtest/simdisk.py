"""A disk that forgets: every operation that was not synced may be applied, torn or lost when the power goes.
It may also refuse. A sync that fails with EIO is worse than lost: what it was for is never durable, though it is still
read back and later syncs succeed (that is what Linux does), until it is written again.

Entries and data are apart, as in a real file system: a file whose entry is lost is not there, one whose data are lost
is empty. `sync` makes the data of one file durable, `sync_dir` the entries of one directory. Nothing else does.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

Image = tuple[tuple[tuple[str, int], ...], tuple[tuple[int, bytes], ...]]
SECTOR = 512  # the least that a disk writes whole: a torn record has one new sector and is old beyond
ENOSPC, EIO = errno.ENOSPC, errno.EIO
EXHAUSTIVE_MAX = 4  # pending operations whose fates are all combined; beyond, a bounded choice (see `fates`)


class PowerLoss(Exception):
    """The power goes before the next operation."""


@dataclass(frozen=True, slots=True)
class Op:
    """One change that is not durable yet. `folder`: whose sync makes it durable, for entries."""

    kind: str  # data | link | unlink | rename
    path: str = ""
    inode: int = 0
    data: bytes = b""
    new: str = ""
    stuck: bool = False  # its sync has failed: no later one makes it durable

    @property
    def folder(self) -> str:
        return (self.new or self.path).rpartition("/")[0]


@dataclass
class SimDisk:
    """`launcher.disk.Disk`. `cut_at` and `fail_at` count operations that change or sync something."""

    entries: dict[str, int] = field(default_factory=dict)  # inode 0 = directory
    data: dict[int, bytes] = field(default_factory=dict)
    durable_entries: dict[str, int] = field(default_factory=dict)
    durable_data: dict[int, bytes] = field(default_factory=dict)
    pending: list[Op] = field(default_factory=list)
    steps: int = 0
    cut_at: int = -1
    fail_at: int = -1
    fail_for_ever: bool = False
    fail_with: int = ENOSPC

    @classmethod
    def of(cls, image: Image) -> SimDisk:
        entries, data = dict(image[0]), dict(image[1])
        return cls(dict(entries), dict(data), entries, data)

    def image(self) -> Image:
        return tuple(sorted(self.durable_entries.items())), tuple(sorted(self.durable_data.items()))

    # --- the port ------------------------------------------------------------------------------------------------

    def read(self, path: str) -> bytes:
        if not self.entries.get(path):
            raise FileNotFoundError(2, "no such file", path)
        return self.data.get(self.entries[path], b"")

    def exists(self, path: str) -> bool:
        return path in self.entries

    def list(self, path: str) -> list[str]:
        return sorted({p[len(path) + 1 :].split("/")[0] for p in self.entries if p.startswith(path + "/")})

    def create(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        del mode
        self._step()
        if path not in self.entries:
            inode = max([*self.data, *self.durable_data, 0]) + 1
            self.entries[path] = inode
            self.data[inode] = b""
            self.pending.append(Op("link", path, inode))
        inode = self.entries[path]
        self.data[inode] = data
        self.pending.append(Op("data", path, inode, data))

    def overwrite(self, path: str, data: bytes) -> None:
        if path not in self.entries:
            raise FileNotFoundError(2, "no such file", path)
        self.create(path, data)

    def sync(self, path: str) -> None:
        inode = self.entries[path]
        try:
            self._step()
        except OSError as e:
            if e.errno == EIO:
                self.pending = [
                    replace(op, stuck=True) if op.kind == "data" and op.inode == inode else op for op in self.pending
                ]
            raise
        self._settle(lambda op: op.kind == "data" and op.inode == inode)

    def mkdir(self, path: str) -> None:
        if path in self.entries:
            return
        self._step()
        self.entries[path] = 0
        self.pending.append(Op("link", path))

    def rename(self, old: str, new: str) -> None:
        self._step()
        _move(self.entries, old, new)
        self.pending.append(Op("rename", old, new=new))

    def sync_dir(self, path: str) -> None:
        self._step()
        self._settle(lambda op: op.kind != "data" and op.folder == path)

    def remove_tree(self, path: str) -> None:
        for victim in sorted((p for p in self.entries if p == path or p.startswith(path + "/")), reverse=True):
            self._step()
            del self.entries[victim]
            self.pending.append(Op("unlink", victim))

    def free_bytes(self) -> int:
        return 1 << 40

    def ruin(self, path: str) -> None:
        """The bytes of a file become others at once, on the disk too: not by anything that went through here."""
        inode = self.entries[path]
        self.data[inode] = self.durable_data[inode] = b"ruined"
        self.pending = [op for op in self.pending if op.kind != "data" or op.inode != inode]

    # --- what goes wrong -----------------------------------------------------------------------------------------

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.cut_at:
            raise PowerLoss
        if self.fail_at >= 0 and (self.steps == self.fail_at or (self.fail_for_ever and self.steps > self.fail_at)):
            raise OSError(self.fail_with, os.strerror(self.fail_with))

    def _settle(self, durable: object) -> None:
        kept: list[Op] = []
        for op in self.pending:
            if durable(op) and not op.stuck:  # type: ignore[operator]
                _apply(self.durable_entries, self.durable_data, op)
                kept = [k for k in kept if not (k.stuck and k.inode == op.inode)]  # it was written again
            else:
                kept.append(op)
        self.pending = kept

    def images(self) -> Iterator[Image]:
        """Every disk that may be found when the power comes back."""
        for fate in fates(self.pending):
            entries, data = dict(self.durable_entries), dict(self.durable_data)
            for op, what in zip(self.pending, fate, strict=True):
                if what == "applied":
                    _apply(entries, data, op)
                elif what == "torn":
                    cut = SECTOR if len(op.data) > 2 * SECTOR else len(op.data) // 2
                    data[op.inode] = op.data[:cut] + data.get(op.inode, b"")[cut:]
            reachable = {p: i for p, i in entries.items() if all(a in entries for a in _above(p))}
            kept = {i: data.get(i, b"") for i in reachable.values() if i}
            yield tuple(sorted(reachable.items())), tuple(sorted(kept.items()))


def fates(pending: list[Op]) -> Iterator[tuple[str, ...]]:
    """All combinations while few are pending; else all applied, all lost, every prefix, every single one other."""
    kinds = [("applied", "torn", "lost") if op.kind == "data" else ("applied", "lost") for op in pending]
    if len(pending) <= EXHAUSTIVE_MAX:
        yield from itertools.product(*kinds)
        return
    n = len(pending)
    seen = {tuple(["applied"] * k + ["lost"] * (n - k)) for k in range(n + 1)}
    for i, kind in enumerate(kinds):
        for base in ("applied", "lost"):
            seen |= {tuple([base] * i + [what] + [base] * (n - i - 1)) for what in kind}
    yield from sorted(seen)


def _apply(entries: dict[str, int], data: dict[int, bytes], op: Op) -> None:
    match op.kind:
        case "data":
            data[op.inode] = op.data
        case "link":
            entries[op.path] = op.inode
        case "unlink":
            entries.pop(op.path, None)
        case "rename":
            _move(entries, op.path, op.new)


def _move(entries: dict[str, int], old: str, new: str) -> None:
    for path in [p for p in entries if p == old or p.startswith(old + "/")]:
        entries[new + path[len(old) :]] = entries.pop(path)


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]
