"""People's routes of rollbacks below `/api/v1`: look at the plan, then make it with the count that was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from brakeline.rollout.service import RolloutService
from brakeline.rollout.undo import UndoPlan
from brakeline.rollout.undoing import Undoing
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1", tags=["rollouts"])
Who = Annotated[Principal, Depends(current_principal)]


def _service(request: Request) -> Undoing:
    rollouts: RolloutService = request.app.state.rollout
    return Undoing(rollouts)


Undo = Annotated[Undoing, Depends(_service)]


@dataclass(frozen=True, slots=True)
class NewRollback:
    """`expect_count` is that of the plan: endpoints that would be taken back."""

    expect_count: int
    pace: str = "careful"
    start: bool = False


@router.get("/rollouts/{rollout_id}/rollback")
async def plan_rollback(who: Who, undo: Undo, rollout_id: str, pace: str = "careful") -> UndoPlan:
    """Who has proven harm, who has a way back, who has none and why. Changes nothing."""
    return await undo.plan(who, rollout_id, pace)


@router.post("/rollouts/{rollout_id}/rollback", status_code=201, response_model=None, responses=WAITS)
async def create_rollback(
    request: Request, who: Who, undo: Undo, rollout_id: str, body: NewRollback
) -> dict[str, Any] | JSONResponse:
    """A new rollout that takes this one's updates back, as a draft, or started at once."""
    made = await undo.create(who, rollout_id, pace=body.pace, expect_count=body.expect_count)
    waits = await undo.rollouts.start(who, made) if body.start else None
    return asked(request, waits, id=made) if waits is not None else {"id": made}
