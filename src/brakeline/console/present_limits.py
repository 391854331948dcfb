"""From budgets and freeze windows as the service has them to what their page says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from brakeline.console import present
from brakeline.console.views import Badge, Fact, Link, Tone
from brakeline.console.views_limits import BudgetForm, BudgetPlanView, BudgetRow, PlanRow, WindowRow
from brakeline.core.errors import Invalid
from brakeline.rollout.limit_views import BudgetPlan, BudgetView, WindowView

COUNTED: Final = {"hour": "per hour", "at_once": "at once"}
STATES: Final = {
    "frozen": Badge("■", "frozen now", Tone.WARN),
    "to come": Badge("○", "to come", Tone.IDLE),
    "over": Badge("–", "over", Tone.IDLE),
}
FLEET: Final = "the whole fleet"


def budget_rows(found: Iterable[BudgetView], now_ms: int, may_write: bool) -> tuple[BudgetRow, ...]:
    """One line a group; a budget can be removed on its first."""
    rows: list[BudgetRow] = []
    for b in found:
        by = "rule of every organisation" if b.standard else f"{b.set_by}, {present.ago(b.set_ms, now_ms)}"
        for i, s in enumerate(b.scopes):
            note = s.text.partition("; ")[2]
            whom = Link(s.group or FLEET, present.endpoints_href(s.group))
            remove = may_write and not b.standard and i == 0
            row = BudgetRow(f"budget-{len(rows)}", whom, b.limit, COUNTED[b.per], s.used, s.cap, note, by, b.group,
                            b.per, remove)  # fmt: skip
            rows.append(row)
    return tuple(rows)


def window_row(w: WindowView, now_ms: int) -> WindowRow:
    whom = Link(w.filter or "everybody", present.endpoints_href(w.filter))
    note = w.text.partition("' ")[2]
    by = f"{w.created_by}, {present.ago(w.created_ms, now_ms)}"
    return WindowRow(w.id, w.name, w.when, whom, STATES[w.state], note, by, w.state == "over")


def plan_view(plan: BudgetPlan) -> BudgetPlanView:
    """What setting a budget would do."""
    whom = plan.group or FLEET
    title = f"{plan.after} {COUNTED[plan.per]} for {whom}" + (f", instead of {plan.before}" if plan.before else "")
    rows = tuple(
        PlanRow(s.group or FLEET, s.size, "none of its own" if s.before is None else f"{s.before:,}", s.after)
        for s in plan.scopes
    )
    note = f"Rollouts that go on now and spend from it: {plan.rollouts}. It holds from the next offer on."
    return BudgetPlanView(title, rows, note, plan.widens)


def numbers(form: BudgetForm) -> tuple[int | None, float | None]:
    """(endpoints, percent) of what was typed. `Invalid` says how to write it."""
    amount, least = form.amount.strip(), form.at_least.strip()
    try:
        if amount.endswith("%"):
            return (int(least) if least else None), float(amount[:-1])
        if not least:
            return int(amount), None
    except ValueError:
        pass
    raise Invalid("a budget is a number of endpoints (50) or a percentage (10%, and then at least so many)")


def facts(budgets: Iterable[BudgetView], windows: Iterable[WindowView]) -> tuple[Fact, ...]:
    """In brief, for the settings page."""
    lines = [
        Fact(f"{s.group or FLEET}, {COUNTED[b.per]}".capitalize(), f"{s.used:,} of {s.cap:,} used ({b.limit})")
        for b in budgets for s in b.scopes
    ]  # fmt: skip
    windows = tuple(windows)
    frozen = [w for w in windows if w.state == "frozen"]
    text = "; ".join(w.text for w in frozen) or f"none in force, {sum(w.state == 'to come' for w in windows)} to come"
    return (*lines, Fact("Freeze windows", text, Tone.WARN if frozen else None))
