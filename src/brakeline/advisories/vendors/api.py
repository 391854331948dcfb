"""People's route of checks against vendors' advisories, below `/api/v1/content`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from brakeline.advisories.vendors.checking import Checked, Checking
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1/content", tags=["content"])
Who = Annotated[Principal, Depends(current_principal)]


@dataclass(frozen=True, slots=True)
class Windows:
    """A Windows: Microsoft's name of the product, its build ("" = not known), the updates that are installed."""

    product: str
    build: str = ""
    kbs: tuple[str, ...] = ()


@router.post("/windows/check")
async def check_windows(request: Request, body: Windows, who: Who) -> Checked:
    """What stands open for it by Microsoft's advisories, what is closed, and by what; nothing is stored."""
    checking: Checking = request.app.state.checking
    return await checking.windows(who, body.product, body.build, body.kbs)
