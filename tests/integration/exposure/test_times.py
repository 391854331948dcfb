"""Closing times on a real database: proven by an inventory, once, by class and ring; and the line of a day."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_feeds import CRITICAL, cvss_file
from tests.support_findings import CURL, CVES, FIXED, OLD, World, new_world, write_seed
from tests.support_fleet import deb, update

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound
from brakeline.exposure.following import FOLLOWED_MAX, Following
from brakeline.exposure.service import ExposureService
from brakeline.exposure.times import ExposureDay, Followed
from brakeline.exposure.trend import Trend
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Connection, Database
from brakeline.tenancy.model import ROLE_PERMISSIONS, Principal, system_principal

HOUR_S = 3600
NEW_CURL = [deb("curl", FIXED)]


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    return await new_world(database, clock, ids, tmp_path)


async def test_a_closing_is_proven_by_an_inventory_and_counted_once(world: World, database: Database) -> None:
    trend = Trend(database, world.clock, world.exposure)
    await world.importing.import_file(world.owner, "cvss", cvss_file(world.clock, {CVES[0]: CRITICAL}))
    world.clock.advance(10 * HOUR_S)
    await world.fleet.inventory(world.lab, CURL, [update("curl", OLD, FIXED)])  # a fix is on offer, nothing is closed
    assert await trend.times(world.owner) == ()
    world.clock.advance(20 * HOUR_S)

    async def ring_of(conn: Connection, endpoint_id: str) -> int | None:
        assert await conn.fetchval("SELECT count(*) FROM brakeline.endpoint WHERE endpoint_id = $1", endpoint_id) == 1
        return 1

    world.exposure.ring_of = ring_of
    await world.fleet.inventory(world.lab, NEW_CURL)
    await world.exposure.on_inventory(world.owner.tenant_id, world.lab)  # looked at twice
    critical, unscored = await trend.times(world.owner)
    assert (critical.kind, critical.ring, critical.closed, critical.removed) == ("critical", 1, 1, 0)
    assert critical.mean_h == pytest.approx(30.0)
    assert critical.known_fixable_h == pytest.approx(10.0)
    assert critical.fixable_closed_h == pytest.approx(20.0)
    assert (critical.median_h, critical.p90_h) == (48.0, 48.0)
    assert (unscored.kind, unscored.closed) == ("unscored", len(CVES) - 1)


async def test_neither_new_advisories_nor_a_restart_close_anything(
    world: World, database: Database, tmp_path: Path
) -> None:
    trend = Trend(database, world.clock, world.exposure)
    (feed,) = await world.advisories.load_seed(write_seed(tmp_path / "feeds", CVES[:3], day="2026-11-02"))
    assert (feed.rows, feed.problem) == (3, "")
    await world.exposure.reconcile([world.owner.tenant_id])
    assert await trend.times(world.owner) == ()
    again = type(world.exposure)(database, world.clock, world.fleet.bus, world.fleet.service, world.advisories)
    world.fleet.service.on_inventory = again.on_inventory  # a process that has seen nothing of it
    await world.fleet.inventory(world.office, NEW_CURL)
    (row,) = await trend.times(world.owner)
    assert (row.ring, row.closed) == (-1, 3)


async def test_a_package_that_is_gone_is_no_patch(world: World, database: Database) -> None:
    await world.fleet.inventory(world.lab, [deb("bash", "5.2-1")])
    (row,) = await Trend(database, world.clock, world.exposure).times(world.owner)
    assert (row.closed, row.removed, row.mean_h) == (0, len(CVES), None)


async def test_the_line_of_a_day_is_written_once_it_is_looked_at(world: World, database: Database) -> None:
    trend, tenant = Trend(database, world.clock, world.exposure), world.owner.tenant_id
    assert await trend.days(world.owner) == ()
    assert await trend.look([tenant]) == 1
    assert await trend.look([tenant]) == 0  # not yet again
    world.clock.advance(2 * 86400)
    await world.fleet.inventory(world.lab, NEW_CURL)
    await world.fleet.inventory(world.office, NEW_CURL)
    await trend.look([tenant])
    first, last = await trend.days(world.owner)
    assert (first.cves, first.vulnerable, last.cves, last.vulnerable) == (len(CVES), 2, 0, 0)
    assert len(await trend.days(world.owner, days=1)) == 1
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create('te_other', 'other', now())")
    other = system_principal("te_other", "test")
    assert (await trend.days(other), await trend.times(other)) == ((), ())


async def test_a_filter_that_is_followed_has_days_of_its_own_from_that_day_on(world: World, database: Database) -> None:
    trend, tenant = Trend(database, world.clock, world.exposure), world.owner.tenant_id
    following = trend.following
    await world.importing.import_file(world.owner, "cvss", cvss_file(world.clock, {CVES[0]: CRITICAL}))
    await trend.look([tenant])
    with pytest.raises(NotFound, match="its past is not known"):
        await trend.days(world.owner, query="source:curl")
    made = await following.follow(world.owner, "  source:curl   role:active ")
    assert made.query == "source:curl role:active"
    assert await following.follow(world.owner, "source:curl role:active") == made, "twice is fine"
    one = (await following.follow(world.owner, CVES[0])).query
    await following.follow(world.owner, "source:none")
    (all_of_it,) = await trend.days(world.owner)
    assert await trend.days(world.owner, query="source:curl role:active") == (all_of_it,)
    (day,) = await trend.days(world.owner, query=one)
    assert (day.cves, day.vulnerable, day.endpoints) == (1, 2, all_of_it.endpoints)
    (none,) = await trend.days(world.owner, query="source:none")
    assert (none.cves, none.vulnerable, none.assessed) == (0, 0, all_of_it.assessed)
    world.clock.advance(86400)
    await world.accepting.accept(world.owner, CVES[0], reason="no route", days=5)
    await world.fleet.inventory(world.lab, NEW_CURL)
    await trend.look([tenant])
    assert [(d.cves, d.vulnerable, d.accepted) for d in await trend.days(world.owner, query=one)] == [
        (1, 2, 0), (1, 1, 1),
    ]  # fmt: skip
    await following.unfollow(world.owner, one)
    with pytest.raises(NotFound):
        await trend.days(world.owner, query=one)
    with pytest.raises(NotFound):
        await following.unfollow(world.owner, one)
    world.clock.advance(86400)
    await trend.look([tenant])
    await following.follow(world.owner, one)
    assert [d.cves for d in await trend.days(world.owner, query=one)] == [1, 1, 1], "its days were kept"
    acts = [e.action for e in await world.house.tenancy.audit_entries(world.owner, None, 20)]
    assert (acts.count("exposure.follow"), acts.count("exposure.unfollow")) == (4, 1)


async def test_what_cannot_be_followed_is_told_and_nobody_follows_for_another(world: World, database: Database) -> None:
    following = Trend(database, world.clock, world.exposure).following
    for wrong, why in (("", "say what to follow"), ("prio:act", "did you mean 'priority'"), ("x" * 201, "200")):
        with pytest.raises(Invalid, match=why):
            await following.follow(world.owner, wrong)
    for n in range(FOLLOWED_MAX):
        await following.follow(world.owner, f"source:s{n}")
    with pytest.raises(Conflict, match="20 filters are followed"):
        await following.follow(world.owner, "kev:yes")
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create('te_other', 'other', now())")
    other = system_principal("te_other", "test")
    assert await following.followed(other) == ()
    await following.follow(other, "kev:yes")
    with pytest.raises(NotFound):
        await following.days(other, "source:s0", "2000-01-01")
    viewer = replace(world.owner, permissions=ROLE_PERMISSIONS["viewer"])
    assert len(await following.followed(viewer)) == FOLLOWED_MAX
    for act in (following.follow(viewer, "kev:yes"), following.unfollow(viewer, "source:s0")):
        with pytest.raises(Forbidden, match=r"policy\.write"):
            await act


async def test_the_last_place_is_taken_once_however_many_follow_at_the_same_moment(
    world: World, database: Database
) -> None:
    following = Trend(database, world.clock, world.exposure).following
    for n in range(FOLLOWED_MAX - 1):
        await following.follow(world.owner, f"source:s{n}")
    queries, met = ("source:a", "source:b", "source:b", "source:c"), asyncio.Event()

    class Together(ExposureService):
        """Nobody has its line before all want theirs."""

        asked = 0

        async def line(self, principal: Principal, query: str, day: str) -> ExposureDay:
            line = await world.exposure.line(principal, query, day)
            self.asked += 1
            if self.asked == len(queries):
                met.set()
            await met.wait()
            return line

    together = Following(database, world.clock, object.__new__(Together))
    told = await asyncio.gather(*(together.follow(world.owner, q) for q in queries), return_exceptions=True)
    assert len(await following.followed(world.owner)) == FOLLOWED_MAX
    assert {type(t) for t in told} == {Followed, Conflict}


async def test_a_followed_filter_that_means_nothing_any_more_stops_no_line(world: World, database: Database) -> None:
    trend, tenant = Trend(database, world.clock, world.exposure), world.owner.tenant_id
    await trend.following.follow(world.owner, "kev:yes")
    async with database.tenant(tenant) as conn:
        await conn.execute("UPDATE brakeline.exposure_followed SET query = 'oldword:yes'")
    await trend.following.follow(world.owner, "source:curl")
    world.clock.advance(86400)
    await trend.look([tenant])
    assert (len(await trend.days(world.owner)), len(await trend.days(world.owner, query="source:curl"))) == (1, 2)
