"""Pure: will a transaction fit, on each file system that it touches? Asked before anything is changed.

dpkg unpacks a package beside its old files before it removes those, one package at a time: what is needed at the
peak is the growth of all packages plus the new size of the largest one. Where its files go is taken from where the
installed version has them. A kernel also has an initial RAM disk written to /boot, as large as its neighbours.
Next: `disk` reads the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One mounted file system as far as a transaction is concerned."""

    mount: str  # "/", "/var", "/boot": the directory people know it by
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Unpacking:
    """One package of a transaction: sizes in bytes; `share`: mount -> part of its files there (sums to 1)."""

    name: str
    old_bytes: int
    new_bytes: int
    share: Mapping[str, float]
    boot_bytes: int = 0  # what its maintainer scripts write to /boot


def needed(unpackings: Iterable[Unpacking], download_bytes: int, archives: str, boot: str) -> dict[str, int]:
    """Bytes needed at the peak, by mount. `archives`, `boot`: mounts of the download cache and of /boot."""
    growth: dict[str, float] = {}
    largest: dict[str, float] = {}
    for u in unpackings:
        for mount, part in u.share.items():
            growth[mount] = growth.get(mount, 0) + part * (u.new_bytes - u.old_bytes)
            largest[mount] = max(largest.get(mount, 0), part * u.new_bytes)
        growth[boot] = growth.get(boot, 0) + u.boot_bytes
    need = {mount: max(0, int(growth[mount])) + int(largest.get(mount, 0)) for mount in growth}
    need[archives] = need.get(archives, 0) + download_bytes
    return need


def too_small(need: Mapping[str, int], systems: Iterable[FileSystem], reserve_bytes: int) -> str:
    """ "" or which file systems have too little, how much is needed and how much is there."""
    short = [
        f"{fs.mount} has {fs.free_bytes / MIB:.0f} MiB free, "
        f"{(need[fs.mount] + reserve_bytes) / MIB:.0f} MiB are needed "
        f"({need[fs.mount] / MIB:.0f} for the transaction, {reserve_bytes / MIB:.0f} kept in reserve)"
        for fs in systems
        if fs.mount in need and fs.free_bytes < need[fs.mount] + reserve_bytes
    ]
    return "; ".join(short)
