"""People's routes of one endpoint of a rollout below `/api/v1`: parse, call, render."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from brakeline.rollout.single import OneAnswer, Single
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1", tags=["rollouts"])
Who = Annotated[Principal, Depends(current_principal)]


def _service(request: Request) -> Single:
    service: Single = request.app.state.single
    return service


One = Annotated[Single, Depends(_service)]


@dataclass(frozen=True, slots=True)
class Why:
    """Kept in the audit log; a retry needs one."""

    reason: str = ""


@router.post("/rollouts/{rollout_id}/endpoints/{endpoint_id}/stop")
async def stop_endpoint(rollout_id: str, endpoint_id: str, who: Who, one: One, body: Why | None = None) -> OneAnswer:
    """Withdraw what has not begun there. A running transaction is never torn: `state` then says `runs`."""
    return await one.stop(who, rollout_id, endpoint_id, body.reason if body else "")


@router.post("/rollouts/{rollout_id}/endpoints/{endpoint_id}/retry")
async def retry_endpoint(rollout_id: str, endpoint_id: str, who: Who, one: One, body: Why) -> OneAnswer:
    """One more offer for an endpoint where it failed, was refused or was stopped."""
    return await one.retry(who, rollout_id, endpoint_id, body.reason)
