"""People's routes of rollouts below `/api/v1`: parse, authorise (in the service), call, render.

`POST /rollouts/{id}/brake` needs no body, is idempotent, answers when the press is durable, and is authorised without
the database too. Cursors are ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from brakeline.rollout.brief import brief
from brakeline.rollout.declining import Declining
from brakeline.rollout.forecast import Forecast, forecast
from brakeline.rollout.lint import Finding
from brakeline.rollout.model import Change, Line, Pin
from brakeline.rollout.power import Power, power
from brakeline.rollout.presets import policy_for
from brakeline.rollout.reading import MemberPage, RolloutSummary
from brakeline.rollout.service import BrakeAck, RolloutService
from brakeline.rollout.store.rollouts import Quarantined
from brakeline.rollout.view import RolloutView
from brakeline.tenancy.api import Presser, current_principal
from brakeline.tenancy.model import Principal
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1", tags=["rollouts"])
Who = Annotated[Principal, Depends(current_principal)]


def _service(request: Request) -> RolloutService:
    service: RolloutService = request.app.state.rollout
    return service


Rollouts = Annotated[RolloutService, Depends(_service)]


@dataclass(frozen=True, slots=True)
class PinIn:
    """One package at exactly one version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Declined:
    """A version of a package that is not to be offered, or may be again, and why."""

    name: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class NewRollout:
    """What to roll out, and to whom. `pace`: careful, fast, emergency or rehearsal."""

    title: str
    updates: tuple[PinIn, ...]
    endpoints: tuple[str, ...]
    pace: str = "careful"
    conffile_policy: str = "keep"
    exploited: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """Why. Kept in the log."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Created:
    id: str


@dataclass(frozen=True, slots=True)
class RolloutList:
    """One page; `next` goes into `after` for the following one, null at the end."""

    items: tuple[RolloutSummary, ...]
    next: str | None


@router.get("/rollouts")
async def list_rollouts(
    who: Who, service: Rollouts, state: Annotated[list[str] | None, Query()] = None, after: str | None = None,
    limit: int = 50, release: str = "",
) -> RolloutList:  # fmt: skip
    """Rollouts, newest first; of one release of ours, if its id is given."""
    items = await service.list(who, states=state or (), before=after, limit=limit, release=release)
    return RolloutList(items, items[-1].id if len(items) == limit else None)


@router.post("/rollouts", status_code=201)
async def create_rollout(who: Who, service: Rollouts, new: NewRollout) -> Created:
    """A draft; start it with POST /rollouts/{id}/start."""
    pins = tuple(Pin(u.name, u.version) for u in new.updates)
    change = Change(pins, exploited=new.exploited, conffile_policy=new.conffile_policy, title=new.title)
    policy = policy_for(len(new.endpoints), new.pace)
    return Created(await service.create(who, new.title, change, policy, new.endpoints))


@router.get("/rollouts/power")
async def what_can_be_seen(who: Who, size: Annotated[int, Query(ge=1)], pace: str = "careful") -> Power:
    """What the statistics can and cannot see in a fleet of `size` endpoints."""
    who.require("rollout.read")
    return power(policy_for(size, pace), Change((Pin("any", "1"),)), size)


@router.get("/rollouts/forecast")
async def what_it_would_look_like(
    who: Who, size: Annotated[int, Query(ge=1, le=20_000_000)], pace: str = "careful",
    regions: Annotated[int, Query(ge=1, le=1_000)] = 1,
) -> Forecast:  # fmt: skip
    """When each ring opens at the earliest, the smallest harm that halts it, and how many have the change by then."""
    who.require("rollout.read")
    return forecast(policy_for(size, pace), Change((Pin("any", "1"),)), size, regions)


@router.get("/rollouts/{rollout_id}")
async def show_rollout(who: Who, service: Rollouts, rollout_id: str, examples: bool = False) -> RolloutView:
    """Everything about one rollout at this moment; with `examples` every number, and of endpoints a few by name."""
    view = await service.show(who, rollout_id)
    return brief(view) if examples else view


@router.get("/rollouts/{rollout_id}/endpoints")
async def list_endpoints_of_rollout(
    who: Who, service: Rollouts, rollout_id: str, region: str = "", ring: str = "", show: str = "", after: str = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> MemberPage:  # fmt: skip
    """Its endpoints by host name, page by page: of a region, treated in the ring of that name, or by `show`: treated,
    spared, bad."""
    return await service.members(who, rollout_id, region=region, ring=ring, show=show, after=after, limit=limit)


@router.get("/rollouts/{rollout_id}/why")
async def explain_rollout(who: Who, service: Rollouts, rollout_id: str) -> tuple[Line, ...]:
    """Every gate and what it says."""
    return await service.explain(who, rollout_id)


@router.get("/rollouts/{rollout_id}/lint")
async def lint_rollout(who: Who, service: Rollouts, rollout_id: str) -> tuple[Finding, ...]:
    """What an independent look at the next step finds wrong."""
    return await service.lint(who, rollout_id)


@router.post("/rollouts/{rollout_id}/brake")
async def brake_rollout(who: Presser, service: Rollouts, rollout_id: str) -> BrakeAck:
    """Stop it, now."""
    return await service.brake(who, rollout_id)


@router.post("/rollouts/{rollout_id}/start", response_model=RolloutView, responses=WAITS)
async def start_rollout(request: Request, who: Who, service: Rollouts, rollout_id: str) -> RolloutView | JSONResponse:
    """From draft to the first ring. Where its policy is less careful than usual, a second person agrees first."""
    found = await service.start(who, rollout_id)
    return asked(request, found) if found is not None else await service.show(who, rollout_id)


@router.post("/rollouts/{rollout_id}/pause")
async def pause_rollout(who: Who, service: Rollouts, rollout_id: str, body: Reason | None = None) -> RolloutView:
    """Offer nothing new until somebody resumes."""
    await service.pause(who, rollout_id, body.reason if body else "")
    return await service.show(who, rollout_id)


@router.post("/rollouts/{rollout_id}/resume", response_model=RolloutView, responses=WAITS)
async def resume_rollout(
    request: Request, who: Who, service: Rollouts, rollout_id: str, body: Reason
) -> RolloutView | JSONResponse:
    """Go on, with a reason; sets aside by name who is not proven. After a halt a second person agrees first."""
    found = await service.resume(who, rollout_id, body.reason)
    return asked(request, found) if found is not None else await service.show(who, rollout_id)


@router.post("/rollouts/{rollout_id}/withdraw")
async def withdraw_rollout(who: Who, service: Rollouts, rollout_id: str, body: Reason) -> RolloutView:
    """End it for good."""
    await service.withdraw(who, rollout_id, body.reason)
    return await service.show(who, rollout_id)


@router.get("/quarantine")
async def list_quarantined(who: Who, service: Rollouts) -> list[dict[str, Any]]:
    """Updates that no rollout offers, and why: a halt (`rollout_id`), or people who have declined it (`declined`)."""
    return [_kept_out(q) for q in await service.quarantined(who)]


@router.post("/quarantine", status_code=201)
async def decline_update(who: Who, service: Rollouts, body: Declined) -> dict[str, Any]:
    """Never offer this version, in no rollout and not as a dependency, until somebody allows it again."""
    return _kept_out(await Declining(service).decline(who, body.name, body.version, body.reason))


@router.post("/quarantine/allow", status_code=204)
async def allow_update(who: Who, service: Rollouts, body: Declined) -> None:
    """Take back that it was declined. What a halt has quarantined leaves it by resuming that rollout only."""
    await Declining(service).allow(who, body.name, body.version, body.reason)


def _kept_out(q: Quarantined) -> dict[str, Any]:
    return {"name": q.pin.name, "version": q.pin.version, "rollout_id": q.rollout_id, "since_ms": q.since_ms,
            "reason": q.reason, "declined": q.declined}  # fmt: skip
