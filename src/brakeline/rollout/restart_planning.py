"""Use cases of restarts as a rollout: plan one, draft one. From there it is a rollout like any other.

Invariants: only endpoints that match the filter, are active, and (if nobody said otherwise) have a restart due by their
own word take part; one rollout of restarts at a time. Whether an endpoint follows is its own root's to say, and the
rollout tells it. Next: `restart_change` (pure).
"""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.core.errors import Conflict, Invalid
from brakeline.protocol.messages import PeopleTerms
from brakeline.rollout import arms, people
from brakeline.rollout.model import Phase
from brakeline.rollout.restart_change import change_of, policy_of
from brakeline.rollout.service import TITLE_CHARS_MAX, RolloutService
from brakeline.tenancy.faults import CountMoved
from brakeline.tenancy.model import Principal

DUE = "reboot:yes"
UNDER_WAY = frozenset({Phase.DRAFT, Phase.ROLLING, Phase.HOLDING})


class NoneDue(Invalid):
    """Nobody would be restarted."""

    code = "no-restart-due"
    hint = (
        "Look: brakeline endpoint list --filter reboot:yes. With --any, endpoints that have none due are restarted too."
    )


@dataclass(frozen=True, slots=True)
class RestartPlan:
    """What a rollout of restarts would do. `rings`: (name, up to so many endpoints)."""

    filter: str
    any: bool
    pace: str
    endpoints: tuple[tuple[str, str], ...]  # id, host name
    rings: tuple[tuple[str, int], ...]
    people: str = ""  # on which terms whoever is logged in is asked, in words


@dataclass(frozen=True, slots=True)
class RestartPlanning:
    """See the module."""

    rollouts: RolloutService

    async def plan(self, principal: Principal, filter_text: str, *, any_: bool = False,
                   pace: str = "careful", terms: PeopleTerms | None = None) -> RestartPlan:  # fmt: skip
        """Who would be restarted, in which rings. Changes nothing."""
        principal.require("rollout.read")
        query = " ".join(filter(None, (filter_text.strip(), "" if any_ else DUE, "state:active")))
        ids = frozenset(await self.rollouts.fleet.matching(principal.tenant_id, query))
        found = [(e.id, e.hostname) for e in await self.rollouts.endpoints_of(principal) if e.id in ids]
        policy = policy_of(len(found), pace, terms)
        rings = arms.rings_for(policy, change_of(0, ""), len(found)) if found else ()
        shown = tuple((r.name, upto) for r, upto in rings)
        return RestartPlan(filter_text.strip(), any_, pace, tuple(found), shown, people.said(terms))

    async def create(self, principal: Principal, filter_text: str, *, expect_count: int, any_: bool = False,
                     pace: str = "careful", title: str = "", terms: PeopleTerms | None = None) -> str:  # fmt: skip
        """Draft it; the rollout's id. Start it like any other."""
        principal.require("rollout.create")
        plan = await self.plan(principal, filter_text, any_=any_, pace=pace)
        if len(plan.endpoints) != expect_count:
            raise CountMoved(f"{len(plan.endpoints)} endpoints would be restarted now, not {expect_count}")
        if not plan.endpoints:
            raise NoneDue("no active endpoint matches" + ("" if any_ else " that has a restart due"))
        await self._refuse_if_under_way(principal.tenant_id)
        title = (title.strip() or f"Restart {len(plan.endpoints)} endpoints")[:TITLE_CHARS_MAX]
        change = change_of(self.rollouts.clock.now_ms(), title)
        policy = policy_of(len(plan.endpoints), pace, terms)
        return await self.rollouts.create(principal, title, change, policy, [i for i, _ in plan.endpoints])

    async def _refuse_if_under_way(self, tenant_id: str) -> None:
        for x in await self.rollouts.refresh(tenant_id):
            if x.row.change.is_restart and x.row.blueprint.phase in UNDER_WAY:
                phase, rollout_id = x.row.blueprint.phase.value, x.row.rollout_id
                raise Conflict(f"rollout {rollout_id} of restarts is {phase}; one at a time", id=rollout_id)
