"""People's routes of incidents replayed under the own shape and plan, below `/api/v1/drills/own`.

`POST` starts one in a process of its own at the lowest priority and answers at once; `GET` says how it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from brakeline.drills.own_replays import OwnReplays
from brakeline.protocol.codec import to_plain
from brakeline.rollout.api import Who

router = APIRouter(prefix="/api/v1/drills/own", tags=["drills"])


def _service(request: Request) -> OwnReplays:
    service: OwnReplays = request.app.state.own_replays
    return service


Replays = Annotated[OwnReplays, Depends(_service)]


@dataclass(frozen=True, slots=True)
class NewReplay:
    """`plan`: one of your own, as in plan files; else the ready-made one of `pace` (careful). `seeds`: histories."""

    seeds: int = 1
    plan: dict[str, Any] | None = None
    pace: str = ""


@router.post("/replays", status_code=202)
async def begin(who: Who, service: Replays, body: NewReplay) -> dict[str, Any]:
    """Replay the incidents under this fleet's own shape and a plan; it takes minutes. Follow it with GET."""
    await service.begin(who, body.seeds, plan=body.plan, pace=body.pace)
    return to_plain(await service.show(who))  # type: ignore[no-any-return]


@router.get("/replays")
async def show(who: Who, service: Replays) -> dict[str, Any]:
    """What a plan would have cost this fleet: the newest answer, and how a replay stands."""
    return to_plain(await service.show(who))  # type: ignore[no-any-return]
