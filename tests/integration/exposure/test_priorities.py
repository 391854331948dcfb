"""Priority over a real fleet: who is tagged, what feeds say, for how long; sorting, filter, EPSS that is too old."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.support_feeds import CRITICAL, cvss_file, epss_file, importing_of, kev_file
from tests.support_fleet import OWNER, TENANT, SmallFleet, deb

from brakeline.advisories.importing import Importing
from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Invalid
from brakeline.exposure.priority import Level
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database

CURL = [deb("curl", "7.88.1-10+deb12u1"), deb("linux-libc-dev", "6.1.1-1", "linux")]


@dataclass
class World:
    """Two endpoints with an old curl, one of them tagged."""

    exposure: ExposureService
    importing: Importing
    clock: ManualClock
    tagged: str
    inside: str
    cves: list[str]

    async def level(self, cve: str) -> Level:
        return (await self.exposure.vulnerability(OWNER, cve)).vulnerability.priority.level


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker) -> World:
    advisories = AdvisoriesService(database, clock)
    await advisories.load_seed()
    fleet = SmallFleet(database, clock, ids)
    exposure = ExposureService(database, clock, fleet.bus, fleet.service, advisories)
    fleet.service.on_inventory = exposure.on_inventory
    tagged, inside = await fleet.enrol("web1", tags=("internet-facing",)), await fleet.enrol("db1")
    for endpoint in (tagged, inside):
        await fleet.inventory(endpoint, CURL)
    page = await exposure.vulnerabilities(OWNER, "source:curl kev:no", limit=500)
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create($1, 'test', now())", TENANT)
    importing = importing_of(database, clock, advisories, TENANT)
    return World(exposure, importing, clock, tagged, inside, sorted(v.cve for v in page.items))


async def test_without_scores_everything_is_unrated_and_carried_things_are_tracked(world: World) -> None:
    summary = await world.exposure.summary(OWNER)
    assert summary.priorities == {"unrated": len(world.cves)}
    page = await world.exposure.vulnerabilities(OWNER, "role:carrier kev:no", limit=1)
    assert page.items[0].priority.level is Level.TRACK
    assert page.items[0].epss is None


async def test_scores_rank_the_fleet_and_each_answer_is_told(world: World) -> None:
    likely, unlikely, exploited = world.cves[:3]
    await world.importing.import_file(OWNER, "epss", epss_file(world.clock, {likely: 0.9, unlikely: 0.01}))
    await world.importing.import_file(OWNER, "cvss", cvss_file(world.clock, {unlikely: CRITICAL}))
    await world.importing.import_file(OWNER, "cisa-kev", kev_file(world.clock, [exploited]))
    page = await world.exposure.vulnerabilities(OWNER, "source:curl", limit=500)
    assert [(v.cve, v.priority.level) for v in page.items[:2]] == [(exploited, Level.ACT), (likely, Level.ACT)]
    assert (page.items[1].epss, page.items[1].cvss) == (0.9, None)
    found = (await world.exposure.vulnerability(OWNER, unlikely)).vulnerability
    assert (found.priority.level, found.cvss, found.cvss_vector) == (Level.PLAN, 9.8, CRITICAL)
    assert [r.code for r in found.priority.reasons] == ["likelihood", "severity", "reach", "age", "level"]
    only = await world.exposure.vulnerabilities(OWNER, "priority:act", limit=500)
    assert [v.cve for v in only.items] == [exploited, likely]
    with pytest.raises(Invalid, match="priority: cannot be 'now'"):
        await world.exposure.vulnerabilities(OWNER, "priority:now")
    counts = (await world.exposure.summary(OWNER)).priorities
    assert list(counts.items()) == [("act", 2), ("unrated", len(world.cves) - 3), ("plan", 1)]


async def test_each_endpoint_s_findings_are_ranked_by_its_own_reach(world: World) -> None:
    likely = world.cves[0]
    await world.importing.import_file(OWNER, "epss", epss_file(world.clock, {likely: 0.9}))
    first = [(await world.exposure.findings(OWNER, e)).findings[0] for e in (world.tagged, world.inside)]
    assert [f.finding.cve for f in first] == [likely, likely]
    assert [f.priority.level for f in first] == [Level.ACT, Level.ATTEND]
    assert first[0].epss == 0.9


async def test_what_stays_open_too_long_is_raised_with_the_day(world: World) -> None:
    unlikely = world.cves[0]
    await world.importing.import_file(OWNER, "cvss", cvss_file(world.clock, {unlikely: CRITICAL}))
    await world.importing.import_file(OWNER, "epss", epss_file(world.clock, {unlikely: 0.01}))
    assert await world.level(unlikely) is Level.PLAN
    world.clock.advance(91 * 86400)
    await world.importing.import_file(OWNER, "epss", epss_file(world.clock, {unlikely: 0.01}))
    assert await world.level(unlikely) is Level.ATTEND


async def test_epss_that_is_too_old_is_not_used_and_that_is_said(world: World) -> None:
    likely = world.cves[0]
    await world.importing.import_file(OWNER, "epss", epss_file(world.clock, {likely: 0.9}))
    assert await world.level(likely) is Level.ACT
    world.clock.advance(31 * 86400)
    found = await world.exposure.vulnerability(OWNER, likely)
    assert (found.vulnerability.priority.level, found.vulnerability.epss) == (Level.UNRATED, None)
    assert "EPSS is 31 days old and is not used: it speaks of the 30 days after its date." in found.limits
