"""People's routes of live drills below `/api/v1`: parse, authorise (in the service), call, render. Cursors are ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from brakeline.drills.model import ENDPOINTS, FAULTS, Drill, Plan
from brakeline.drills.service import PAGE_MAX, DrillService
from brakeline.rollout.api import Who

router = APIRouter(prefix="/api/v1", tags=["drills"])


def _service(request: Request) -> DrillService:
    service: DrillService = request.app.state.drills
    return service


Drills = Annotated[DrillService, Depends(_service)]


@dataclass(frozen=True, slots=True)
class NewDrill:
    """Which bad change, and how many simulated endpoints."""

    fault: str = "bad-release"
    endpoints: int = ENDPOINTS


@dataclass(frozen=True, slots=True)
class FaultOut:
    name: str
    says: str


@dataclass(frozen=True, slots=True)
class DrillList:
    """One page; `next` goes into `before` for the following one, null at the end."""

    items: tuple[Drill, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class DrillOut:
    """A drill, and the two spans that people ask for first; null = it did not come to that."""

    drill: Drill
    evidence_to_halt_s: float | None
    halt_to_last_told_s: float | None


def out(drill: Drill) -> DrillOut:
    report = drill.report
    return DrillOut(
        drill, report.to_halt_s if report else None, report.to_last_told_s if report else None
    )  # fmt: skip


@router.get("/drills/faults")
async def faults(who: Who) -> tuple[FaultOut, ...]:
    """The bad changes that there are."""
    who.require("rollout.read")
    return tuple(FaultOut(f.name, f.says) for f in FAULTS.values())


@router.post("/drills/plan")
async def plan(who: Who, service: Drills, body: NewDrill) -> Plan:
    """What a drill would do. Changes nothing."""
    return service.plan(who, body.fault, body.endpoints)


@router.post("/drills", status_code=202)
async def run(who: Who, service: Drills, body: NewDrill) -> DrillOut:
    """Begin a drill with simulated endpoints; it takes one to three minutes. Follow it with GET."""
    return out(await service.run(who, body.fault, body.endpoints))


@router.get("/drills")
async def drills(
    who: Who, service: Drills, before: str | None = None, limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50
) -> DrillList:
    """Newest first."""
    found = await service.list(who, before=before, limit=limit)
    return DrillList(found, found[-1].id if len(found) == limit else None)


@router.get("/drills/{drill_id}")
async def drill(who: Who, service: Drills, drill_id: str) -> DrillOut:
    """One drill: while it runs what is known by now, later its report."""
    return out(await service.show(who, drill_id))


@router.post("/drills/{drill_id}/stop")
async def stop(who: Who, service: Drills, drill_id: str) -> DrillOut:
    """End a drill before its time. Pressing twice does no harm."""
    return out(await service.stop(who, drill_id))
