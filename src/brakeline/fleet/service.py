"""The fleet's use cases in one object, and what runs in the background: the coalesced flush.

`enrolment` (tokens, identities, secrets), `inventory`, `lists` (what people read) hold the use cases; here are
check-ins, which only touch memory. Calls: `platform.database`, `platform.bus`, `tenancy.audit`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.fleet import harms
from brakeline.fleet.decide import Accept, Cloned, decide_counter, decide_outdated
from brakeline.fleet.enrolment import Enrolment
from brakeline.fleet.faults import ClonedIdentity, EndpointRetired, UnknownEndpoint
from brakeline.fleet.histories import HistoryUse
from brakeline.fleet.inventory import InventoryUse
from brakeline.fleet.lists import ListUse
from brakeline.fleet.model import EndpointState, Presence, Readings
from brakeline.fleet.sessions import Session
from brakeline.fleet.shaping import ShapeUse
from brakeline.protocol.messages import CheckIn

SLEEPS: Final = frozenset({"shutdown", "suspend"})  # goodbyes after which nobody is expected


class FleetService(Enrolment, InventoryUse, ListUse, HistoryUse, ShapeUse):
    """Everything that the rest of Brakeline may ask of the fleet."""

    async def session(self, endpoint_id: str) -> Session:
        """The session of an enrolled endpoint, whatever its state; `UnknownEndpoint`."""
        session = self.sessions.known(endpoint_id) or await self.sessions.find(endpoint_id)
        if session is None:
            raise UnknownEndpoint(id=endpoint_id[:40])
        return session

    @staticmethod
    def require_active(session: Session) -> None:
        """Raise `ClonedIdentity` or `EndpointRetired` for an identity that was stopped."""
        if session.identity.state is EndpointState.CLONED:
            raise ClonedIdentity
        if session.identity.state is EndpointState.RETIRED:
            raise EndpointRetired

    async def take(self, session: Session, boot_id: str, counter: int, digest: str) -> None:
        """Accept an authenticated message once, or raise `Replayed` or `ClonedIdentity` (which stops the identity)."""
        verdict = decide_counter(session.counter, boot_id, counter, digest)
        if isinstance(verdict, Accept):
            session.counter = verdict.state
        else:
            await self.refuse(session, verdict)

    async def take_outdated(self, session: Session, boot_id: str, counter: int, digest: str) -> None:
        """Use up the counter of a check-in under a replaced secret; raises `ClonedIdentity` if it proves a clone."""
        verdict = decide_outdated(session.counter, boot_id, counter, digest)
        if isinstance(verdict, Accept):
            session.counter = verdict.state
        elif isinstance(verdict, Cloned):
            await self.refuse(session, verdict)

    def record_check_in(self, session: Session, boot_id: str, check_in: CheckIn) -> None:
        """Note that the endpoint was heard, and whether its inventory is the one that is held. No I/O."""
        identity, held = session.identity, session.held
        self.presences.record(
            identity.tenant_id,
            identity.endpoint_id,
            Presence(
                self.clock.now_ms(), boot_id, False, check_in.agent_version, check_in.health.failed_services,
                check_in.launcher, Readings.of(check_in.health), check_in.settings,
                harms.bounded(check_in.harms), check_in.local,
            ),
        )  # fmt: skip
        # The endpoint names what was acknowledged last: anything else than what is held, and both start afresh.
        session.resync = check_in.inventory_sequence != held.sequence or check_in.inventory_digest != held.digest

    async def goodbye(self, session: Session, boot_id: str, reason: str) -> None:
        """Asleep from now on, until the next check-in; written at once, because the endpoint will not ask again.

        A machine that restarts and an agent that ends come back at once: if they do not, that is silence. Else a
        release that ends in order, or a machine that does not come up, would hide its harm behind a polite word.
        """
        identity = session.identity
        now = await self.presence(identity.tenant_id, [identity.endpoint_id])
        last = now.get(identity.endpoint_id)
        before = last or Presence(0)
        presence = replace(before, last_check_in_ms=self.clock.now_ms(), boot_id=boot_id, asleep=reason in SLEEPS)
        self.presences.record(identity.tenant_id, identity.endpoint_id, presence)
        await self.presences.write(identity.tenant_id)
        await self.announce(identity.tenant_id, identity.endpoint_id, wake=False)

    def forget(self, tenant_id: str) -> None:
        """All endpoints of this organisation were removed, and none of them speaks any more."""
        self.sessions.forget(tenant_id)
        self.presences.forget(tenant_id)

    async def flush(self) -> str:
        """Write down what was coalesced: run about once a second. Gives a line for the report; `Unavailable`."""
        rows = self.presences.waiting
        if self.unsaved_clones:
            await self.save_clones()
        flushed = await self.presences.flush()
        for tenant_id in flushed.news:
            await self.bus.publish(f"check-in:{tenant_id}")
        if flushed.wrong:
            raise flushed.wrong[0]
        return f"{rows} check-ins written"

    async def close(self) -> None:
        """Wait for what is still being written down."""
        await self.presences.close()
