"""People's routes of restarts below `/api/v1`: look at the plan, then make it with the count that was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from brakeline.protocol.messages import PeopleTerms
from brakeline.rollout import people
from brakeline.rollout.restart_planning import RestartPlan, RestartPlanning
from brakeline.rollout.service import RolloutService
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1", tags=["rollouts"])
Who = Annotated[Principal, Depends(current_principal)]


def _service(request: Request) -> RestartPlanning:
    rollouts: RolloutService = request.app.state.rollout
    return RestartPlanning(rollouts)


Planning = Annotated[RestartPlanning, Depends(_service)]


@dataclass(frozen=True, slots=True)
class NewRestarts:
    """`expect_count` is that of the plan. `any`: also endpoints that have no restart due."""

    expect_count: int
    filter: str = ""
    any: bool = False
    pace: str = "careful"
    title: str = ""
    start: bool = False
    warn_min: int = 0  # minutes before, people who are logged in are warned; 0 = on the terms of each machine's root
    deferrals: int = 0  # how often they may put it off
    defer_min: int = 0  # by so many minutes
    deadline_h: int = 0  # hours after the warning within which nobody is overruled

    def terms(self) -> PeopleTerms | None:
        return people.terms(self.warn_min, self.deferrals, self.defer_min, self.deadline_h)


@router.get("/restarts")
async def plan_restarts(
    who: Who, planning: Planning, filter: str = "", any: bool = False, pace: str = "careful", warn_min: int = 0,
    deferrals: int = 0, defer_min: int = 0, deadline_h: int = 0,
) -> RestartPlan:  # fmt: skip
    """Who would be restarted, in which rings, and how people there are asked. Changes nothing."""
    terms = people.terms(warn_min, deferrals, defer_min, deadline_h)
    return await planning.plan(who, filter, any_=any, pace=pace, terms=terms)


@router.post("/restarts", status_code=201, response_model=None, responses=WAITS)
async def create_restarts(
    request: Request, who: Who, planning: Planning, body: NewRestarts
) -> dict[str, Any] | JSONResponse:
    """A rollout that restarts them, as a draft, or started at once."""
    made = await planning.create(
        who, body.filter, expect_count=body.expect_count, any_=body.any, pace=body.pace, title=body.title,
        terms=body.terms(),
    )  # fmt: skip
    waits = await planning.rollouts.start(who, made) if body.start else None
    return asked(request, waits, id=made) if waits is not None else {"id": made}
