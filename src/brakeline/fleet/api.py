"""People's routes of the fleet below `/api/v1`: parse, authorise (in the service), call, render.

Lists: `?q=<filter>&sort=-seen&limit=50&after=<cursor>`; a cursor belongs to its query and sort order. Every answer is
a frozen dataclass of `fleet.model` or one below; OpenAPI is made from them (docs/reference/openapi.json).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from brakeline.core.limits import ENROL_TOKEN_TTL_S
from brakeline.fleet.lists import PAGE_ITEMS_MAX
from brakeline.fleet.model import (
    EndpointDetail,
    EndpointSummary,
    EnrolToken,
    FleetCounts,
    FleetUpdate,
    NewEnrolToken,
    ReleaseStandings,
    ReleaseTrials,
    SoftwareHit,
)
from brakeline.fleet.service import FleetService
from brakeline.fleet.shape import Shape
from brakeline.fleet.store.lists import After
from brakeline.platform.web import decode_cursor, encode_cursor
from brakeline.protocol.messages import Package, PendingUpdate
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1", tags=["fleet"])
Who = Annotated[Principal, Depends(current_principal)]
Filter = Annotated[str, Query(description="filter, such as: os:debian -tag:lab missing:security seen:<1h")]


def _service(request: Request) -> FleetService:
    service: FleetService = request.app.state.fleet
    return service


Fleet = Annotated[FleetService, Depends(_service)]


@dataclass(frozen=True, slots=True)
class EndpointList:
    """One page; `next` is the cursor of the following page, null at the end."""

    items: tuple[EndpointSummary, ...]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """What to make: `ttl_s` in seconds."""

    region: str = ""
    tags: tuple[str, ...] = ()
    uses: int = 1
    ttl_s: int = ENROL_TOKEN_TTL_S


@dataclass(frozen=True, slots=True)
class TokenMade:
    """The token, shown this once, and the line to paste on the machine."""

    token: str
    record: EnrolToken
    one_liner: str


@dataclass(frozen=True, slots=True)
class Tags:
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Retire:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ScanAsked:
    """The number that the endpoint's next check-in reply carries."""

    scan: int


@router.get("/fleet/shape")
async def shape(who: Who, service: Fleet) -> Shape:
    """How many endpoints of which kind there are, and when they are there: counts alone, for drills of one's own."""
    return await service.shape(who)


@router.get("/endpoints")
async def list_endpoints(
    who: Who,
    fleet: Fleet,
    q: Filter = "",
    sort: str = "host",
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)] = 50,
) -> EndpointList:
    """Endpoints that match the filter."""
    bound = f"endpoints\n{q}\n{sort}"
    position = None
    if after:
        value, endpoint_id = (*decode_cursor(bound, after), "", "")[:2]
        position = After(str(value), str(endpoint_id))
    page = await fleet.list_endpoints(who, q, sort=sort, after=position, limit=limit)
    following = encode_cursor(bound, page.next.value, page.next.endpoint_id) if page.next else None
    return EndpointList(page.items, page.total, following)


@router.get("/endpoints/{endpoint_id}")
async def get_endpoint(endpoint_id: str, who: Who, fleet: Fleet) -> EndpointDetail:
    """One endpoint."""
    return await fleet.get_endpoint(who, endpoint_id)


@router.get("/endpoints/{endpoint_id}/packages")
async def get_packages(endpoint_id: str, who: Who, fleet: Fleet) -> tuple[Package, ...]:
    """Installed packages of one endpoint."""
    return await fleet.packages(who, endpoint_id)


@router.get("/endpoints/{endpoint_id}/updates")
async def get_pending(endpoint_id: str, who: Who, fleet: Fleet) -> tuple[PendingUpdate, ...]:
    """Pending updates of one endpoint, security first."""
    return await fleet.pending(who, endpoint_id)


@router.put("/endpoints/{endpoint_id}/tags")
async def put_tags(endpoint_id: str, body: Tags, who: Who, fleet: Fleet) -> Tags:
    """Replace the tags of an endpoint."""
    return Tags(await fleet.set_tags(who, endpoint_id, body.tags))


@router.post("/endpoints/{endpoint_id}/scan", status_code=202)
async def scan(endpoint_id: str, who: Who, fleet: Fleet) -> ScanAsked:
    """Ask an endpoint to scan now."""
    return ScanAsked(await fleet.scan_now(who, endpoint_id))


@router.post("/endpoints/{endpoint_id}/retire", status_code=204)
async def retire(endpoint_id: str, who: Who, fleet: Fleet, body: Retire | None = None) -> None:
    """End an endpoint's identity for good."""
    await fleet.retire(who, endpoint_id, body.reason if body else "")


@router.get("/fleet/counts")
async def counts(who: Who, fleet: Fleet) -> FleetCounts:
    """Figures of the overview."""
    return await fleet.counts(who)


@router.get("/fleet/releases")
async def release_standings(who: Who, fleet: Fleet) -> ReleaseStandings:
    """On how many endpoints each release of ours runs, is confirmed, on probation, quarantined.

    Which endpoints these are: `GET /endpoints?q=running:RELEASE` (or `confirmed:`, `probation:`, `quarantined:`).
    """
    return await fleet.release_standings(who)


@router.get("/fleet/releases/{release_id}/trials")
async def release_trials(
    release_id: str, who: Who, fleet: Fleet, limit: Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)] = 50
) -> ReleaseTrials:
    """Trials of a release that failed: reasons, and the end of the log, as the launchers tell it."""
    return await fleet.release_trials(who, release_id, limit=limit)


@router.get("/updates")
async def updates(
    who: Who, fleet: Fleet, security: bool = False, name: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> list[FleetUpdate]:
    """Pending updates across the fleet."""
    return await fleet.updates(who, security_only=security, name=name, limit=limit)


@router.get("/software")
async def software(
    who: Who, fleet: Fleet, name: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> list[SoftwareHit]:
    """Installed versions across the fleet of packages whose name contains `name`."""
    return await fleet.software(who, name, limit=limit)


@router.post("/enrol-tokens", status_code=201)
async def create_token(body: NewToken, request: Request, who: Who, fleet: Fleet) -> TokenMade:
    """Make an enrolment token. The answer is the only place where it can be read."""
    made: NewEnrolToken = await fleet.create_token(
        who, region=body.region, tags=body.tags, uses=body.uses, ttl_s=body.ttl_s
    )
    make_line: Any = request.app.state.one_liner
    return TokenMade(made.token, made.record, make_line(made.token, request.headers.get("host", "")))


@router.get("/enrol-tokens")
async def list_tokens(who: Who, fleet: Fleet) -> tuple[EnrolToken, ...]:
    """The newest 500 tokens."""
    return await fleet.list_tokens(who)


@router.delete("/enrol-tokens/{token_id}", status_code=204)
async def revoke_token(token_id: str, who: Who, fleet: Fleet) -> None:
    """Make a token useless from now on."""
    await fleet.revoke_token(who, token_id)
