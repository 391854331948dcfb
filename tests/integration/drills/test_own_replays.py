"""What would this plan have cost us? Asked of the service, on a real database: refused plans, one's own answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid
from brakeline.drills import own_pages
from brakeline.drills.own_replays import OwnReplays
from brakeline.drills.replaying import Replays
from brakeline.platform.database import Database

STRANGER = replace(OWNER, tenant_id="te_2")
PLAN = {"rings": [{"name": "all", "bake_s": "26 h", "share": 1.0}]}


@pytest.fixture
async def own(database: Database, clock: ManualClock, tmp_path: Path) -> OwnReplays:
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(30)
    return OwnReplays(fleet.fleet, Replays(first=1))


async def ended(own: OwnReplays) -> None:
    async with asyncio.timeout(180):
        while (await own.show(OWNER)).state == "running":
            await asyncio.sleep(0.2)


async def test_the_answer_is_of_this_fleet_and_this_plan_and_nobody_elses(own: OwnReplays) -> None:
    assert (await own.show(OWNER)).state == "idle"
    await own.begin(OWNER, 1, plan=PLAN)
    assert (await own.show(OWNER)).state == "running"
    assert (await own.show(STRANGER)).state == "busy", "it says that one runs, and not whose"
    with pytest.raises(Conflict):
        await own.begin(OWNER, 1, pace="fast")
    await ended(own)
    found = await own.show(OWNER)
    assert (found.state, found.answer is not None) == ("done", True), found.note
    assert found.answer is not None
    assert found.answer["endpoints"] == 30
    assert (await own.show(STRANGER)).answer is None
    view = own_pages.view(found, may_run=True)
    assert view.rows[0].harmed != "–"
    assert "too short" in view.shape[0]


async def test_what_could_not_be_started_cannot_be_asked_about_either(own: OwnReplays) -> None:
    for body, says in (
        ({"plan": {"rings": []}}, "ring"), ({"plan": {"ringz": []}}, "did you mean rings"),
        ({"pace": "warp"}, "careful, fast"), ({"plan": PLAN, "pace": "fast"}, "either"),
    ):  # fmt: skip
        with pytest.raises(Invalid, match=says):
            await own.begin(OWNER, 1, **body)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="no active endpoint"):
        await own.begin(STRANGER, 1)
    with pytest.raises(Invalid, match="1 to 5"):
        await own.begin(OWNER, 99)
    with pytest.raises(Forbidden):
        await own.begin(replace(OWNER, permissions=frozenset({"rollout.read", "endpoint.read"})), 1)
    assert (await own.show(OWNER)).state == "idle"
