"""People's routes of advisory content below `/api/v1/content`: what is live, what waits, accept, refuse, bounds.

Whoever accepts or refuses repeats the SHA-256 of what was seen; 409 when other content of the feed is held by now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from brakeline.exposure.api import plain
from brakeline.exposure.flips import Bound
from brakeline.exposure.holding import Holding
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1/content", tags=["content"])
Who = Annotated[Principal, Depends(current_principal)]


def _holding(request: Request) -> Holding:
    holding: Holding = request.app.state.holding
    return holding


Held = Annotated[Holding, Depends(_holding)]


@dataclass(frozen=True, slots=True)
class AcceptBody:
    """`sha256` of the content that was seen."""

    sha256: str


@dataclass(frozen=True, slots=True)
class RefuseBody:
    """`sha256` of the content that was seen, and why it is refused."""

    sha256: str
    reason: str


@dataclass(frozen=True, slots=True)
class BoundBody:
    """Shares (0.01 to 0.5) of a fleet's finding states that content may flip at once."""

    losses: float
    additions: float


@router.get("")
async def content(who: Who, holding: Held) -> dict[str, Any]:
    """Feeds as they are live, content that waits with what it would flip, and the bounds."""
    return plain(await holding.content(who))  # type: ignore[no-any-return]


@router.put("/bound", response_model=None, responses=WAITS)
async def set_bound(request: Request, body: BoundBody, who: Who, holding: Held) -> dict[str, Any] | JSONResponse:
    """Set the bounds; to raise one takes a second person."""
    waits = await holding.set_bound(who, Bound(body.losses, body.additions))
    return asked(request, waits) if waits is not None else {"losses": body.losses, "additions": body.additions}


@router.post("/{feed}/accept", response_model=None, responses=WAITS)
async def accept(
    request: Request, feed: str, body: AcceptBody, who: Who, holding: Held
) -> dict[str, Any] | JSONResponse:
    """Let held content be live; content that takes findings away needs a second person."""
    waits = await holding.accept(who, feed, body.sha256)
    return asked(request, waits) if waits is not None else {"feed": feed, "accepted": True}


@router.post("/{feed}/refuse", status_code=204)
async def refuse(feed: str, body: RefuseBody, who: Who, holding: Held) -> Response:
    """Keep the last good content until newer comes."""
    await holding.refuse(who, feed, body.sha256, body.reason)
    return Response(status_code=204)
