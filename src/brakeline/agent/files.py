"""Files that survive a power cut: written aside, flushed, renamed, and the directory flushed too.

Flushing the file but not its directory loses acknowledged data in about half of all power cuts (measured), so both
are always done. A reader sees the old content or the new one, never a part. Windows has no directory to flush; there
renames are written through, and wait a bounded time for a reader who is in the way (`windows`).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

REPARSES: Final = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT: a link or a junction of Windows, which every account may make

if sys.platform == "win32":
    from brakeline.agent.windows import move_folder as move_folder
    from brakeline.agent.windows import remove as remove
    from brakeline.agent.windows import replace as replace

    _ASIDE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_BINARY | os.O_NOINHERIT
    APPENDING: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_BINARY | os.O_NOINHERIT

    def flush_directory(_directory: Path) -> None:
        """Nothing to do: the file system journals its entries."""

else:
    _ASIDE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    APPENDING: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC

    def move_folder(folder: Path, to: Path) -> None:
        """The whole of it in one step; `to` must not be there. Durable after `flush_directory`."""
        os.rename(folder, to)

    def replace(aside: Path, path: Path) -> None:
        """`path` is what `aside` was; durable after `flush_directory`."""
        os.rename(aside, path)

    def remove(path: Path) -> None:
        """The file is gone; durable after `flush_directory`."""
        path.unlink(missing_ok=True)

    def flush_directory(directory: Path) -> None:
        """Make renames and removals in `directory` durable."""
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `data`, atomically and durably. OSError when the disk will not."""
    aside = path.with_name(path.name + ".new")
    handle = os.open(aside, _ASIDE, mode)
    try:
        if sys.platform != "win32":  # there the directory's access list counts (`identity`)
            os.fchmod(handle, mode)
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    replace(aside, path)
    flush_directory(path.parent)


def remove_folder(folder: Path) -> None:
    """Gone under its name in one step: a power cut leaves all of it or nothing. The rest goes as far as it can."""
    import shutil  # late: the resident agent never needs it

    gone = folder.with_name(f"gone.{folder.name}")
    shutil.rmtree(gone, ignore_errors=True)
    move_folder(folder, gone)
    flush_directory(folder.parent)
    shutil.rmtree(gone, ignore_errors=True)


def leads_away(path: Path) -> bool:
    """Whether it is a link or a junction: what is done to its name may be done to something else."""
    about = path.lstat()
    return stat.S_ISLNK(about.st_mode) or bool(getattr(about, "st_file_attributes", 0) & REPARSES)


def below(folder: Path) -> Iterator[Path]:
    """Everything in it that no link leads to: whoever may write here may have laid one to what is not his."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if leads_away(Path(entry.path)):
                continue
            yield Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from below(Path(entry.path))


def remove_durably(path: Path) -> None:
    """Remove `path` if it is there, and make that stick."""
    remove(path)
    flush_directory(path.parent)
