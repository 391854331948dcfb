"""Files that are whole and durable or not there: written beside, synced, renamed, directory synced."""

from __future__ import annotations

import os
from pathlib import Path

PUBLIC, PRIVATE = 0o644, 0o600


def write_durably(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Replace `path` by `data`; when this returns, a power cut does not undo it. `mode` from the first byte on."""
    beside = path.with_name(path.name + ".part")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)


def make_directory(path: Path, mode: int = 0o755) -> None:
    """As `mkdir -p`, durable."""
    if not path.is_dir():
        path.mkdir(mode=mode, parents=True, exist_ok=True)
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in it durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
