"""People's routes of exposure over time, of updates, and of files: below `/api/v1/exposure`.

Files have the same filter and the same rows as the list: `?format=csv`, `ndjson` or `vex` (CycloneDX, JSON).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from brakeline import __version__
from brakeline.exposure import exports
from brakeline.exposure.answers import Vulnerability
from brakeline.exposure.api import Exposure, plain
from brakeline.exposure.times import LIMITS_H
from brakeline.exposure.trend import DAYS_MAX, Trend
from brakeline.exposure.updates import LIST_MAX, Updates
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1/exposure", tags=["exposure"])
Who = Annotated[Principal, Depends(current_principal)]
Days = Annotated[int, Query(ge=1, le=DAYS_MAX)]
KINDS: Final = {
    "csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson",
    "vex": f"application/vnd.cyclonedx+json; version={exports.SPEC_VERSION}",
}  # fmt: skip
NAMES: Final = {"csv": "csv", "ndjson": "ndjson", "vex": "cdx.json"}
BLOCK_LINES: Final = 500  # sent at once


def _trend(request: Request) -> Trend:
    trend: Trend = request.app.state.trend
    return trend


def _updates(request: Request) -> Updates:
    updates: Updates = request.app.state.updates
    return updates


Over = Annotated[Trend, Depends(_trend)]


@router.get("/trend")
async def trend(who: Who, over: Over, days: Days = 90, q: str = "") -> dict[str, Any]:
    """A line a day: what stood open when it was looked at last, of the fleet or of a filter that is followed. A day on
    which nobody looked is missing."""
    return {"days": plain(await over.days(who, days, q))}


@router.get("/trend/followed")
async def followed(who: Who, over: Over) -> dict[str, Any]:
    """Filters of vulnerabilities that have a line a day, and since when."""
    return {"items": [one._asdict() for one in await over.following.followed(who)]}


@router.put("/trend/followed")
async def follow(who: Who, over: Over, q: str) -> dict[str, Any]:
    """Follow the vulnerabilities that match `q`: from today on they have a line a day. Twice is fine."""
    return (await over.following.follow(who, q))._asdict()


@router.delete("/trend/followed", status_code=204)
async def unfollow(who: Who, over: Over, q: str) -> None:
    """Stop following `q`. Its lines stay as long as any, and are back when it is followed again."""
    await over.following.unfollow(who, q)


@router.get("/times")
async def times(who: Who, over: Over, days: Days = 90) -> dict[str, Any]:
    """How long closing took, by class and ring; closed is what an inventory shows, not what a job says."""
    return {"rows": plain(await over.times(who, days)), "bucket_limits_h": list(LIMITS_H)}


@router.get("/updates")
async def updates(
    who: Who, over: Annotated[Updates, Depends(_updates)], q: str = "", name: str = "", security: bool = False,
    limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = 200,
) -> dict[str, Any]:  # fmt: skip
    """Pending updates across the fleet that match `q` (`priority:act closes:yes held:no openssl`), with what each one
    closes, the most urgent first. `name` and `security` are older forms of a word and of `security:yes`."""
    query = " ".join((q, name, "security:yes" if security else ""))
    return plain(await over.pending(who, query, limit=limit))  # type: ignore[no-any-return]


@router.get("/updates/{name:path}")
async def update(name: str, who: Who, over: Annotated[Updates, Depends(_updates)]) -> dict[str, Any]:
    """One package: versions on offer, what they close, where it is held back and why."""
    return plain(await over.show(who, name))  # type: ignore[no-any-return]


@router.get("/export", response_class=StreamingResponse)
async def export(
    request: Request, who: Who, exposure: Exposure, q: str = "", format: Literal["csv", "ndjson", "vex"] = "csv",
) -> StreamingResponse:  # fmt: skip
    """Every vulnerability that matches, as a file."""
    items, limits = await exposure.every(who, q)
    now_ms = request.app.state.clock.now_ms()
    if format == "vex":
        now = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines: Iterable[str] = [await asyncio.to_thread(_document, items, limits, now)]
    else:
        lines = exports.csv_lines(items) if format == "csv" else exports.json_lines(items, plain)
    return _file("vulnerabilities", format, lines)


@router.get("/export/updates", response_class=StreamingResponse)
async def export_updates(
    who: Who, over: Annotated[Updates, Depends(_updates)], q: str = "", format: Literal["csv", "ndjson"] = "csv",
) -> StreamingResponse:  # fmt: skip
    """Every pending update that matches, as a file."""
    items = await over.every(who, q)
    return _file(
        "updates", format, exports.update_lines(items) if format == "csv" else exports.json_lines(items, plain)
    )


def _file(what: str, kind: str, lines: Iterable[str]) -> StreamingResponse:
    headers = {
        "content-disposition": f'attachment; filename="{what}.{NAMES[kind]}"', "x-content-type-options": "nosniff",
    }  # fmt: skip
    return StreamingResponse(_blocks(lines), media_type=KINDS[kind], headers=headers)


def _document(items: list[Vulnerability], limits: tuple[str, ...], now: str) -> str:
    return json.dumps(exports.vex(items, limits, now, __version__), indent=1) + "\n"


def _blocks(lines: Iterable[str]) -> Iterator[bytes]:
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) >= BLOCK_LINES:
            yield "".join(block).encode()
            block.clear()
    yield "".join(block).encode()
