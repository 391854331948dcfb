"""People's routes of accepted risk and of terms below `/api/v1`: accept, take back, list, set by when to close.

202 with the request where it takes a second person: what is known to be exploited by default, looser terms always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from brakeline.exposure.acceptance import Acceptance
from brakeline.exposure.accepting import AcceptanceView, Accepting, terms_of
from brakeline.exposure.api import plain
from brakeline.exposure.due import DEFAULT_SOURCES, Terms
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1", tags=["exposure"])
Who = Annotated[Principal, Depends(current_principal)]


def _accepting(request: Request) -> Accepting:
    accepting: Accepting = request.app.state.accepting
    return accepting


Service = Annotated[Accepting, Depends(_accepting)]


@dataclass(frozen=True, slots=True)
class AcceptBody:
    """Why, for how many days (1 to 366), on which endpoints ("" = every one), and how many of them were seen."""

    reason: str
    days: int
    filter: str = ""
    expect_count: int | None = None


@dataclass(frozen=True, slots=True)
class EndBody:
    """Why it is accepted no longer."""

    reason: str


@dataclass(frozen=True, slots=True)
class TermsBody:
    """Days (1 to 365) from becoming known here; `two_people`: never, exploited or always."""

    exploited: int
    critical: int
    high: int
    moderate: int
    low: int
    unscored: int
    catalogue: bool = True
    two_people: str = "exploited"


def _view(one: AcceptanceView) -> dict[str, Any]:
    return {**one.acceptance._asdict(), "standing": one.standing.value, "endpoints": one.endpoints}


def _terms(terms: Terms) -> dict[str, Any]:
    return {**terms._asdict(), "two_people": terms.two_people.value, "default_sources": DEFAULT_SOURCES}


@router.get("/acceptances")
async def acceptances(who: Who, accepting: Service, cve: str = "", every: bool = False) -> dict[str, Any]:
    """What is accepted, newest first; with `every` also what is over."""
    return {"items": [_view(one) for one in await accepting.acceptances(who, every=every, cve=cve)]}


@router.post("/vulnerabilities/{cve}/accept", status_code=201, response_model=None, responses=WAITS)
async def accept(
    request: Request, cve: str, body: AcceptBody, who: Who, accepting: Service
) -> dict[str, Any] | JSONResponse:
    """Accept a CVE until a day. It stays in every list and count, as accepted."""
    made = await accepting.accept(
        who, cve, reason=body.reason, days=body.days, filter_text=body.filter, expect_count=body.expect_count
    )
    return made._asdict() if isinstance(made, Acceptance) else asked(request, made)


@router.post("/acceptances/{acceptance_id}/end")
async def end(acceptance_id: str, body: EndBody, who: Who, accepting: Service) -> dict[str, Any]:
    """Take it back: it counts as open at once."""
    return plain(await accepting.end(who, acceptance_id, body.reason))  # type: ignore[no-any-return]


@router.get("/finding-terms")
async def terms(who: Who, accepting: Service) -> dict[str, Any]:
    """Within how many days findings are to be closed, and when accepting takes two people."""
    return _terms(await accepting.terms(who))


@router.put("/finding-terms", response_model=None, responses=WAITS)
async def set_terms(request: Request, body: TermsBody, who: Who, accepting: Service) -> dict[str, Any] | JSONResponse:
    """Set them; to loosen one takes a second person."""
    wanted = terms_of({name: getattr(body, name) for name in body.__dataclass_fields__})
    waits = await accepting.set_terms(who, wanted)
    return asked(request, waits) if waits is not None else _terms(wanted)
