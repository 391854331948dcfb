"""A line an hour and class on real PostgreSQL: counted once, of each organisation alone, forgotten in the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_rollout import OWNER, SmallFleet

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden
from brakeline.fleet.shape import HOUR_MS, Hour
from brakeline.fleet.shaping import KEPT_MS, HourCount
from brakeline.fleet.store import hours
from brakeline.platform.database import Database

TENANT = OWNER.tenant_id


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(30)
    return made


async def kept(fleet: SmallFleet, tenant_id: str = TENANT) -> list[Hour]:
    async with fleet.db.tenant(tenant_id) as conn:
        return await hours.hours(conn)


async def test_an_hour_is_counted_once_whoever_comes_first(fleet: SmallFleet, clock: ManualClock) -> None:
    one, other = (HourCount(fleet.db, clock, settle_s=0) for _ in range(2))
    for twin in fleet.twins[:6]:
        twin.alive = False
    await fleet.hear()
    assert await one.count([TENANT]) == "1 lines of this hour"
    assert await one.count([TENANT]) == await other.count([TENANT]) == "0 lines of this hour"
    (line,) = await kept(fleet)
    assert (line.machine_class, line.enrolled, line.online, line.heard) == ("server", 30, 24, 24)
    assert line.within == (24,) * 5
    assert line.hour_ms % HOUR_MS == 0


async def test_who_was_there_and_is_not_any_more_and_who_has_restarted(fleet: SmallFleet, clock: ManualClock) -> None:
    count = HourCount(fleet.db, clock, settle_s=0)
    await fleet.hear()
    await count.count([TENANT])
    for twin in fleet.twins[:10]:
        twin.alive = False
    for twin in fleet.twins[10:13]:
        twin.boots += 1
    clock.advance(3_600)
    await fleet.hear()
    await count.count([TENANT])
    first, second = await kept(fleet)
    assert (first.restarts, second.restarts) == (0, 3), "the first look knows of no boot before"
    assert second.online == second.heard == 20
    assert second.within == (20, 30, 30, 30, 30), "ten were heard an hour ago, and are not any more"
    clock.advance(3_600)
    await fleet.hear()
    await count.count([TENANT])
    assert (await kept(fleet))[-1].restarts == 0


async def test_a_server_that_has_just_begun_counts_nothing_and_old_lines_go(
    fleet: SmallFleet, clock: ManualClock
) -> None:
    settling = HourCount(fleet.db, clock)
    assert await settling.count([TENANT]) == "waiting for everybody to be heard"
    assert await kept(fleet) == []
    count = HourCount(fleet.db, clock, settle_s=0)
    await count.count([TENANT])
    clock.advance(KEPT_MS / 1000 + 7_200)
    await count.count([TENANT])
    assert len(await kept(fleet)) == 1


async def test_the_shape_is_of_the_own_organisation_and_needs_a_permission(
    fleet: SmallFleet, clock: ManualClock
) -> None:
    await fleet.hear()
    await HourCount(fleet.db, clock, settle_s=0).count([TENANT])
    mine = await fleet.fleet.shape(OWNER)
    assert (mine.endpoints, mine.habits[0].hours) == (30, 1)
    assert mine.habits[0].short == "its history of 1 h is too short (a week is needed)"
    stranger = await fleet.fleet.shape(replace(OWNER, tenant_id="te_2"))
    assert (stranger.endpoints, stranger.habits[0].hours) == (0, 0)
    with pytest.raises(Forbidden):
        await fleet.fleet.shape(replace(OWNER, permissions=frozenset()))
