"""People's routes of budgets and freeze windows below `/api/v1`: parse, call `limits`, render.

A budget has no id: its group and what it counts name it, so it is PUT. What lets more be changed than before (raising,
removing, ending a freeze window) needs a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from brakeline.rollout.api import Who
from brakeline.rollout.limit_views import BudgetPlan, BudgetView, WindowView
from brakeline.rollout.limits import Limits
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1", tags=["limits"])


def _limits(request: Request) -> Limits:
    limits: Limits = request.app.state.rollout.limits
    return limits


LimitsOf = Annotated[Limits, Depends(_limits)]


@dataclass(frozen=True, slots=True)
class BudgetIn:
    """`group`: "" = the whole fleet, or region:…, class:…, os:…, tag:… (`tag:site-*` = each such tag by itself).
    `per`: hour | at_once. With both numbers the larger holds."""

    group: str = ""
    per: str = "hour"
    endpoints: int | None = None
    percent: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BudgetList:
    items: tuple[BudgetView, ...]


@dataclass(frozen=True, slots=True)
class WindowIn:
    """Either `weekly` ("fri 16:00/mon 08:00", "mon-fri 09:00/17:00", "daily 22:00/06:00") or `begins` and `ends`
    (without an offset: in `zone`; no end = until somebody removes it). `filter` "" = everybody."""

    name: str
    weekly: str = ""
    begins: str = ""
    ends: str = ""
    zone: str = "UTC"
    filter: str = ""


@dataclass(frozen=True, slots=True)
class WindowList:
    items: tuple[WindowView, ...]


@router.get("/budgets")
async def list_budgets(who: Who, limits: LimitsOf) -> BudgetList:
    """Every budget in force with what is spent of it, the fleet's first."""
    return BudgetList(await limits.budgets(who))


@router.get("/budgets/plan")
async def plan_budget(
    who: Who, limits: LimitsOf, group: str = "", per: str = "hour", endpoints: int | None = None,
    percent: float | None = None,
) -> BudgetPlan:  # fmt: skip
    """What setting it would do, group by group. Changes nothing."""
    return await limits.plan_budget(who, group=group, per=per, endpoints=endpoints, percent=percent)


@router.put("/budgets", response_model=BudgetView, responses=WAITS)
async def set_budget(request: Request, who: Who, limits: LimitsOf, body: BudgetIn) -> BudgetView | JSONResponse:
    """Set one, or set it anew; holds from the next offer on. Where that raises it, a second person agrees first."""
    found = await limits.set_budget(
        who, group=body.group, per=body.per, endpoints=body.endpoints, percent=body.percent, reason=body.reason
    )
    return found if isinstance(found, BudgetView) else asked(request, found)


@router.delete("/budgets", status_code=204, response_model=None, responses=WAITS)
async def remove_budget(
    request: Request, who: Who, limits: LimitsOf, group: str = "", per: str = "hour", reason: str = ""
) -> Response:
    """Remove one; the fleet's goes back to the rule of every organisation. Where that raises it, a second person agrees
    first."""
    found = await limits.remove_budget(who, group=group, per=per, reason=reason)
    return asked(request, found) if found is not None else Response(status_code=204)


@router.get("/freeze-windows")
async def list_freeze_windows(who: Who, limits: LimitsOf) -> WindowList:
    """All of them, oldest first."""
    return WindowList(await limits.freeze_windows(who))


@router.post("/freeze-windows", status_code=201)
async def add_freeze_window(who: Who, limits: LimitsOf, body: WindowIn) -> WindowView:
    """A new one; while it is in force nobody it is for gets a new offer."""
    return await limits.add_window(
        who, name=body.name, weekly=body.weekly, begins=body.begins, ends=body.ends, zone=body.zone,
        filter_text=body.filter,
    )  # fmt: skip


@router.delete("/freeze-windows/{window:path}", response_model=WindowView, responses=WAITS)
async def remove_freeze_window(
    request: Request, who: Who, limits: LimitsOf, window: str, reason: str = ""
) -> WindowView | JSONResponse:
    """By id or name; unless it is over, with a reason, and a second person agrees first."""
    found = await limits.remove_window(who, window, reason=reason)
    return found if isinstance(found, WindowView) else asked(request, found)
