"""The route that makes a rollout of a published release. (What releases there are: `releases.api`.)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from brakeline.protocol.channels import STABLE
from brakeline.rollout import plans
from brakeline.rollout.api import Created, Rollouts, Who
from brakeline.rollout.model import Policy
from brakeline.rollout.releasing import PromotionPlan, Releasing
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1", tags=["releases"])


def _releasing(request: Request) -> Releasing:
    service: Releasing = request.app.state.releasing
    return service


@dataclass(frozen=True, slots=True)
class Promotion:
    """`pace`: careful, fast, emergency or rehearsal. `expect_count`: refuse unless so many endpoints are concerned."""

    pace: str = "careful"
    policy: dict[str, Any] | None = None  # one of one's own instead, as `rollout.model.Policy`
    expect_count: int | None = None
    start: bool = False
    channel: str = STABLE  # stable = every endpoint | early = those that follow it


@router.get("/releases/{release_id}/promotion")
async def plan_promotion(
    who: Who,
    service: Annotated[Releasing, Depends(_releasing)],
    release_id: str,
    pace: str = "careful",
    channel: str = STABLE,
) -> PromotionPlan:
    """What promoting it would do now: endpoints, rings, what the brake can see. Changes nothing."""
    return await service.plan(who, release_id, pace=pace, channel=channel)


@router.post("/releases/{release_id}/promote", status_code=201, response_model=Created, responses=WAITS)
async def promote_release(
    request: Request, who: Who, service: Annotated[Releasing, Depends(_releasing)], rollouts: Rollouts, release_id: str,
    wanted: Promotion,
) -> Created | JSONResponse:  # fmt: skip
    """Roll a published release out to every endpoint that follows a channel, ring by ring, under the brake.

    Where its policy is less careful than usual, it is a draft until a second person has agreed.
    """
    policy: Policy | None = plans.parse(wanted.policy, "policy") if wanted.policy is not None else None
    made = await service.promote(
        who, release_id, pace=wanted.pace, policy=policy, expect_count=wanted.expect_count, start=wanted.start,
        channel=wanted.channel,
    )  # fmt: skip
    waits = await rollouts.waiting(who, made) if wanted.start else None
    return asked(request, waits, id=made) if waits is not None else Created(made)
