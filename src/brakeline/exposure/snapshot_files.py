"""Snapshots of the index as files, one for each tenant: written whole or not at all, read whole or refused.

Invariants: a file has its name only after all of its bytes are on the disk, so a crash leaves the one before or none;
whatever a crash left half is removed by the next write. Directory and files are the server's alone: they tell what
every endpoint has installed.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

BYTES_MAX: Final = 4 * 1024**3  # a million endpoints of 308 units take 1.5 GiB
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a tenant id, safe as a file's name


class SnapshotFiles:
    """A directory of snapshots; made when the first is written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, tenant_id: str) -> bytes | None:
        """The bytes of a tenant's snapshot; None = there is none that can be read."""
        try:
            path = self._path(tenant_id)
            return path.read_bytes() if path.stat().st_size <= BYTES_MAX else None
        except OSError:
            return None

    def write(self, tenant_id: str, data: bytes) -> None:
        """Replace a tenant's snapshot. Raises `OSError` (the disk is full); the one before stays."""
        path = self._path(tenant_id)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = path.with_suffix(".half")
        try:
            with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            half.replace(path)
        finally:
            with suppress(OSError):
                half.unlink(missing_ok=True)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def drop(self, tenant_id: str) -> None:
        """A snapshot that was refused is of no use."""
        with suppress(OSError):
            self._path(tenant_id).unlink(missing_ok=True)

    def keep(self, tenants: frozenset[str]) -> None:
        """Remove snapshots of organisations that are no more."""
        with suppress(OSError):
            for path in self._directory.glob("*.index"):
                if path.stem not in tenants:
                    path.unlink(missing_ok=True)

    def _path(self, tenant_id: str) -> Path:
        if not _NAME.fullmatch(tenant_id):
            raise ValueError("no tenant id")
        return self._directory / f"{tenant_id}.index"
