"""Drills in a world that does not play along: a plane that refuses, an end never written down, no permission."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support_rollout import OWNER, SmallFleet

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden
from brakeline.drills import store
from brakeline.drills.model import Drill, State
from brakeline.drills.run import Parts
from brakeline.drills.service import LOST_MS, DrillService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy.model import Principal

VIEWER = Principal(OWNER.tenant_id, "pe_2", "person", "Vera", frozenset({"rollout.read"}))


async def overloaded(_: Any, __: Any, send: Any) -> None:
    """An agent plane that takes nothing."""
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b"too busy"})


class Place:
    """The service over a real database and that plane."""

    def __init__(self, fleet: SmallFleet) -> None:
        self.fleet, self.gone = fleet, list[Sequence[str]]()
        parts = Parts(overloaded, fleet.fleet, fleet.service, fleet.clock)
        ids = IdMaker(fleet.clock)
        self.drills = DrillService(fleet.db, ids, fleet.tenancy, parts, self.gone.append)

    async def over(self, drill_id: str) -> Drill:
        async with asyncio.timeout(60):
            while (found := await self.drills.show(OWNER, drill_id)).state is State.RUNNING:
                await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def place(database: Database, clock: ManualClock, tmp_path: Path) -> Place:
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(3)
    return Place(fleet)


async def test_where_nobody_can_enrol_it_is_broken_off_says_why_and_leaves_nothing(place: Place) -> None:
    made = await place.drills.run(OWNER, "bad-release", 50)
    found = await place.over(made.id)
    assert found.state is State.BROKEN_OFF
    assert "could not enrol" in found.why
    assert "too busy" in found.why
    assert found.report is not None
    assert (found.report.offered, found.report.real_endpoints) == (0, 3)
    async with place.fleet.db.tenant(OWNER.tenant_id) as conn:
        assert await store.clear(conn) == 0, "it was cleared already"
        assert await conn.fetchval("SELECT count(*) FROM brakeline.endpoint") == 3
    again = await place.drills.run(OWNER, "bad-release", 50)
    assert again.id != made.id
    await place.over(again.id)


async def test_an_end_that_was_never_written_down_blocks_no_later_drill(place: Place, clock: ManualClock) -> None:
    lost = Drill("dr_lost", "bad-release", 50, clock.now_ms(), "Olga", State.RUNNING, 0, "", None)
    async with place.fleet.db.tenant(OWNER.tenant_id) as conn:
        await store.insert(conn, OWNER.tenant_id, lost)
    with pytest.raises(Conflict):
        await place.drills.run(OWNER, "bad-release", 50)
    clock.advance(LOST_MS / 1000)
    made = await place.drills.run(OWNER, "bad-release", 50)
    found = await place.drills.show(OWNER, "dr_lost")
    assert (found.state, found.why) == (State.BROKEN_OFF, "its end could not be written down")
    await place.over(made.id)


async def test_who_may_only_read_runs_and_stops_nothing(place: Place) -> None:
    with pytest.raises(Forbidden):
        await place.drills.run(VIEWER, "bad-release", 50)
    with pytest.raises(Forbidden):
        await place.drills.stop(VIEWER, "dr_1")
    assert place.drills.plan(VIEWER, "bad-release", 300).endpoints == 300
    assert await place.drills.list(VIEWER) == ()


async def test_the_server_s_end_breaks_a_drill_off(place: Place) -> None:
    made = await place.drills.run(OWNER, "bad-release", 50)
    await place.drills.close()
    assert (await place.drills.show(OWNER, made.id)).state is State.BROKEN_OFF
