"""View-models of budgets and freeze windows, ready for a template; see `views` for what holds of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Link


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One group that a budget is counted for. `key` and `per` name the budget in forms."""

    id: str
    group: Link
    limit: str
    counted: str
    used: int
    cap: int
    note: str
    set_by: str
    key: str
    per: str
    removable: bool = False


@dataclass(frozen=True, slots=True)
class WindowRow:
    id: str
    name: str
    when: str
    whom: Link
    state: Badge
    note: str
    by: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class BudgetForm:
    """What a person has typed."""

    group: str = ""
    per: str = "hour"
    amount: str = ""
    at_least: str = ""


@dataclass(frozen=True, slots=True)
class PlanRow:
    group: str
    size: int
    before: str
    after: int


@dataclass(frozen=True, slots=True)
class BudgetPlanView:
    """The step before a budget is set."""

    title: str
    rows: tuple[PlanRow, ...]
    note: str
    widens: bool


@dataclass(frozen=True, slots=True)
class LimitsView:
    """Budgets and freeze windows on one page."""

    budgets: tuple[BudgetRow, ...]
    windows: tuple[WindowRow, ...]
    form: BudgetForm = BudgetForm()
    plan: BudgetPlanView | None = None
    error: str = ""
    zone: str = "UTC"
    may_write: bool = False
