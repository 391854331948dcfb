"""People's routes of exposure below `/api/v1`: parse, authorise (in the service), call, render.

`?q=` of the vulnerabilities: `kev:yes state:fixable_now role:active source:curl ecosystem:pypi words`. Answers are the
dataclasses of `exposure.answers`; figures never hide what is not known.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from brakeline.exposure.service import PAGE_MAX, ExposureService
from brakeline.platform.web import decode_cursor, encode_cursor
from brakeline.protocol.codec import to_plain
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1", tags=["exposure"])
Who = Annotated[Principal, Depends(current_principal)]


def _service(request: Request) -> ExposureService:
    service: ExposureService = request.app.state.exposure
    return service


Exposure = Annotated[ExposureService, Depends(_service)]


def plain(value: Any) -> Any:
    """Named tuples by their field names, everything else as the codec does it."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return to_plain(value)


@router.get("/exposure")
async def summary(who: Who, exposure: Exposure) -> dict[str, Any]:
    """The fleet in figures, with what is not known beside what is."""
    return plain(await exposure.summary(who))  # type: ignore[no-any-return]


@router.get("/exposure/index")
async def index(who: Who, exposure: Exposure) -> dict[str, Any]:
    """The index that answers: its size, where it came from, what comparing it with the database found, and what the
    newest advisories did."""
    return plain(await exposure.index_status(who))  # type: ignore[no-any-return]


@router.get("/vulnerabilities")
async def vulnerabilities(
    who: Who, exposure: Exposure, q: str = "", after: str = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
) -> dict[str, Any]:  # fmt: skip
    """CVEs across the fleet, worst first."""
    last = str(decode_cursor(q, after)[0]) if after else None
    page = await exposure.vulnerabilities(who, q, after=last, limit=limit)
    answer: dict[str, Any] = plain(page)
    answer["next"] = encode_cursor(q, page.next) if page.next else None
    return answer


@router.get("/vulnerabilities/{cve}")
async def vulnerability(cve: str, who: Who, exposure: Exposure) -> dict[str, Any]:
    """One CVE: advisories, endpoints, where it stands on each."""
    return plain(await exposure.vulnerability(who, cve))  # type: ignore[no-any-return]


@router.get("/endpoints/{endpoint_id}/findings")
async def findings(endpoint_id: str, who: Who, exposure: Exposure) -> dict[str, Any]:
    """Every finding of one endpoint, worst first, and what was not assessed."""
    answer: dict[str, Any] = plain(await exposure.findings(who, endpoint_id))
    answer["findings"] = [
        found.pop("finding") | found for found in answer["findings"]
    ]  # one level: package, cve, … beside state and since_ms
    return answer
