"""Budgets and freeze windows: over `rollout.limits`."""

from __future__ import annotations

from brakeline.console import present_limits
from brakeline.console.desk_base import DeskBase
from brakeline.console.screens import Visitor
from brakeline.console.views_limits import BudgetForm, LimitsView
from brakeline.core.errors import Invalid
from brakeline.tenancy.two_people import Request


class DeskLimits(DeskBase):
    """See the module."""

    async def limits(self, who: Visitor, form: BudgetForm) -> LimitsView:
        limits, now_ms = self.s.rollout.limits, self.s.clock.now_ms()
        may = who.may("limits.write")
        plan, error = None, ""
        if form.amount:
            try:
                endpoints, percent = present_limits.numbers(form)
                found = await limits.plan_budget(
                    who.principal, group=form.group, per=form.per, endpoints=endpoints, percent=percent
                )
                plan = present_limits.plan_view(found)
            except Invalid as wrong:
                error = wrong.detail
        budgets = present_limits.budget_rows(await limits.budgets(who.principal), now_ms, may)
        windows = tuple(present_limits.window_row(w, now_ms) for w in await limits.freeze_windows(who.principal))
        return LimitsView(budgets, windows, form, plan, error, may_write=may)

    async def set_budget(self, who: Visitor, form: BudgetForm, reason: str) -> str:
        endpoints, percent = present_limits.numbers(form)
        found = await self.s.rollout.limits.set_budget(
            who.principal, group=form.group, per=form.per, endpoints=endpoints, percent=percent, reason=reason
        )
        return found.approval_id if isinstance(found, Request) else ""

    async def remove_budget(self, who: Visitor, group: str, per: str, reason: str) -> str:
        found = await self.s.rollout.limits.remove_budget(who.principal, group=group, per=per, reason=reason)
        return found.approval_id if found is not None else ""

    async def add_window(self, who: Visitor, fields: dict[str, str]) -> None:
        await self.s.rollout.limits.add_window(
            who.principal, name=fields.get("name", ""), weekly=fields.get("weekly", ""),
            begins=fields.get("begins", ""), ends=fields.get("ends", ""), zone=fields.get("zone", "") or "UTC",
            filter_text=fields.get("filter", ""),
        )  # fmt: skip

    async def remove_window(self, who: Visitor, window_id: str, reason: str) -> str:
        found = await self.s.rollout.limits.remove_window(who.principal, window_id, reason=reason)
        return found.approval_id if isinstance(found, Request) else ""
