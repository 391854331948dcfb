"""People's routes of runs and of changes of installed software below `/api/v1`: parse, call, render.

A run is followed by asking again with `begin` = `following` of the answer before; `state` says when there is no more
to come. Times are Unix milliseconds. Changes come as JSON, CSV or NDJSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from brakeline.runlog.exports import csv_text, ndjson_text
from brakeline.runlog.model import RunView, Story
from brakeline.runlog.service import RunLog
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

router = APIRouter(prefix="/api/v1", tags=["runs"])
Who = Annotated[Principal, Depends(current_principal)]
Begin = Annotated[int, Query(ge=1, description="number of the first entry that is wanted")]
Ms = Annotated[int, Query(ge=0, le=1 << 53, description="Unix milliseconds")]


def _service(request: Request) -> RunLog:
    service: RunLog = request.app.state.runlog
    return service


Runs = Annotated[RunLog, Depends(_service)]


@dataclass(frozen=True, slots=True)
class RunList:
    """Newest first, without entries."""

    items: tuple[RunView, ...]


@router.get("/endpoints/{endpoint_id}/runs")
async def list_runs(
    endpoint_id: str, who: Who, service: Runs, rollout: str = "", limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> RunList:
    """Package transactions of an endpoint (of one rollout), newest first."""
    return RunList(await service.runs(who, endpoint_id, rollout, limit))


@router.get("/endpoints/{endpoint_id}/runs/{transaction_id}")
async def show_run(endpoint_id: str, transaction_id: str, who: Who, service: Runs, begin: Begin = 1) -> RunView:
    """One transaction: every command with its words, duration and exit code, and its output from an entry on. `latest`
    is the newest."""
    return await service.run(who, endpoint_id, "" if transaction_id == "latest" else transaction_id, begin)


@router.get("/endpoints/{endpoint_id}/changes", response_model=Story)
async def list_changes(
    endpoint_id: str, who: Who, service: Runs, since_ms: Ms = 0, until_ms: Ms = 0, net: bool = False,
    form: Annotated[Literal["json", "csv", "ndjson"], Query(alias="format")] = "json",
) -> Story | Response:  # fmt: skip
    """What changed of an endpoint's software after one moment until another (0 = now), and by whom; with `net` only how
    these two moments differ."""
    story = await service.story(who, endpoint_id, since_ms, until_ms, net=net)
    if form == "csv":
        return Response(csv_text(story), media_type="text/csv; charset=utf-8")
    return Response(ndjson_text(story), media_type="application/x-ndjson") if form == "ndjson" else story
