"""Closing times on a real database: proven by an inventory, once, by class and ring; and the line of a day."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support_feeds import CRITICAL, cvss_file
from tests.support_findings import CURL, CVES, FIXED, OLD, World, new_world, write_seed
from tests.support_fleet import deb, update

from brakeline.core.clock import ManualClock
from brakeline.exposure.trend import Trend
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Connection, Database
from brakeline.tenancy.model import system_principal

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
