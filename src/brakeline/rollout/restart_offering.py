"""Orders of a rollout of restarts on the check-in path: which one an endpoint has, and what became of it.

An order is kept as an offer is, word for word, before it leaves: so budgets, expiry and "one open offer an endpoint"
hold for it without a rule of their own. It leaves as the part of a reply that canaries' restarts use. The endpoint
tells no result: that it was heard from another boot is one. Pure part: `restart_change`.
"""

from __future__ import annotations

from contextlib import suppress

from brakeline.core.clock import Clock
from brakeline.core.errors import Unavailable
from brakeline.fleet.model import EndpointIdentity
from brakeline.platform.database import Connection, Database
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import CheckIn, RestartOrder, SignedOrder
from brakeline.rollout.live import LiveRollout
from brakeline.rollout.model import Progress
from brakeline.rollout.restart_change import End, end_of
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import offers, rollouts
from brakeline.rollout.store.offers import OfferRow

DETAIL_CHARS = 200


async def standing_order(conn: Connection, endpoint_id: str, live: LiveRollout, now_ms: int) -> SignedOrder | None:
    """The open order of this rollout, as it left first."""
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
    with suppress(Unavailable):
        await _settle(db, clock, identity, check_in, boot_id, live, stopped=stopped)


async def _settle(db: Database, clock: Clock, identity: EndpointIdentity, check_in: CheckIn, boot_id: str,
                  live: LiveRollout, *, stopped: bool) -> None:  # fmt: skip
    async with db.tenant(identity.tenant_id) as conn:
        offer = await offers.open_for(conn, identity.endpoint_id)
        if offer is None or offer.rollout_id != live.row.rollout_id:
            return
        order = decode(RestartOrder, offer.order.payload.encode())
        end = end_of(order, check_in.restart, boot_id, stopped=stopped)
        if end is not None:
            await _close(conn, identity, offer, end, clock.now_ms())
    if end is not None and end.progress is Progress.INSTALLED:
        live.through.add(identity.endpoint_id)


async def _close(conn: Connection, identity: EndpointIdentity, offer: OfferRow, end: End, now_ms: int) -> None:
    await offers.close(conn, [offer.offer_id], end.outcome, now_ms)
    detail = end.detail[:DETAIL_CHARS]
    await arms_store.set_progress(
        conn, offer.rollout_id, identity.endpoint_id, end.progress, explicit=False, detail=detail, ended_ms=now_ms
    )
    text = f"{identity.endpoint_id}: {end.outcome}, {detail}"
    await rollouts.add_event(conn, identity.tenant_id, offer.rollout_id, now_ms, "result", identity.endpoint_id, text)
