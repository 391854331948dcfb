"""Places of a small ring that nobody will fill are given to others, in a step of the executor. `giving_way` decides.

Nothing is looked up unless a small ring has somebody whose offer is over and who is not proven.
"""

from __future__ import annotations

from brakeline.platform.database import Connection
from brakeline.rollout import arms, giving_way
from brakeline.rollout.following import WHO
from brakeline.rollout.situation import Situation
from brakeline.rollout.store import giving as store
from brakeline.rollout.store import rollouts


async def give_way(conn: Connection, tenant_id: str, situation: Situation, now_ms: int) -> None:
    """Whoever will never take it gives its place; the next step opens it to another."""
    row, seen = situation.row, situation.summary
    if not giving_way.may(row.change, row.blueprint.phase, seen.wish):
        return
    small = seen.small_rings(row.policy)
    if not any(p.ring in small and p.counted > p.proven + p.open for p in seen.parts):
        return
    found = await store.answered(conn, row.rollout_id, small)
    if not found:
        return
    uptos = [0, *(upto for _, upto in arms.rings_for(row.policy, seen.change, seen.population))]
    places = {i: uptos[i + 1] - uptos[i] for i in small if i + 1 < len(uptos)}
    for one in giving_way.who(row.change, found, await store.given(conn, row.rollout_id), places):
        if not await store.give(conn, row.rollout_id, one, now_ms):
            continue
        text = f"{one.endpoint_id}: {giving_way.GAVE}{one.why}"
        await rollouts.add_event(conn, tenant_id, row.rollout_id, now_ms, "gives-way", WHO, text)
