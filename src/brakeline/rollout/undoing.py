"""Use cases of rollbacks: plan one, draft one. From there it is a rollout like any other, with rings and brake.

Invariants: only what is halted is taken back, and its versions stay quarantined meanwhile; only endpoints that kept
the exact inverse take part, and none whom it would lead to what is itself declined or quarantined; who has none is
named with the reason and left to people; one rollback at a time. Pure decisions are in `undo`.
"""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.fleet.model import EndpointState
from brakeline.rollout.model import ROLLBACK, Change, Phase
from brakeline.rollout.service import TITLE_CHARS_MAX, RolloutService
from brakeline.rollout.store import rollouts
from brakeline.rollout.store import undo as store
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.rollout.undo import NAMED_MAX, UndoPlan, harmed_by_region, planned, policy_of
from brakeline.tenancy.faults import CountMoved
from brakeline.tenancy.model import Principal


class NotHalted(Conflict):
    """Only an update that is halted is taken back."""

    code = "not-halted"
    hint = "Press the brake first: brakeline rollout brake ROLLOUT. What is halted is offered to nobody meanwhile."


class NoWayBack(Invalid):
    """No endpoint has a way back."""

    code = "no-way-back"
    hint = "The plan names each endpoint with its reason. A newer fixed version, or people, must help there."


@dataclass(frozen=True, slots=True)
class Undoing:
    """See the module."""

    rollouts: RolloutService

    async def plan(self, principal: Principal, rollout_id: str, pace: str = "careful") -> UndoPlan:
        """What a rollback of this rollout would do now. Changes nothing."""
        principal.require("rollout.read")
        row = await self._row(principal, rollout_id)
        _refuse(row)
        active = [e for e in await self.rollouts.endpoints_of(principal) if e.state is EndpointState.ACTIVE]
        async with self.rollouts.db.tenant(principal.tenant_id) as conn:
            told = await store.told(conn, rollout_id)
            out = {q.pin: q.told for q in await rollouts.quarantined(conn)}
            leads = await store.leads_to(conn, rollout_id, out.keys())
        barred = {e: f"its way back leads to {p.name} {p.version}, which {out[p]}" for e, p in leads.items()}
        updates = tuple(f"{p.name} {p.version}" for p in row.change.updates)
        return planned(rollout_id, row.title, updates, told, frozenset(e.id for e in active), pace, barred)

    async def create(self, principal: Principal, rollout_id: str, *, pace: str = "careful",
                     expect_count: int | None = None) -> str:  # fmt: skip
        """Draft it; the new rollout's id. Start it like any other."""
        principal.require("rollout.create")
        plan = await self.plan(principal, rollout_id, pace)
        if expect_count is not None and len(plan.takes_part) != expect_count:
            raise CountMoved(f"{len(plan.takes_part)} endpoints would be taken back now, not {expect_count}")
        if not plan.takes_part:
            raise NoWayBack(_why_nobody(plan))
        row = await self._row(principal, rollout_id)
        await self._refuse_second(principal, rollout_id)
        title = f"Back from {row.title}"[:TITLE_CHARS_MAX]
        change = Change(
            row.change.updates, kind=ROLLBACK, conffile_policy=row.change.conffile_policy, title=title,
            undoes=rollout_id, harmed=harmed_by_region(plan),
        )  # fmt: skip
        first = frozenset(x.endpoint_id for x in plan.first)
        made = await self.rollouts.create(
            principal, title, change, policy_of(plan, pace), plan.takes_part, first=first, left_out=plan.left_out
        )  # fmt: skip
        text = f"rollback {made} drafted by {principal.name}: {len(first)} with proven harm first"
        await self.rollouts.record(principal.tenant_id, rollout_id, ROLLBACK, text)
        return made

    async def _row(self, principal: Principal, rollout_id: str) -> RolloutRow:
        async with self.rollouts.db.tenant(principal.tenant_id) as conn:
            row = await rollouts.get(conn, rollout_id)
        if row is None:
            raise NotFound("no such rollout", id=rollout_id[:40])
        return row

    async def _refuse_second(self, principal: Principal, rollout_id: str) -> None:
        async with self.rollouts.db.tenant(principal.tenant_id) as conn:
            other = await store.undone_by(conn, rollout_id)
        if other:
            raise Conflict(f"rollback {other} is drafted or under way already", id=rollout_id, rollback=other)


def _refuse(row: RolloutRow) -> None:
    if row.change.release is not None:
        raise Invalid("a release of ours goes back by itself: each launcher has kept the last one that worked")
    if row.change.is_drill:
        raise Invalid("a drill has changed nothing, so there is nothing to take back", id=row.rollout_id)
    if row.change.is_restart:
        raise Invalid("a restart cannot be taken back; nothing was installed by it", id=row.rollout_id)
    if row.change.takes_back:
        raise Invalid("this is a rollback itself; to take the update again, resume the rollout that it took back")
    if row.blueprint.phase is not Phase.HALTED:
        raise NotHalted(f"it is {row.blueprint.phase.value}", id=row.rollout_id)


def _why_nobody(plan: UndoPlan) -> str:
    if not plan.left_out:
        return "that rollout has changed no endpoint"
    some = "; ".join(f"{x.hostname}: {x.reason}" for x in plan.left_out[:NAMED_MAX])
    return f"none of {len(plan.left_out)} endpoints has a way back: {some}"
