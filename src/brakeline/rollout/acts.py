"""What takes two people about rollouts: to resume one after a halt, to start one in the fast lane (and `limit_acts`).

Asked before the act, done after the agreement, each bound to the rollout's generation, phase and wish: whatever moved
in between is agreed to anew. In its first week an organisation may try the fast lane out, one person and at most
`lanes.REHEARSAL_MAX` endpoints in all. The mechanism is `tenancy.approvals`; lifting a freeze is in `freezing`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from brakeline.core.errors import NotFound
from brakeline.rollout.lanes import REHEARSAL_MAX, why_fast
from brakeline.rollout.limit_acts import LimitActs
from brakeline.rollout.model import Line, Phase, State, Wish
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import rollouts
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.model import Principal, system_principal
from brakeline.tenancy.two_people import Act, Request

GATE: Final = "second person"
NAMES_SHOWN: Final = 5


class Acts:
    """See the module. Puts itself into the rollout service, which asks it before it acts."""

    def __init__(self, service: RolloutService, approvals: Approvals) -> None:
        self._rollouts, self._approvals = service, approvals
        service.acts = self
        approvals.register(Act.RESUME, self)
        approvals.register(Act.FAST_LANE, self)
        LimitActs(service, approvals)

    # --- before ------------------------------------------------------------------------------------------------------

    async def before_start(self, principal: Principal, row: RolloutRow) -> Request | None:
        """The request that waits for a second person; None = start it."""
        if row.wish is not Wish.DRAFT:
            return None
        size = await self._size(principal.tenant_id, row.rollout_id)
        why = why_fast(row.policy, row.change, size)
        if not why or await self.tries_out(principal.tenant_id, row):
            return None
        says = (
            f"Start rollout {row.title} ({row.rollout_id}) on {size} endpoints, faster than the careful pace: {why}.",
            f"It takes {_updates(row)} back." if row.change.takes_back else f"It installs {_updates(row)}.",
        )
        return await self._approvals.ask(principal, Act.FAST_LANE, row.rollout_id, {}, says, row.situation)

    async def before_resume(self, principal: Principal, row: RolloutRow, reason: str) -> Request | None:
        """The request that waits for a second person; None = resume it. Only what was halted takes one."""
        halted = row.blueprint.phase is Phase.HALTED or row.wish is Wish.BRAKE
        if not halted or await self.tries_out(principal.tenant_id, row):
            return None
        says = (
            f"Resume rollout {row.title} ({row.rollout_id}), {row.blueprint.why or 'halted'}.",
            f"{_updates(row)} is taken back from more endpoints, ring by ring."
            if row.change.takes_back
            else f"{_updates(row)} leaves quarantine and is offered to more endpoints, ring by ring.",
            "Endpoints that are not proven at that moment are set aside.",
            f"Reason: {reason}",
        )
        return await self._approvals.ask(
            principal, Act.RESUME, row.rollout_id, {"reason": reason}, says, row.situation
        )  # fmt: skip

    async def tries_out(self, tenant_id: str, row: RolloutRow) -> bool:
        """Whether this is a rehearsal of an organisation in its first week, on a handful of endpoints in all."""
        ids = set(await self._targets(tenant_id, row.rollout_id))
        if not why_fast(row.policy, row.change, len(ids)) or not await self._approvals.in_first_week(tenant_id):
            return False
        for x in await self._rollouts.refresh(tenant_id):
            begun = x.row.rollout_id != row.rollout_id and x.row.blueprint.phase is not Phase.DRAFT
            if begun and why_fast(x.row.policy, x.row.change, len(x.targets)):
                ids |= set(x.targets)
        return len(ids) <= REHEARSAL_MAX

    async def waiting(self, tenant_id: str, rollout_id: str) -> Request | None:
        """What about this rollout waits for a second person."""
        return await self._approvals.about(tenant_id, rollout_id)

    async def lines(self, tenant_id: str, row: RolloutRow) -> tuple[Line, ...]:
        """For the report: what waits for whom; of a draft in the fast lane, that its start will."""
        asked = await self.waiting(tenant_id, row.rollout_id)
        if asked is not None:
            names = await self._approvals.who_can_agree(system_principal(tenant_id, "rollout"), asked)
            return (self.line(asked, names),)
        if row.wish is not Wish.DRAFT:
            return ()
        why = why_fast(row.policy, row.change, await self._size(tenant_id, row.rollout_id))
        if not why or await self.tries_out(tenant_id, row):
            return ()
        return (Line(GATE, State.WAIT, f"to start it takes a second person: {why}"),)

    @staticmethod
    def line(asked: Request, names: tuple[str, ...]) -> Line:
        """A request as a line of the report; `names` could agree to it now."""
        until_s = (asked.not_before_ms or asked.expires_ms) / 1000
        until = datetime.fromtimestamp(until_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
        how = f"can be confirmed from {until} on" if asked.not_before_ms else f"a second person agrees until {until}"
        who = f"; waits for {_any_of(names)}" if names else "; nobody else could agree now"
        text = f"{asked.asked_by} asks to {_verb(asked)}: {how} (request {asked.approval_id}){who}"
        return Line(GATE, State.WAIT, text, {"approval": asked.approval_id, "waits_for": list(names)})

    # --- after -------------------------------------------------------------------------------------------------------

    async def situation(self, tenant_id: str, request: Request) -> str:
        """For `approvals.Performer`."""
        async with self._rollouts.db.tenant(tenant_id) as conn:
            row = await rollouts.get(conn, request.object_id)
        if row is None:
            raise NotFound("no such rollout", id=request.object_id[:40])
        return row.situation

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """For `approvals.Performer`."""
        if request.act is Act.RESUME:
            await self._rollouts.resume_agreed(
                agreed, request.object_id, str(request.parameters["reason"]), request.situation
            )  # fmt: skip
        else:
            await self._rollouts.start_agreed(agreed, request.object_id, request.situation)

    async def _size(self, tenant_id: str, rollout_id: str) -> int:
        async with self._rollouts.db.tenant(tenant_id) as conn:
            return await arms_store.count_targets(conn, rollout_id)

    async def _targets(self, tenant_id: str, rollout_id: str) -> list[str]:
        async with self._rollouts.db.tenant(tenant_id) as conn:
            return [t.endpoint_id for t in await arms_store.targets(conn, rollout_id)]


def _updates(row: RolloutRow) -> str:
    names = [f"{p.name} {p.version}" for p in row.change.updates]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _any_of(names: tuple[str, ...]) -> str:
    few = list(names[:NAMES_SHOWN]) + ([f"{len(names) - NAMES_SHOWN} more"] if len(names) > NAMES_SHOWN else [])
    return " or ".join(few)


def _verb(asked: Request) -> str:
    return "resume it" if asked.act is Act.RESUME else "start it in the fast lane"
