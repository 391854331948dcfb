"""Events of exposure: told in the transaction that moves the counts, once, and only where something happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support_feeds import kev_file
from tests.support_findings import CVES, FIXED, World, new_world
from tests.support_fleet import deb

from brakeline.core.clock import ManualClock
from brakeline.exposure.trend import Trend
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    return await new_world(database, clock, ids, tmp_path)


async def told(world: World, database: Database) -> list[tuple[str, str, dict[str, object]]]:
    async with database.tenant(world.owner.tenant_id) as conn:
        rows = await conn.fetch("DELETE FROM brakeline.event_outbox RETURNING n, kind, subject, data")
    return [(r["kind"], r["subject"], json.loads(r["data"])) for r in sorted(rows, key=lambda r: r["n"])]


async def test_what_becomes_exploited_and_what_is_closed(world: World, database: Database) -> None:
    assert await told(world, database) == []  # nothing of it is known to be exploited
    await world.importing.import_file(world.owner, "cisa-kev", kev_file(world.clock, [CVES[0]]))
    await world.exposure.reconcile([world.owner.tenant_id])
    found = await told(world, database)
    expected = {("finding.exploited", world.lab), ("finding.exploited", world.office)}
    assert {(kind, subject) for kind, subject, _ in found} == expected
    assert len(found) == 2
    assert found[0][2] == {"exploited": 1, "exploited_before": 0, "open": len(CVES)}
    await world.fleet.inventory(world.lab, [deb("curl", FIXED)])
    await world.exposure.on_inventory(world.owner.tenant_id, world.lab)  # looked at twice
    ((kind, subject, data),) = await told(world, database)
    assert (kind, subject) == ("finding.closed", world.lab)
    assert data == {
        "closed": len(CVES), "by": {"patched_exploited": 1, "patched_unscored": len(CVES) - 1}, "ring": -1, "open": 0,
    }  # fmt: skip


async def test_a_day_is_told_when_it_begins(world: World, database: Database) -> None:
    trend = Trend(database, world.clock, world.exposure)
    for _ in range(3):
        await trend.look([world.owner.tenant_id])
        world.clock.advance(1200)
    ((kind, _, data),) = await told(world, database)
    assert (kind, data["cves"], data["endpoints"]) == ("exposure.day", len(CVES), 2)
