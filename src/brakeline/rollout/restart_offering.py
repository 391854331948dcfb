"""Orders of a rollout of restarts on the check-in path: which one an endpoint has, and what became of it.

An order is kept as an offer is, word for word, before it leaves: so budgets, expiry and "one open offer an endpoint"
hold for it without a rule of their own. It leaves as the part of a reply that canaries' restarts use. The endpoint
tells no result: that it was heard from another boot is one. Whoever was treated and will not follow is *declined*: set
aside, so that another takes its place. The database is asked and written only where a check-in says something new:
what was found last is remembered (`live`), and read anew within `live.REREAD_MS`. Pure part: `restart_change`.
"""

from __future__ import annotations

from contextlib import suppress

from brakeline.core.clock import Clock
from brakeline.core.errors import Unavailable
from brakeline.fleet.model import EndpointIdentity
from brakeline.platform.database import Connection, Database
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import CheckIn, Ready, RestartOrder, RestartStanding, SignedOrder
from brakeline.rollout import people
from brakeline.rollout.live import STOPPED, LiveRollout
from brakeline.rollout.model import Arm, Progress
from brakeline.rollout.restart_change import End, declined, end_of, stands
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import offers, rollouts

DETAIL_CHARS = 200
NO_ORDER_ANY_MORE = frozenset({Progress.EXPIRED, Progress.REFUSED, Progress.INTERRUPTED})


async def standing_order(conn: Connection, endpoint_id: str, live: LiveRollout, now_ms: int) -> SignedOrder | None:
    """The open order of this rollout, as it left first."""
    if endpoint_id not in live.treated:
        return None
    offer = await offers.open_for(conn, endpoint_id)
    if offer is None or offer.rollout_id != live.row.rollout_id or now_ms >= offer.expires_ms:
        return None
    return offer.order


async def settle(db: Database, clock: Clock, identity: EndpointIdentity, check_in: CheckIn, boot_id: str,
                 live: LiveRollout, *, stopped: bool) -> None:  # fmt: skip
    """Write down what became of this endpoint's order, if anything has. Without the database it is looked at again at
    the next check-in: whoever is told of a stop must hear it without it too."""
    if identity.endpoint_id in live.through or not (stopped or identity.endpoint_id in live.treated):
        return  # of what has stopped nobody keeps in memory who was treated
    if not _new(live, identity.endpoint_id, check_in.restart, boot_id, stopped):
        return
    with suppress(Unavailable):
        await _settle(db, clock, identity, check_in, boot_id, live, stopped=stopped)


def _new(live: LiveRollout, endpoint_id: str, said: RestartStanding | None, boot_id: str, stopped: bool) -> bool:
    """Whether this check-in can mean anything for the order that was found last."""
    known = live.orders.get(endpoint_id)
    if known is None:
        return True
    if not known:  # none was open; where all has stopped none comes any more
        return endpoint_id in live.open if not stopped else live.row.blueprint.phase not in STOPPED
    return stopped or boot_id != known or bool(said is not None and said.refused)


async def _settle(db: Database, clock: Clock, identity: EndpointIdentity, check_in: CheckIn, boot_id: str,
                  live: LiveRollout, *, stopped: bool) -> None:  # fmt: skip
    endpoint_id, end, ends = identity.endpoint_id, None, ""
    async with db.tenant(identity.tenant_id) as conn:
        offer = await offers.open_for(conn, endpoint_id)
        if offer is not None and offer.rollout_id == live.row.rollout_id:
            order = decode(RestartOrder, offer.order.payload.encode())
            end, ends = end_of(order, check_in.restart, boot_id, stopped=stopped), order.boot_id
            if end is not None:
                await offers.close(conn, [offer.offer_id], end.outcome, clock.now_ms())
                await _ended(conn, identity, live.row.rollout_id, end, clock.now_ms(), stopped=stopped)
    live.orders[endpoint_id] = ends if end is None else ""
    if end is not None:
        live.open.pop(endpoint_id, None)
        live.standings.pop(endpoint_id, None)
        if not stopped:
            live.through.add(endpoint_id)


async def _ended(conn: Connection, identity: EndpointIdentity, rollout_id: str, end: End, now_ms: int, *,
                 stopped: bool) -> None:  # fmt: skip
    endpoint_id = identity.endpoint_id
    declines = end.progress is Progress.REFUSED and not stopped
    detail = (declined(end.detail[:DETAIL_CHARS]) if declines else end.detail)[: DETAIL_CHARS + 60]
    await arms_store.set_progress(
        conn, rollout_id, endpoint_id, end.progress, explicit=False, detail=detail, ended_ms=now_ms
    )
    if declines:
        await arms_store.set_aside(conn, rollout_id, [endpoint_id], now_ms)
    await arms_store.set_people(conn, rollout_id, endpoint_id, "")
    text = f"{endpoint_id}: {end.outcome}, {detail}"
    await rollouts.add_event(conn, identity.tenant_id, rollout_id, now_ms, "result", endpoint_id, text)


async def decline(conn: Connection, identity: EndpointIdentity, rollout_id: str, why: str, now_ms: int) -> bool:
    """A treated endpoint without an order, which will not get another: whether it is set aside now."""
    mine = await arms_store.subjects(conn, rollout_id, identity.endpoint_id)
    treated = next((s.subject for s in mine if s.subject.arm is Arm.TREATED), None)
    if treated is None or treated.progress not in NO_ORDER_ANY_MORE or treated.set_aside_ms:
        return False
    await _ended(conn, identity, rollout_id, End(Progress.REFUSED, "refused", why), now_ms, stopped=False)
    return True


async def asking(db: Database, clock: Clock, identity: EndpointIdentity, check_in: CheckIn, boot_id: str,
                 open_to: list[LiveRollout]) -> list[Ready]:  # fmt: skip
    """Restarts for which this endpoint would go down now; of the others it is written why it would not, or for whom
    its order waits."""
    found: list[Ready] = []
    for live in open_to:
        if identity.endpoint_id in live.through:
            continue
        rollout_id, generation = live.row.rollout_id, live.row.resumed_generation + 1
        said = stands(rollout_id, generation, check_in.restart, boot_id, busy=bool(check_in.in_progress))
        if isinstance(said, Ready) and identity.endpoint_id not in live.open:
            live.standings.pop(identity.endpoint_id, None)  # whoever randomises it writes why not, or that it may
            found.append(said)
        else:
            await _note(db, clock, identity, check_in, live, ("", "") if isinstance(said, Ready) else said)
    return found


async def _note(db: Database, clock: Clock, identity: EndpointIdentity, check_in: CheckIn, live: LiveRollout,
                why: tuple[str, str]) -> None:  # fmt: skip
    endpoint_id, rollout_id = identity.endpoint_id, live.row.rollout_id
    has_order = endpoint_id in live.open
    waits = check_in.restart.people if check_in.restart is not None and has_order else None
    told = (*why, people.text_of(waits))
    if live.standings.get(endpoint_id) == told:
        return
    async with db.tenant(identity.tenant_id) as conn:
        await arms_store.set_blocked(conn, rollout_id, endpoint_id, *why)
        await arms_store.set_people(conn, rollout_id, endpoint_id, told[2])
        gives_up = endpoint_id in live.treated and not has_order
        if gives_up and await decline(conn, identity, rollout_id, why[1], clock.now_ms()):
            live.through.add(endpoint_id)
    live.standings[endpoint_id] = told
