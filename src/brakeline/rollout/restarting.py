"""Orders to restart canaries and controls that consent, as part of the reply to their check-ins.

What always holds: an order is for the boot in which its subject was compared first, so it ends with that boot; the same
subject always gets the same bytes, so a reply does not change while nothing else does; no order leaves for a rollout
that was stopped, braked (journal first), paused or frozen. `restarts` decides; the endpoint's own helper judges again.
"""

from __future__ import annotations

from brakeline.core.errors import Unavailable
from brakeline.fleet.model import EndpointIdentity, EndpointState
from brakeline.platform.database import Connection
from brakeline.protocol.messages import CheckIn, RestartOrder, SignedOrder
from brakeline.rollout import restart_offering, restarts
from brakeline.rollout.live import OFFERING, LiveRollout
from brakeline.rollout.model import Wish
from brakeline.rollout.offering import Offering
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store.arms import SubjectRow

REFUSED_CHARS = 200


class Restarting:
    """See the module."""

    def __init__(self, offering: Offering) -> None:
        self._offering = offering

    async def restart_for(self, identity: EndpointIdentity, check_in: CheckIn) -> SignedOrder | None:
        """The order that this endpoint may have now; what it says of the last one is written down.

        Without the database nobody is restarted; the check-in itself does not fail by it.
        """
        try:
            return await self._restart_for(identity, check_in)
        except Unavailable:
            return None

    async def _restart_for(self, identity: EndpointIdentity, check_in: CheckIn) -> SignedOrder | None:
        said = check_in.restart
        if said is None or identity.state is not EndpointState.ACTIVE:
            return None
        open_to = [x for x in await self._offering.targeted_by(identity) if self._goes_on(identity.tenant_id, x)]
        if not open_to or not (said.allowed or said.refused):
            return None
        now_ms = self._offering.clock.now_ms()
        if self._offering.journal.frozen(identity.tenant_id) or await self._offering.limits.frozen_for(identity):
            return None
        async with self._offering.db.tenant(identity.tenant_id) as conn:
            for live in open_to:
                if live.row.change.is_restart:
                    order = await restart_offering.standing_order(conn, identity.endpoint_id, live, now_ms)
                    if order is not None:
                        return order
                    continue
                row = await self._due(conn, identity, live, said.refused[:REFUSED_CHARS])
                if row is not None:
                    return self._order(identity, live, row)
        return None

    def _goes_on(self, tenant_id: str, x: LiveRollout) -> bool:
        row = x.row
        restarts_any = row.policy.restarts.rings > 0 or row.change.is_restart
        rolls = row.blueprint.phase in OFFERING and row.wish is Wish.RUN and restarts_any
        return rolls and not self._offering.journal.pressed(tenant_id, row.rollout_id)

    async def _due(self, conn: Connection, identity: EndpointIdentity, live: LiveRollout,
                   refused: str) -> SubjectRow | None:  # fmt: skip
        policy, now_ms = live.row.policy, self._offering.clock.now_ms()
        rings = restarts.rings_that_restart(policy, live.row.change, len(live.targets))
        mine = await arms_store.subjects(conn, live.row.rollout_id, identity.endpoint_id)
        due = [s for s in mine if s.subject.boot_id and restarts.due(policy, rings, s.subject, now_ms)]
        if due and refused:
            await arms_store.restart_refused(conn, live.row.rollout_id, identity.endpoint_id, refused)
            return None
        return due[-1] if due else None

    def _order(self, identity: EndpointIdentity, live: LiveRollout, row: SubjectRow) -> SignedOrder:
        s = row.subject
        expires_ms = s.ready_ms + live.row.policy.restarts.within_s * 1000
        order = RestartOrder(identity.endpoint_id, live.row.rollout_id, s.boot_id, s.ready_ms, expires_ms)
        return self._offering.cell.sign_restart(order)
