"""Due restarts: over `rollout.restart_planning`."""

from __future__ import annotations

from brakeline.console import present_restart
from brakeline.console.desk_base import DeskBase
from brakeline.console.screens import Visitor
from brakeline.console.views_restart import RestartForm, RestartView
from brakeline.protocol.messages import PeopleTerms
from brakeline.rollout import people
from brakeline.rollout.restart_planning import RestartPlanning


class DeskRestart(DeskBase):
    """See the module."""

    async def restarts(self, who: Visitor, form: RestartForm) -> RestartView:
        planning = RestartPlanning(self.s.rollout)
        plan = await planning.plan(who.principal, form.filter, any_=form.any, pace=form.pace, terms=_terms(form))
        return present_restart.restart_view(plan, form, may_make=who.may("rollout.create"))

    async def make_restarts(self, who: Visitor, form: RestartForm, expect_count: int) -> str:
        return await RestartPlanning(self.s.rollout).create(
            who.principal, form.filter, expect_count=expect_count, any_=form.any, pace=form.pace,
            terms=_terms(form),
        )  # fmt: skip


def _terms(form: RestartForm) -> PeopleTerms | None:
    return people.terms(form.warn, form.deferrals, form.defer, form.deadline)
