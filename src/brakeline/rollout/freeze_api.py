"""Routes that freeze everything of an organisation, and lift it.

`POST /freeze` needs no body, is idempotent, answers when the press is durable, and works while the database is away:
for whoever was signed in here within a quarter of an hour, or by a break-glass code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from brakeline.rollout.api import Reason, Who
from brakeline.rollout.freezing import FreezeAck, FreezeView, Freezing
from brakeline.tenancy.api import Presser
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1", tags=["freeze"])


def _freezing(request: Request) -> Freezing:
    service: Freezing = request.app.state.freezing
    return service


Freezes = Annotated[Freezing, Depends(_freezing)]


@dataclass(frozen=True, slots=True)
class Lifting:
    """Why it is over. Kept in the log."""

    reason: str


@router.get("/freeze")
async def show_freeze(who: Who, service: Freezes) -> FreezeView:
    """Whether everything stands still, who wanted it, since when and why."""
    return service.state(who)


@router.post("/freeze")
async def freeze(who: Presser, service: Freezes, body: Reason | None = None) -> FreezeAck:
    """Stop everything, now."""
    return await service.freeze(who, body.reason if body else "")


@router.post("/freeze/lift", response_model=FreezeView, responses=WAITS)
async def unfreeze(request: Request, who: Who, service: Freezes, body: Lifting) -> FreezeView | JSONResponse:
    """Ask for it to be lifted; a second person agrees first."""
    found = await service.unfreeze(who, body.reason)
    return asked(request, found) if found is not None else service.state(who)
