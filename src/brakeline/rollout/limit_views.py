"""Limits as people see them: budgets with how much is left, what setting one would do, freeze windows. Frozen, pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brakeline.rollout import budget, windows
from brakeline.rollout.budget import Budget, Usage
from brakeline.rollout.windows import Window


@dataclass(frozen=True, slots=True)
class ScopeView:
    """One group that a budget is counted for."""

    group: str
    cap: int
    used: int
    size: int
    next_ms: int  # when there is room again; 0 = there is, or nobody can say
    text: str


@dataclass(frozen=True, slots=True)
class BudgetView:
    """One budget as people see it; `standard` = the rule of every tenant, nobody has set it."""

    group: str  # "" = the whole fleet
    per: str  # hour | at_once
    limit: str
    endpoints: int | None
    percent: float | None
    set_ms: int
    set_by: str
    standard: bool
    scopes: tuple[ScopeView, ...]


@dataclass(frozen=True, slots=True)
class ScopeChange:
    """What setting a budget would do to one group; `before` None = it had none of its own."""

    group: str
    size: int
    before: int | None
    after: int


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    """What setting a budget would do. `widens`: more may be changed than before, so it needs a reason."""

    group: str
    per: str
    before: str
    after: str
    widens: bool
    rollouts: int  # that go on now and would have it
    scopes: tuple[ScopeChange, ...]


@dataclass(frozen=True, slots=True)
class WindowView:
    """One freeze window as people see it. `state`: frozen (now), to come, or over."""

    id: str
    name: str
    when: str
    zone: str
    filter: str
    state: str
    text: str
    created_ms: int
    created_by: str


def budget_view(b: Budget, usages: Iterable[Usage], now_ms: int) -> BudgetView:
    """A budget with each group that it is counted for."""
    mine = [u for u in usages if u.per is b.per and b.group.covers(u.group)]
    percent = b.limit.permille / 10 if b.limit.permille is not None else None
    return BudgetView(
        str(b.group), b.per.value, str(b.limit), b.limit.endpoints, percent, b.set_ms, b.set_by, not b.set_ms,
        tuple(ScopeView(str(u.group), u.cap, u.used, u.size, u.next_ms, budget.in_words(u, now_ms)) for u in mine),
    )  # fmt: skip


def window_view(w: Window, now_ms: int) -> WindowView:
    """A freeze window with where it stands now."""
    in_force = windows.frozen((w,), now_ms)
    state = "over" if windows.over(w, now_ms) else "to come" if in_force is None else "frozen"
    return WindowView(
        w.id, w.name, windows.in_words(w), w.zone, w.filter, state, str(in_force) if in_force else "", w.created_ms,
        w.created_by,
    )  # fmt: skip
