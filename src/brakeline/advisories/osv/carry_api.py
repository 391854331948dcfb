"""People's routes of bundles below `/api/v1/content`: a feed's live rows as a file, and what a file would change."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from brakeline.advisories.api import BODY, read_body
from brakeline.advisories.osv.bundle import Difference
from brakeline.advisories.osv.carrying import Carrying
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1/content", tags=["content"])
Who = Annotated[Principal, Depends(current_principal)]


def _carrying(request: Request) -> Carrying:
    carrying: Carrying = request.app.state.carrying
    return carrying


Carries = Annotated[Carrying, Depends(_carrying)]


@router.get("/{feed}/bundle", response_class=Response)
async def bundle(feed: str, who: Who, carrying: Carries) -> Response:
    """The live rows of rustsec, osv-ECOSYSTEM or a vendor's feed as one document that another cell imports."""
    return Response(await carrying.bundle(who, feed), media_type="application/json")


@router.post("/{feed}/diff", openapi_extra={"requestBody": BODY})
async def diff(request: Request, feed: str, who: Who, carrying: Carries, day: str = "") -> Difference:
    """Which advisories a file would add, take away and change; nothing is changed."""
    return await carrying.diff(who, feed, await read_body(request), day)
