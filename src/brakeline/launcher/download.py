"""Fetching a release over a line on which one look is too short: pieces are kept, and the next look goes on.

A piece is a file named by its offset; pieces count as far as they follow each other. Nothing here is executed, believed
or synced: all of it together is hashed by `install` like any download, and a wrong hash throws it away, so a lost or
torn piece costs bytes and nothing else. Where one look is enough, as nearly always, nothing is written here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import Final

from brakeline.launcher import cell, clock
from brakeline.launcher.disk import Disk
from brakeline.launcher.install import FREE_FACTOR, room
from brakeline.launcher.settings import Settings
from brakeline.trust.model import Offered

FOLDER: Final = "fetch"
PIECE_BYTES_MIN: Final = 16 * 1024  # less in one look is no progress: whoever sends single bytes fills no folder
UNPACK_PART: Final = 0.5  # of a look's time must be left for unpacking; else the next look does it


class Unfinished(Exception):
    """Part of it is here, and more than before: the next look should come soon."""


def bundle(settings: Settings, disk: Disk, wanted: Offered, until_s: float) -> bytes:
    """All bytes of the release. Raises `Unfinished`, `cell.Unreachable`, `OSError`; `Distrust` for want of space."""
    have = kept(disk, wanted)
    if len(have) == wanted.length:
        return have
    if not have:
        room(disk, wanted)
    began_s = clock.monotonic_s()
    start, more = cell.rest_of(settings, wanted, len(have), until_s)
    left_s = until_s - clock.monotonic_s()
    whole = start + len(more) == wanted.length
    if whole and (left_s >= (until_s - began_s) * UNPACK_PART or start < len(have)):
        return have[:start] + more
    if start < len(have):
        raise cell.Unreachable("each look has to begin anew: the cell, or a proxy on the way, knows no ranges")
    if len(more) < PIECE_BYTES_MIN and not whole:
        raise cell.Unreachable(f"{len(more)} bytes in a whole look; {len(have)} of {wanted.length} are here")
    _keep(disk, wanted, start, more)
    here, of = (start + len(more)) // 1024, wanted.length // 1024
    raise Unfinished(f"{here} of {of} KiB are here, it goes on with the next look")


def kept(disk: Disk, wanted: Offered) -> bytes:
    """What is here from the beginning on, without a gap."""
    data = bytearray()
    while disk.exists(path := _piece(wanted, len(data))):
        piece = disk.read(path)
        if not piece or len(data) + len(piece) > wanted.length:
            break
        data += piece
    return bytes(data)


def drop(disk: Disk, wanted: Offered) -> None:
    """Of no use any more; what cannot be removed now is removed once no document names it."""
    with contextlib.suppress(OSError):
        disk.remove_tree(f"{FOLDER}/{wanted.sha256}")


def worth_keeping(known: Collection[Offered], wanted: Collection[Offered]) -> set[str]:
    """SHA-256 of releases whose pieces may be of use: of a product of which one is wanted now, that one's alone."""
    products = {o.product for o in wanted}
    return {o.sha256 for o in (*wanted, *(o for o in known if o.product not in products))}


def forget(disk: Disk, but: Collection[str] = ()) -> None:
    """Remove what was fetched of everything, or of everything but these (SHA-256). Raises `OSError`."""
    for name in disk.list(FOLDER):
        if name not in but:
            disk.remove_tree(f"{FOLDER}/{name}")


def _keep(disk: Disk, wanted: Offered, start: int, data: bytes) -> None:
    if not start:  # the pieces need their room beside what unpacking needs
        room(disk, wanted, FREE_FACTOR + 1)
    for folder in (FOLDER, f"{FOLDER}/{wanted.sha256}"):
        disk.mkdir(folder)
    disk.create(_piece(wanted, start), data)


def _piece(wanted: Offered, start: int) -> str:
    return f"{FOLDER}/{wanted.sha256}/{start:010}"
