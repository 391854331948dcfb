"""People's routes of drills on real endpoints below `/api/v1/drills/real`: consent, plan, run. Follow one as any drill.

`POST /drills/real/plan` changes nothing; `POST /drills/real` takes its `endpoints` as `expect_count`.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from brakeline.drills.api import DrillOut, Drills, out
from brakeline.drills.model import Consent, RealPlan
from brakeline.rollout.api import Who

router = APIRouter(prefix="/api/v1/drills/real", tags=["drills"])


@dataclass(frozen=True, slots=True)
class NewRealDrill:
    """Who takes part, and how many are told to report a failure: null = everybody who takes it, 0 = nobody."""

    filter: str = ""
    fails: int | None = None
    expect_count: int | None = None


@dataclass(frozen=True, slots=True)
class ConsentOut:
    """Whether this organisation agrees to drills on its real endpoints; null = nobody has said yes."""

    consent: Consent | None


@router.get("/consent")
async def consent(who: Who, service: Drills) -> ConsentOut:
    """Who has agreed to drills on real endpoints, and when."""
    return ConsentOut(await service.real.consent(who))


@router.put("/consent")
async def give(who: Who, service: Drills) -> ConsentOut:
    """Agree to drills on real endpoints, for the whole organisation."""
    return ConsentOut(await service.real.give(who))


@router.delete("/consent")
async def take_back(who: Who, service: Drills) -> ConsentOut:
    """Take it back: nothing more of the kind begins, and what runs ends."""
    await service.real.take_back(who)
    return ConsentOut(None)


@router.post("/plan")
async def plan(who: Who, service: Drills, body: NewRealDrill) -> RealPlan:
    """What a drill on these endpoints would do. Changes nothing."""
    return await service.real.plan(who, body.filter, body.fails)


@router.post("", status_code=202)
async def run(who: Who, service: Drills, body: NewRealDrill) -> DrillOut:
    """Begin a drill on real endpoints, which changes nothing on any of them. Follow it with GET /drills/{id}."""
    return out(await service.real.run(who, body.filter, body.fails, body.expect_count))
