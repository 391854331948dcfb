"""The disk as the launcher sees it: the few operations on which crash safety rests, behind a port.

`RealDisk` is the operating system. The model check puts a simulated disk here that loses, tears or applies every
operation that was not made durable, so that it runs the very code that runs on endpoints.
Paths are relative to the launcher's root and use "/". All methods raise `OSError`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

BINARY: Final = getattr(os, "O_BINARY", 0)  # else Windows writes two bytes for each line's end


class Disk(Protocol):
    """What `records` and `install` need."""

    def read(self, path: str) -> bytes: ...
    def exists(self, path: str) -> bool: ...
    def list(self, path: str) -> list[str]:
        """Names in a directory, sorted; [] if there is none."""
        ...

    def create(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """A new file (or the old one emptied) with `data`; not durable before `sync`."""
        ...

    def overwrite(self, path: str, data: bytes) -> None:
        """In place, from the start, never longer than the file is: no allocation, no directory entry changes."""
        ...

    def sync(self, path: str) -> None:
        """The file's data are durable after this."""
        ...

    def mkdir(self, path: str) -> None: ...
    def rename(self, old: str, new: str) -> None: ...
    def sync_dir(self, path: str) -> None:
        """The directory's entries are durable after this."""
        ...

    def remove_tree(self, path: str) -> None:
        """File or directory with everything in it; nothing there = nothing to do."""
        ...

    def free_bytes(self) -> int: ...


def allocate(disk: Disk, files: Mapping[str, bytes]) -> None:
    """Make what is missing of these files, durably; later they are only overwritten in place. Raises `OSError`."""
    made = [path for path in files if not disk.exists(path)]
    for path in made:
        disk.create(path, files[path])
        disk.sync(path)
    for folder in sorted({path.rpartition("/")[0] for path in made}):
        disk.sync_dir(folder)


def replace_file(disk: Disk, path: str, data: bytes, mode: int = 0o644) -> None:
    """The old bytes or these, whole, whenever the power goes; durable when it returns. Raises `OSError`."""
    beside = path + ".new"
    disk.create(beside, data, mode=mode)
    disk.sync(beside)
    disk.rename(beside, path)
    disk.sync_dir(path.rpartition("/")[0])


class RealDisk:
    """`Disk` on the file system below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    def list(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(self.root / path))
        except FileNotFoundError:
            return []

    def create(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        handle = os.open(self.root / path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, mode)
        with os.fdopen(handle, "wb") as f:
            f.write(data)

    def overwrite(self, path: str, data: bytes) -> None:
        handle = os.open(self.root / path, os.O_WRONLY | BINARY)
        try:
            if os.write(handle, data) != len(data):
                raise OSError(28, "short write", path)
        finally:
            os.close(handle)

    def sync(self, path: str) -> None:
        handle = os.open(self.root / path, os.O_RDWR)
        try:
            getattr(os, "fdatasync", os.fsync)(handle)
        finally:
            os.close(handle)

    def mkdir(self, path: str) -> None:
        with contextlib.suppress(FileExistsError):
            (self.root / path).mkdir()

    def rename(self, old: str, new: str) -> None:
        os.replace(self.root / old, self.root / new)

    def sync_dir(self, path: str) -> None:
        if os.name == "nt":  # directories cannot be opened there; NTFS journals its entries
            return
        handle = os.open(self.root / path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove_tree(self, path: str) -> None:
        target = self.root / path
        if target.is_dir() and not target.is_symlink():
            import shutil

            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        import shutil

        return shutil.disk_usage(self.root).free
