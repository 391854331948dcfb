"""FREEZE: one press stops everything of a tenant; lifting it takes a reason and a second person.

Invariants: a press is in the journal before anything else is tried, and in force from that moment on, with or without
the database; it needs the permission to brake and nothing more; pressing twice is harmless. Packages in mid-transaction
are finished, recalls go on, launchers heal. `settle` is level-triggered: journal and database end up saying the same,
whichever of the two was away, and a freeze that either of them knows and neither has seen lifted holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from prometheus_client import Gauge

from brakeline.core.errors import Conflict, Invalid, Unavailable
from brakeline.platform.observe import REGISTRY, logger
from brakeline.rollout.journal import Freeze
from brakeline.rollout.lanes import REHEARSAL_MAX, why_fast
from brakeline.rollout.live import LiveRollout
from brakeline.rollout.model import Phase
from brakeline.rollout.service import NOTE_S, RolloutService
from brakeline.rollout.store import freezes, rollouts
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Kind, Principal
from brakeline.tenancy.two_people import Act, Request

REASON_CHARS_MAX: Final = 500
FROZEN = Gauge("brakeline_frozen", "1 while everything of this organisation is frozen", ["tenant"], registry=REGISTRY)
KINDS: Final[dict[str, Kind]] = {"pe": "person", "to": "token", "bg": "token"}  # of an actor, by the prefix of its id


@dataclass(frozen=True, slots=True)
class FreezeAck:
    """The press is durable. `state` is `frozen`, or `pressed` while the database is away: in force all the same."""

    id: str
    state: str
    by: str
    since_ms: int
    reason: str
    presses: int


@dataclass(frozen=True, slots=True)
class FreezeView:
    """Whether everything stands still, and who wanted it. `told` says it in one sentence; "" = nothing is frozen."""

    frozen: bool
    id: str = ""
    by: str = ""
    since_ms: int = 0
    reason: str = ""
    presses: int = 0
    told: str = ""


class Freezing:
    """See the module. Puts itself into the rollout service, which asks it in each round."""

    def __init__(self, service: RolloutService, approvals: Approvals) -> None:
        self._rollouts, self._approvals = service, approvals
        service.freezing = self
        approvals.register(Act.UNFREEZE, self)

    def frozen(self, tenant_id: str) -> FreezeView:
        """As it is now, in memory."""
        return _view(self._rollouts.journal.frozen(tenant_id))

    def state(self, principal: Principal) -> FreezeView:
        """The same for people."""
        principal.require("rollout.read")
        return self.frozen(principal.tenant_id)

    async def freeze(self, principal: Principal, reason: str = "") -> FreezeAck:
        """Stop everything of the tenant, now. Raises `Forbidden`, and `Unavailable` only where the disk refuses the
        journal (it is in force then too, until this process ends)."""
        principal.require("rollout.brake")
        s, tenant_id = self._rollouts, principal.tenant_id
        said = " ".join(reason.split())[:REASON_CHARS_MAX]
        pressed = Freeze(s.ids.new("fz"), principal.name, principal.id, s.clock.now_ms(), said)
        try:
            freeze = s.journal.freeze(tenant_id, pressed)
        except Unavailable as e:
            raise Unavailable(f"{e.detail}. It is in force all the same until this server ends; press again.") from e
        finally:
            s.stop(tenant_id)
            FROZEN.labels(tenant_id).set(1)
        try:
            async with asyncio.timeout(NOTE_S):
                await self._note(tenant_id, freeze, principal)
        except (Unavailable, TimeoutError) as e:
            logger.warning("freeze-not-in-the-database-yet", tenant_id=tenant_id, reason=str(e))
            return _ack(freeze, "pressed")
        return _ack(freeze, "frozen")

    # --- lifting -----------------------------------------------------------------------------------------------------

    async def unfreeze(self, principal: Principal, reason: str) -> Request | None:
        """Ask for the freeze to be lifted: the request that a second person agrees to. None = it is lifted, which one
        person may do only in an organisation's first week, with nothing but rehearsals on a handful of endpoints."""
        principal.require("rollout.resume")
        said = " ".join(reason.split())
        if not said or len(said) > REASON_CHARS_MAX:
            raise Invalid(f"a reason of at most {REASON_CHARS_MAX} characters is needed; it is kept in the audit log")
        s, tenant_id = self._rollouts, principal.tenant_id
        await self.settle(tenant_id)
        freeze = s.journal.frozen(tenant_id)
        if freeze is None:
            raise Conflict("nothing is frozen")
        going = [x for x in await s.refresh(tenant_id) if x.row.blueprint.phase in (Phase.ROLLING, Phase.HOLDING)]
        endpoints = await s.fleet.count_matching(principal, "state:active")
        if await self._tries_out(tenant_id, going, endpoints):
            await self._lift(Agreed(principal, principal.name, 1, ""), freeze.freeze_id, said, _situation(freeze))
            return None
        titles = ", ".join(x.row.title for x in going[:5]) + (" …" if len(going) > 5 else "")
        says = (
            f"Lift the freeze: everything is {freeze.told()}.",
            f"{len(going)} rollouts go on where they stood, on {endpoints} endpoints{f': {titles}' if titles else ''}.",
            f"Reason: {said}",
        )
        return await self._approvals.ask(
            principal, Act.UNFREEZE, freeze.freeze_id, {"reason": said}, says, _situation(freeze)
        )  # fmt: skip

    async def _tries_out(self, tenant_id: str, going: Iterable[LiveRollout], endpoints: int) -> bool:
        only_rehearsals = all(why_fast(x.row.policy, x.row.change, len(x.targets)) for x in going)
        return endpoints <= REHEARSAL_MAX and only_rehearsals and await self._approvals.in_first_week(tenant_id)

    async def waiting(self, principal: Principal) -> Request | None:
        """The request to lift the freeze in force, if somebody has asked."""
        freeze = self._rollouts.journal.frozen(principal.tenant_id)
        return await self._approvals.about(principal.tenant_id, freeze.freeze_id) if freeze is not None else None

    async def situation(self, tenant_id: str, request: Request) -> str:  # noqa: ARG002 - there is one freeze
        """For `approvals.Performer`: the same freeze, and nobody more who wants it."""
        return _situation(self._rollouts.journal.frozen(tenant_id))

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """For `approvals.Performer`."""
        self._unmoved(agreed.principal.tenant_id, request.situation)
        await self._lift(agreed, request.object_id, str(request.parameters["reason"]), request.situation)

    def _unmoved(self, tenant_id: str, situation: str) -> None:
        if _situation(self._rollouts.journal.frozen(tenant_id)) != situation:
            raise Overtaken("somebody else has pressed meanwhile")

    async def _lift(self, agreed: Agreed, freeze_id: str, reason: str, situation: str) -> None:
        """The database first, so that a crash in between leaves it frozen. Whoever presses while it is written is not
        overruled by it: before the commit nothing is lifted, and what was pressed during the commit is pressed anew."""
        s, now_ms, tenant_id = self._rollouts, self._rollouts.clock.now_ms(), agreed.principal.tenant_id
        async with s.db.tenant(tenant_id) as conn:
            if await freezes.lift(conn, freeze_id, agreed.names, reason, now_ms):
                for row in await rollouts.live(conn, now_ms):
                    text = f"unfrozen: {reason}"
                    await rollouts.add_event(conn, tenant_id, row.rollout_id, now_ms, "unfreeze", agreed.names, text)
                after = {
                    "reason": reason, "by": agreed.names, "persons": agreed.persons, "approval": agreed.approval_id,
                }  # fmt: skip
                await audit.append(conn, s.clock, agreed.principal, "freeze.lift", freeze_id, None, after)
            self._unmoved(tenant_id, situation)
        now = s.journal.frozen(tenant_id)
        s.journal.unfreeze(tenant_id, freeze_id, agreed.names, now_ms)
        if now is not None and now.freeze_id == freeze_id and _situation(now) != situation:
            s.journal.freeze(tenant_id, replace(now, freeze_id=s.ids.new("fz"), presses=1))
            logger.warning("freeze-pressed-while-it-was-lifted", tenant_id=tenant_id)
        await self._tell(tenant_id)

    # --- journal and database ----------------------------------------------------------------------------------------

    async def settle(self, tenant_id: str) -> None:
        """Journal and database say the same afterwards."""
        journal = self._rollouts.journal
        freeze = journal.frozen(tenant_id)
        FROZEN.labels(tenant_id).set(freeze is not None)
        async with self._rollouts.db.tenant(tenant_id) as conn:
            written = await freezes.open_one(conn)
            over = freeze is not None and await freezes.lifted(conn, freeze.freeze_id)
        if freeze is not None and over:  # lifted by another process, or just before a crash
            journal.unfreeze(tenant_id, freeze.freeze_id, "the database", self._rollouts.clock.now_ms())
            await self._tell(tenant_id)
        elif freeze is not None and (
            written is None
            or (written.freeze_id, written.presses, written.reason) != (freeze.freeze_id, freeze.presses, freeze.reason)
        ):
            await self._note(tenant_id, freeze, None)
        elif freeze is None and written is not None:
            await self._found(tenant_id, written)

    async def _found(self, tenant_id: str, written: Freeze) -> None:
        """A freeze that only the database knows: pressed at another process, or the journal was lost."""
        journal, now_ms = self._rollouts.journal, self._rollouts.clock.now_ms()
        if journal.lifted(tenant_id, written.freeze_id):  # an older database was restored
            async with self._rollouts.db.tenant(tenant_id) as conn:
                await freezes.lift(conn, written.freeze_id, "the brake journal", "it had been lifted", now_ms)
            return
        journal.freeze(tenant_id, written)
        self._rollouts.stop(tenant_id)
        await self._tell(tenant_id)

    async def _note(self, tenant_id: str, freeze: Freeze, who: Principal | None) -> None:
        """Into the database: the press, the log of every rollout, the audit log. Once for each press."""
        s = self._rollouts
        who = who or _presser(tenant_id, freeze)
        async with s.db.tenant(tenant_id) as conn:
            if await freezes.press(conn, tenant_id, freeze):
                for row in await rollouts.live(conn, s.clock.now_ms()):
                    await rollouts.add_event(
                        conn, tenant_id, row.rollout_id, freeze.since_ms, "freeze", who.name, freeze.told()
                    )
                after = {"reason": freeze.reason, "since_ms": freeze.since_ms, "presses": freeze.presses}
                await audit.append(conn, s.clock, who, "freeze.press", freeze.freeze_id, None, after)
        await self._tell(tenant_id)

    async def _tell(self, tenant_id: str) -> None:
        """Each rollout says why it stands still or goes on, before anybody looks."""
        s = self._rollouts
        await s.executor.reconcile_tenant(tenant_id)
        await s.refresh(tenant_id)
        if s.releasing is not None:
            s.releasing.lease()
        await s.bus.publish(f"rollout:{tenant_id}")


def _presser(tenant_id: str, freeze: Freeze) -> Principal:
    """Whoever pressed, as the journal knows them: for the log, with no power to do anything."""
    kind = KINDS.get(freeze.by_id.partition("_")[0], "system")
    return Principal(tenant_id, freeze.by_id, kind, freeze.by, frozenset())


def _situation(freeze: Freeze | None) -> str:
    return f"{freeze.freeze_id}, wanted by {freeze.presses}" if freeze is not None else "nothing is frozen"


def _ack(freeze: Freeze, state: str) -> FreezeAck:
    return FreezeAck(freeze.freeze_id, state, freeze.by, freeze.since_ms, freeze.reason, freeze.presses)


def _view(freeze: Freeze | None) -> FreezeView:
    if freeze is None:
        return FreezeView(frozen=False)
    return FreezeView(
        True, freeze.freeze_id, freeze.by, freeze.since_ms, freeze.reason, freeze.presses, freeze.told()
    )  # fmt: skip
