"""A release that a conductor leads: which share of the draw a cell is granted, and what may be leased inside it. Pure.

A conductor knows counts and no draw, so it grants a share: wide enough that those of a cell who are here fill its
places, narrow enough that a stolen key of that cell reaches no more. `LEASE_FIELDS` is what endpoints verify. A grant
that ran out, or says halt, leases nothing; a hold leases what was offered before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from brakeline.cells.model import Grant, Stand
from brakeline.core.draw import U_END
from brakeline.releases.model import LeaseWish
from brakeline.trust.times import instant

ROOM: Final = 4  # times its places: a quarter of a cell's endpoints being ready is enough to fill them
ROOM_LEAST: Final = 16  # and so many more, where places are few


def share(upto: int, size: int) -> int:
    """Up to which place in the draw a cell of `size` endpoints may go that has `upto` places; 0 = it has none."""
    if upto <= 0 or size <= 0:
        return 0
    return min(U_END, U_END * (ROOM * upto + ROOM_LEAST) // size)


def for_endpoints(grant: Grant, sha256: str) -> dict[str, Any]:
    """What the conductor signs for the launchers of one cell; nothing that a launcher would not need."""
    return {
        "_type": "grant", "cell": grant.cell, "rollout_id": grant.lead_id, "generation": grant.revision,
        "sha256": sha256, "salt": grant.salt, "draw_below": grant.draw_below, "issued": instant(grant.issued_ms),
        "expires": instant(grant.expires_ms),
    }  # fmt: skip


def within(wishes: Iterable[LeaseWish], grant: Grant | None, now_ms: int) -> tuple[LeaseWish, ...]:
    """Of what a cell would lease of its own accord, as much as its conductor's grant holds."""
    if grant is None or not grant.lease or now_ms >= grant.expires_ms or grant.stand is Stand.HALT:
        return ()
    found = []
    for wish in wishes:
        only = None if wish.only is None else tuple(u for u in wish.only if u < grant.draw_below)
        below = min(wish.draw_below, grant.draw_below)
        if below and only != ():
            found.append(replace(wish, rollout_id=grant.lead_id, generation=grant.revision, draw_below=below, only=only,
                                 grant=grant.lease, until_ms=grant.expires_ms))  # fmt: skip
    return tuple(found)
