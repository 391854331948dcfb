"""FREEZE: one press stops everything of a tenant; lifting it takes a reason and a second person.

Invariants: a press is in the journal before anything else is tried, and in force from that moment on, with or without
the database; it needs the permission to brake and nothing more; pressing twice is harmless. Packages in mid-transaction
are finished, recalls go on, launchers heal. `settle` is level-triggered: journal and database end up saying the same,
whichever of the two was away, and a freeze that either of them knows and neither has seen lifted holds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Unavailable
from brakeline.platform.observe import logger
from brakeline.rollout.journal import Freeze
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import freezes, rollouts
from brakeline.tenancy import audit
from brakeline.tenancy.model import Kind, Principal

REASON_CHARS_MAX: Final = 500
NOTE_S: Final = 5.0  # how long a press waits for the database after it is durable
KINDS: Final[dict[str, Kind]] = {"pe": "person", "to": "token"}  # of an actor, by the prefix of its id


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

    def __init__(self, service: RolloutService) -> None:
        self._rollouts = service
        service.freezing = self

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
        finally:
            s.stop(tenant_id)
        try:
            async with asyncio.timeout(NOTE_S):
                await self._note(tenant_id, freeze, principal)
        except (Unavailable, TimeoutError) as e:
            logger.warning("freeze-not-in-the-database-yet", tenant_id=tenant_id, reason=str(e))
            return _ack(freeze, "pressed")
        return _ack(freeze, "frozen")

    async def lift(self, tenant_id: str, freeze_id: str, by: Principal, names: str, reason: str) -> None:
        """After two people have agreed: the database first, so that a crash in between leaves it frozen."""
        s, now_ms = self._rollouts, self._rollouts.clock.now_ms()
        async with s.db.tenant(tenant_id) as conn:
            if await freezes.lift(conn, freeze_id, names, reason, now_ms):
                for row in await rollouts.live(conn, now_ms):
                    text = f"unfrozen: {reason}"
                    await rollouts.add_event(conn, tenant_id, row.rollout_id, now_ms, "unfreeze", names, text)
                await audit.append(conn, s.clock, by, "freeze.lift", freeze_id, None, {"reason": reason, "by": names})
        s.journal.unfreeze(tenant_id, freeze_id, names, now_ms)
        await self._tell(tenant_id)

    async def settle(self, tenant_id: str) -> None:
        """Journal and database say the same afterwards."""
        journal = self._rollouts.journal
        freeze = journal.frozen(tenant_id)
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


def _ack(freeze: Freeze, state: str) -> FreezeAck:
    return FreezeAck(freeze.freeze_id, state, freeze.by, freeze.since_ms, freeze.reason, freeze.presses)


def _view(freeze: Freeze | None) -> FreezeView:
    if freeze is None:
        return FreezeView(frozen=False)
    return FreezeView(
        True, freeze.freeze_id, freeze.by, freeze.since_ms, freeze.reason, freeze.presses, freeze.told()
    )  # fmt: skip
