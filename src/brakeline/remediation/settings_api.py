"""People's routes of settings below `/api/v1/settings`: where they stand, what a rollout would do, and make it.

`POST /settings/plan` changes nothing; `POST /settings/start` takes its `endpoints` and `digest` and answers 409 when
the world has moved on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from brakeline.protocol.codec import to_plain
from brakeline.remediation.led import wished_of
from brakeline.remediation.service import RemediationService
from brakeline.remediation.words import parsed
from brakeline.rollout.conducting import LeadView
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1/settings", tags=["settings"])
Who = Annotated[Principal, Depends(current_principal)]


def _service(request: Request) -> RemediationService:
    service: RemediationService = request.app.state.remediation
    return service


Remediation = Annotated[RemediationService, Depends(_service)]


@dataclass(frozen=True, slots=True)
class PlanBody:
    """`pace`: careful | fast | rehearsal."""

    pace: str = "careful"


@dataclass(frozen=True, slots=True)
class StartBody:
    """`expect_count` and `digest` are `endpoints` and `digest` of the plan that somebody saw."""

    expect_count: int
    digest: str
    pace: str = "careful"
    start: bool = True


@dataclass(frozen=True, slots=True)
class LeadBody:
    """The words of one policy, as in `POST /policies`, to lead over cells; none at all takes away what was led under
    this name. `cells` in the order in which they open, none = all that have joined. `pace`: careful, fast, emergency or
    rehearsal."""

    name: str
    filter: str = ""
    mode: str = "leave"
    refresh_interval_s: int | None = None
    inventory_interval_s: int | None = None
    windows: tuple[str, ...] = ()
    restart: str = ""
    conffiles: str = ""
    restarts_a_day: int | None = None
    download_kib_s: int | None = None
    nice: int | None = None
    probes: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    pace: str = "careful"
    title: str = ""


@router.get("")
async def standing(who: Who, remediation: Remediation) -> dict[str, Any]:
    """Which version is good, which is rolling out and how far it is, and on how many endpoints something waits."""
    return to_plain(await remediation.settings_standing(who))  # type: ignore[no-any-return]


@router.post("/plan")
async def plan(body: PlanBody, who: Who, remediation: Remediation) -> dict[str, Any]:
    """What a rollout of settings would change, on how many endpoints, by which rings. Changes nothing."""
    return to_plain(await remediation.plan_settings(who, body.pace))  # type: ignore[no-any-return]


@router.post("/start", status_code=201, response_model=None, responses=WAITS)
async def start(request: Request, body: StartBody, who: Who, remediation: Remediation) -> dict[str, Any] | JSONResponse:
    """Make the version that was planned and start its rollout; a draft until a second person agrees, where it is
    faster than the careful pace."""
    made = await remediation.start_settings(who, body.expect_count, body.digest, pace=body.pace, start=body.start)
    waits = await remediation.settings_waiting(who, made) if body.start else None
    plain: dict[str, Any] = to_plain(made)
    return asked(request, waits, **plain) if waits is not None else plain


@router.post("/lead", status_code=201)
async def lead(body: LeadBody, who: Who, remediation: Remediation) -> LeadView:
    """A draft of settings over cells, to be started as any lead; each cell tells with its next exchange for how many
    endpoints they make a difference, or that it takes no part and why."""
    words = parsed(
        windows=body.windows, restart=body.restart, conffiles=body.conffiles, restarts_a_day=body.restarts_a_day,
        download_kib_s=body.download_kib_s, nice=body.nice, probes=body.probes,
    )  # fmt: skip
    wished = wished_of(body.name, body.filter, body.mode, words, body.refresh_interval_s, body.inventory_interval_s)
    return await remediation.lead_settings(who, wished, body.cells, body.pace, body.title)
