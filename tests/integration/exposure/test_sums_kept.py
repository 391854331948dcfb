"""Figures that are kept from look to look, in a real database: damage is told and mended, and what is as of when."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import pytest
from tests.support_fleet import OWNER, TENANT, SmallFleet, deb, update

from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Invalid
from brakeline.exposure.ranking import OLDEST_MAX_MS
from brakeline.exposure.service import SILENT_AFTER_MS, SILENT_AGED_MS, ExposureService
from brakeline.exposure.upkeep import OLDEST_AGED_MS
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database

OLD, NEW = "7.88.1-10+deb12u14", "7.88.1-10+deb12u15"
CURL = [deb("curl", OLD), deb("libcurl4", OLD, "curl"), deb("nodejs", "20.1-1nodesource1", origin="Node Source")]
WAITING = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"  # not of pg_stat_activity: one look a transaction
UPDATES = [update("curl", OLD, NEW), update("libcurl4", OLD, NEW)]


@pytest.fixture
async def server(database: Database, clock: ManualClock, ids: IdMaker) -> ExposureService:
    await AdvisoriesService(database, clock).load_seed()
    fleet = SmallFleet(database, clock, ids)
    server = ExposureService(database, clock, fleet.bus, fleet.service)
    fleet.service.on_inventory = server.on_inventory
    for host in ("a", "b"):
        await fleet.inventory(await fleet.enrol(host), CURL, UPDATES)
    await server.reconcile([TENANT])
    return server


async def test_a_page_is_one_look_at_what_three_questions_give(server: ExposureService) -> None:
    page, risk, index = await server.board(OWNER, "state:fixable_now", None, 3)
    assert page == await server.vulnerabilities(OWNER, "state:fixable_now", limit=3)
    assert (risk, index) == (await server.summary(OWNER), await server.index_status(OWNER))
    assert (risk.vulnerable, risk.assessed, page.total > 3) == (2, 2, True)
    behind, _, _ = await server.board(OWNER, "state:fixable_now", page.next, 500)
    assert [v.cve for v in (*page.items, *behind.items)] == [v.cve for v in (await server.every(OWNER))[0]]
    with pytest.raises(Invalid, match="unknown key"):
        await server.board(OWNER, "stat:open", None, 3)


async def test_figures_that_were_damaged_are_told_counted_and_made_anew(server: ExposureService) -> None:
    draw, right = random.Random(1), await server.summary(OWNER)
    page = await server.vulnerabilities(OWNER)
    assert (await server.check(TENANT, draw)).endswith(" 0 differences, mended")
    server._sums[TENANT].counts["cve", ""] -= 1  # one too few: a false calm
    server._exposed[TENANT][3]._anybody = server._index(TENANT).present - server._index(TENANT).present
    server._index(TENANT)._judged.clear()
    wrong = await server.summary(OWNER)
    assert (wrong.cves, wrong.vulnerable, wrong.assessed) == (right.cves - 1, 0, 0)
    assert (await server.check(TENANT, draw)).endswith(" 3 differences, mended")
    assert await server.summary(OWNER) == right
    assert await server.vulnerabilities(OWNER) == page
    assert "vulnerable endpoints: 0, should be 2" in (await server.index_status(OWNER)).last_difference
    assert (await server.check(TENANT, draw)).endswith(" 0 differences, mended")


async def test_who_is_silent_is_as_of_seconds_ago_and_no_longer(
    server: ExposureService, database: Database, clock: ManualClock
) -> None:
    assert (await server.summary(OWNER)).silent == 0
    clock.advance((SILENT_AFTER_MS + SILENT_AGED_MS) / 1000)
    assert (await server.summary(OWNER)).silent == 2
    async with database.tenant(TENANT) as conn:
        for one in server._index(TENANT).views:
            await conn.execute(
                """INSERT INTO brakeline.presence (tenant_id, endpoint_id, last_seen, boot_id, asleep, agent_version,
                     failed_services) VALUES ($1, $2, $3, 'b', false, '', '{}')
                   ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET last_seen = excluded.last_seen""",
                TENANT, one, datetime.fromtimestamp(clock.now_ms() / 1000, UTC),
            )  # fmt: skip
    assert (await server.summary(OWNER)).silent == 2, "as of the look before"
    clock.advance(SILENT_AGED_MS / 1000)
    assert (await server.summary(OWNER)).silent == 0


async def test_since_when_a_source_stands_open_is_asked_anew_for_few_and_kept_for_minutes_for_many(
    server: ExposureService, database: Database, clock: ManualClock
) -> None:
    first = await server._oldest_of(TENANT, small=False)
    assert "curl" in first
    async with database.tenant(TENANT) as conn:
        await conn.execute("UPDATE brakeline.endpoint_exposure_source SET first_seen = first_seen - interval '9 days'")
    assert await server._oldest_of(TENANT, small=False) == first, "many: as it was asked"
    older = await server._oldest_of(TENANT, small=True)
    assert older["curl"] == first["curl"] - 9 * 86_400_000, "few: as it is"
    async with database.tenant(TENANT) as conn:
        await conn.execute("UPDATE brakeline.endpoint_exposure_source SET first_seen = first_seen - interval '9 days'")
    clock.advance(OLDEST_AGED_MS / 1000)
    assert await server._oldest_of(TENANT, small=False) == older, "whoever looks does not wait"
    await server.reconcile([TENANT])
    assert (await server._oldest_of(TENANT, small=False))["curl"] == first["curl"] - 18 * 86_400_000
    async with database.tenant(TENANT) as conn:
        await conn.execute("UPDATE brakeline.endpoint_exposure_source SET first_seen = first_seen - interval '9 days'")
    clock.advance(OLDEST_MAX_MS / 1000)
    assert (await server._oldest_of(TENANT, small=False))["curl"] == first["curl"] - 27 * 86_400_000, "nobody asked"


async def test_what_opens_while_that_is_asked_is_not_lost(server: ExposureService, database: Database) -> None:
    await server._look_at_oldest(TENANT)
    async with database.tenant(TENANT) as conn:
        await conn.execute("LOCK TABLE brakeline.endpoint_exposure_source IN ACCESS EXCLUSIVE MODE")
        asked = asyncio.create_task(server._look_at_oldest(TENANT))
        while not await conn.fetchval(WAITING):
            await asyncio.sleep(0.01)
        server._oldest[TENANT][1]["openssl"] = 7  # as an inventory that is judged meanwhile adds it
    await asked
    since = await server._oldest_of(TENANT, small=False)
    assert (since["openssl"], "curl" in since) == (7, True)


async def test_what_a_check_gave_up_while_somebody_looked_is_counted_whole(server: ExposureService) -> None:
    right, beside = await server.summary(OWNER), await server._marked(TENANT)
    del server._exposed[TENANT], server._sums[TENANT]
    assert server._figures(TENANT, frozenset(), beside) == right
    assert await server.summary(OWNER) == right
