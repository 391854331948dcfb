"""People's routes of the pool below `/api/v1/pool`: whether this organisation shares its evidence, what it hears."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from brakeline.cells.model import Signed
from brakeline.rollout.api import Who
from brakeline.rollout.pools import Pools, PoolView
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1/pool", tags=["pool"])


def _pools(request: Request) -> Pools:
    pools: Pools = request.app.state.pools
    return pools


PoolsOf = Annotated[Pools, Depends(_pools)]


@dataclass(frozen=True, slots=True)
class PartnerIn:
    """An organisation in another installation; `key` as its own `pool show` prints it."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What a partner's sheet had, and when it was made by the partner's clock. `left_out`: rows of signals that only a
    later version knows, by signal; the rest counts."""

    rows: int
    made_ms: int
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SheetOut:
    """A signed sheet. `left_out`: signals whose rows the version of its reader may not know, so they are not in it."""

    payload: str
    signature: str
    left_out: tuple[str, ...] = ()


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


@router.get("/sheet")
async def sheet(who: Who, pools: PoolsOf, partner: str = "") -> SheetOut:
    """What this organisation tells, signed: for partners in other installations to take in. `partner`: in the words
    that this one's version knows, as its newest sheet says; without it, in those that every version knows."""
    signed, left_out = await pools.sheet(who, partner)
    return SheetOut(signed.payload, signed.signature, left_out)


@router.post("/partners", status_code=204, response_model=None, responses=WAITS)
async def add_partner(request: Request, who: Who, pools: PoolsOf, body: PartnerIn) -> Response:
    """Believe the sheets of an organisation elsewhere. A second person agrees first."""
    waits = await pools.add_partner(who, body.name, body.key)
    return asked(request, waits) if waits is not None else Response(status_code=204)


@router.delete("/partners/{name}", status_code=204)
async def remove_partner(who: Who, pools: PoolsOf, name: str) -> None:
    """Believe it no more; what it told counts no more either."""
    await pools.remove_partner(who, name)


@router.put("/partners/{name}/sheet")
async def take_in(who: Who, pools: PoolsOf, name: str, body: Signed) -> TakenIn:
    """A partner's newest sheet, instead of the one before; 409 for one that is not believed."""
    taken = await pools.take_in(who, name, body)
    return TakenIn(len(taken.sheet.rows), taken.sheet.made_ms, dict(taken.left_out))
