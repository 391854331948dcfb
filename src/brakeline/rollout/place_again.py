"""A place for who gave its own to another and is asked once more: one that is granted and promised to nobody.

What a conductor has granted is partly taken and partly promised: an open gate lets in whom it is drawn for, up to its
budget. Whoever comes back may take one of its own region's gate (the turn then ends for one more, in both arms alike),
or one that no gate promises. Invariant: taken and promised never exceed what is granted, so a cell never treats more
than its conductor knows of. Next: `offering` (who asks), `giving_way` (who gives).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brakeline.platform.database import Connection
from brakeline.rollout.model import Gate, TickState
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import leads
from brakeline.rollout.store.rollouts import RolloutRow


@dataclass(frozen=True, slots=True)
class Place:
    """Whether there is one, and the gate whose budget it is of."""

    free: bool
    of: Gate | None = None


def found(open_: Iterable[tuple[Gate, TickState]], region: str, counted: int, upto: int, now_ms: int) -> Place:
    """`counted`: places that are taken; `upto`: as many are granted. Pure."""
    left = {g.region: (g, g.budget - t.treated) for g, t in open_ if not t.closed and now_ms < g.closes_ms}
    if counted >= upto:
        return Place(False)
    mine, mine_left = left.get(region, (None, 0))
    if mine_left > 0:
        return Place(True, mine)
    return Place(counted + sum(max(0, n) for _, n in left.values()) < upto)


async def for_one(conn: Connection, row: RolloutRow, region: str, upto: int, now_ms: int) -> Place:
    """The same, held until the commit: what leads it, for there may be no gate, then every open turn, in one order."""
    await leads.hold_led(conn, row.rollout_id)
    ticks = [(g, await arms_store.lock_tick(conn, row.rollout_id, g.region, g.tick))
             for g in sorted(row.blueprint.gates, key=lambda g: g.region)]  # fmt: skip
    counted = await arms_store.counted(conn, row.rollout_id)
    return found(((g, t) for g, t in ticks if t is not None), region, counted, upto, now_ms)


async def take(conn: Connection, row: RolloutRow, place: Place) -> None:
    """One of the gate's budget is spent."""
    if place.of is not None:
        await arms_store.spend(conn, row.rollout_id, place.of.region, place.of.tick)
