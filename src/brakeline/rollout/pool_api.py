"""People's routes of the pool below `/api/v1/pool`: whether this organisation shares its evidence, what it hears."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from brakeline.rollout.api import Who
from brakeline.rollout.pools import Pools, PoolView
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1/pool", tags=["pool"])


def _pools(request: Request) -> Pools:
    pools: Pools = request.app.state.pools
    return pools


PoolsOf = Annotated[Pools, Depends(_pools)]


@router.get("")
async def show_pool(who: Who, pools: PoolsOf) -> PoolView:
    """The consent, and with how many other organisations each live rollout is compared together."""
    return await pools.view(who)


@router.put("/consent", status_code=204, response_model=None, responses=WAITS)
async def consent(request: Request, who: Who, pools: PoolsOf) -> Response:
    """Share evidence and listen to others'. A second person agrees first: what was told stays told."""
    waits = await pools.consent(who)
    return asked(request, waits) if waits is not None else Response(status_code=204)


@router.delete("/consent", status_code=204)
async def withdraw(who: Who, pools: PoolsOf) -> None:
    """Neither share nor listen any more."""
    await pools.withdraw(who)
