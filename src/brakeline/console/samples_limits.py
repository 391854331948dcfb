"""Samples of the page of budgets and freeze windows."""

from __future__ import annotations

from typing import Final

from brakeline.console.present_limits import STATES
from brakeline.console.views import Link
from brakeline.console.views_limits import BudgetForm, BudgetPlanView, BudgetRow, LimitsView, PlanRow, WindowRow

FLEET = BudgetRow(
    "budget-0", Link("the whole fleet", "/endpoints"), "10 %, at least 50", "per hour", 12, 120, "",
    "rule of every organisation", "", "hour",
)  # fmt: skip
SITE = BudgetRow(
    "budget-1", Link("tag:site-berlin", "/endpoints?q=tag%3Asite-berlin"), "20 %", "at once", 8, 8,
    "next when one of them is done", "Alice, 3 d ago", "tag:site-*", "at_once", removable=True,
)  # fmt: skip
YEAR_END = WindowRow(
    "fw_1", "year end", "2026-12-20 18:00 to 2027-01-04 08:00 Europe/Berlin", Link("everybody", "/endpoints"),
    STATES["frozen"], "until 2027-01-04 08:00 Europe/Berlin", "Alice, 3 d ago",
)  # fmt: skip
WEEKEND = WindowRow(
    "fw_2", "weekend", "fri 16:00/mon 08:00 Europe/Berlin", Link("tag:shop", "/endpoints?q=tag%3Ashop"),
    STATES["to come"], "", "Bob, 2 h ago",
)  # fmt: skip
PAST = WindowRow(
    "fw_3", "audit", "2026-10-01 00:00 to 2026-10-08 00:00 UTC", Link("everybody", "/endpoints"), STATES["over"], "",
    "Bob, 60 d ago", over=True,
)  # fmt: skip
PLAN = BudgetPlanView(
    "25 %, at least 50 per hour for the whole fleet, instead of 10 %, at least 50",
    (PlanRow("the whole fleet", 1200, "120", 300),),
    "Rollouts that go on now and spend from it: 2. It holds from the next offer on.", widens=True,
)  # fmt: skip
LOWER = BudgetPlanView(
    "20 per hour for the whole fleet, instead of 10 %, at least 50", (PlanRow("the whole fleet", 1200, "120", 20),),
    "Rollouts that go on now and spend from it: 2. It holds from the next offer on.", widens=False,
)  # fmt: skip

LIMITS: Final = {
    "owner": LimitsView((FLEET, SITE), (YEAR_END, WEEKEND, PAST), may_write=True),
    "raising": LimitsView((FLEET, SITE), (WEEKEND,), BudgetForm("", "hour", "25%", "50"), PLAN, may_write=True),
    "lowering": LimitsView((FLEET,), (), BudgetForm("", "hour", "20"), LOWER, may_write=True),
    "refused": LimitsView(
        (FLEET,), (), BudgetForm("tags:db", "at_once", "5"),
        error="'tags:db' is no group of endpoints; did you mean tag:db?", may_write=True,
    ),
    "viewer": LimitsView((FLEET, SITE), (YEAR_END,)),
}  # fmt: skip
