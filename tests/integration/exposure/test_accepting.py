"""Accepted risk on a real database: seen everywhere, hidden nowhere; ends by itself; two people, two organisations."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support_feeds import CRITICAL, cvss_file, kev_file
from tests.support_findings import World, new_world

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden, Invalid, NotFound
from brakeline.exposure.acceptance import Acceptance, Standing
from brakeline.exposure.due import DEFAULTS, TwoPeople
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy.faults import CountMoved
from brakeline.tenancy.model import system_principal
from brakeline.tenancy.two_people import Request

DAY_S = 86400


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    return await new_world(database, clock, ids, tmp_path)


async def test_it_is_counted_beside_what_is_open_and_hides_nothing(world: World) -> None:
    before = await world.exposure.summary(world.owner)
    made = await world.accepting.accept(
        world.owner, world.cve.lower(), reason="no route to it", days=30, filter_text="tag:lab", expect_count=1
    )
    assert isinstance(made, Acceptance)
    assert (made.cve, made.filter, made.persons, made.approved_by) == (world.cve, "tag:lab", 1, world.owner.name)
    found = (await world.exposure.vulnerability(world.owner, world.cve)).vulnerability
    assert (found.endpoints, found.accepted, found.accepted_whole) == (2, 1, False)
    assert found.accepted_until_ms == made.until_ms
    affected = (await world.exposure.vulnerability(world.owner, world.cve)).affected
    assert {a.hostname: a.accepted_until_ms for a in affected} == {"lab1": made.until_ms, "office1": None}
    for endpoint, until in ((world.lab, made.until_ms), (world.office, None)):
        findings = (await world.exposure.findings(world.owner, endpoint)).findings
        assert next(f for f in findings if f.finding.cve == world.cve).accepted_until_ms == until
    await world.accepting.accept(world.owner, world.cve, reason="nor here", days=10)
    after = await world.exposure.summary(world.owner)
    assert (after.cves, after.vulnerable) == (before.cves, before.vulnerable)
    assert (after.accepted, after.partly_accepted) == (1, 0)
    listed = await world.exposure.vulnerabilities(world.owner, "accepted:yes")
    assert [v.cve for v in listed.items] == [world.cve]
    reach = {a.acceptance.filter: a.endpoints for a in await world.accepting.acceptances(world.owner)}
    assert reach == {"": 2, "tag:lab": 1}


async def test_it_ends_by_itself_and_by_whoever_takes_it_back(world: World) -> None:
    await world.accepting.accept(world.owner, world.cve, reason="until the freeze is over", days=2)
    world.clock.advance(2 * DAY_S + 1)
    assert (await world.exposure.summary(world.owner)).accepted == 0
    (over,) = await world.accepting.acceptances(world.owner)
    assert (over.standing, over.endpoints) == (Standing.EXPIRED, None)
    again = await world.accepting.accept(world.owner, world.cve, reason="once more", days=2)
    assert isinstance(again, Acceptance)
    assert (await world.exposure.summary(world.owner)).accepted == 1
    await world.accepting.end(world.owner, again.id, "it was reachable after all")
    assert (await world.exposure.summary(world.owner)).accepted == 0
    every = await world.accepting.acceptances(world.owner, every=True)
    assert [a.acceptance.ended_why for a in every] == ["it was reachable after all", "replaced by another one"]
    with pytest.raises(NotFound, match="no such acceptance"):
        await world.accepting.end(world.owner, "ac_none", "why not")


async def test_what_becomes_exploited_is_no_longer_accepted(world: World) -> None:
    await world.accepting.accept(world.owner, world.cve, reason="nobody exploits it", days=30)
    await world.importing.import_file(world.owner, "cisa-kev", kev_file(world.clock, [world.cve]))
    (one,) = await world.accepting.acceptances(world.owner)
    assert (one.standing, one.endpoints) == (Standing.EXPLOITED, None)
    assert (await world.exposure.vulnerability(world.owner, world.cve)).vulnerability.accepted == 0


async def test_what_is_exploited_takes_two_people(world: World) -> None:
    bert = await world.house.add("Bert", "approver", by=world.owner)
    world.house.later()
    await world.importing.import_file(world.owner, "cisa-kev", kev_file(world.clock, [world.cve]))
    asked = await world.accepting.accept(world.owner, world.cve, reason="cut off from everything", days=7)
    assert isinstance(asked, Request)
    assert "known to be exploited" in asked.says[-1]
    assert await world.accepting.acceptances(world.owner) == ()
    same = await world.accepting.accept(world.owner, world.cve, reason="cut off from everything", days=7)
    assert isinstance(same, Request)
    assert same.approval_id == asked.approval_id
    assert await world.house.approve(bert, asked.approval_id) == "done"
    (one,) = await world.accepting.acceptances(world.owner)
    assert (one.acceptance.persons, one.standing, one.endpoints) == (2, Standing.FORCE, 2)
    assert one.acceptance.approved_by == f"{world.owner.name} and {bert.name}"


async def test_terms_move_the_date_and_looser_ones_take_two_people(world: World) -> None:
    await world.importing.import_file(world.owner, "cvss", cvss_file(world.clock, {world.cve: CRITICAL}))
    assert (await world.exposure.vulnerability(world.owner, world.cve)).vulnerability.overdue_days == 0
    world.clock.advance(10 * DAY_S)
    assert await world.accepting.set_terms(world.owner, DEFAULTS._replace(critical=3)) is None
    late = (await world.exposure.vulnerability(world.owner, world.cve)).vulnerability
    assert late.overdue_days == 7
    assert "critical: 3 days" in late.due_why
    assert (await world.exposure.summary(world.owner)).overdue == 1
    assert [v.cve for v in (await world.exposure.vulnerabilities(world.owner, "due:overdue")).items] == [world.cve]
    await world.accepting.accept(world.owner, world.cve, reason="being replaced", days=5)
    assert (await world.exposure.summary(world.owner)).overdue == 0
    asked = await world.accepting.set_terms(world.owner, DEFAULTS._replace(critical=300, two_people=TwoPeople.NEVER))
    assert isinstance(asked, Request)
    assert (await world.accepting.terms(world.owner)).critical == 3


async def test_wrong_input_is_told_and_changes_nothing(world: World) -> None:
    for wrong, match in (
        ({"reason": " ", "days": 5}, "say why"),
        ({"reason": "x", "days": 400}, "1 to 366 days"),
        ({"reason": "x", "days": 5, "filter_text": "colour:red"}, "colour"),
    ):
        with pytest.raises(Invalid, match=match):
            await world.accepting.accept(world.owner, world.cve, **wrong)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="by its id"):
        await world.accepting.accept(world.owner, "curl", reason="x", days=5)
    with pytest.raises(CountMoved, match="2 endpoints"):
        await world.accepting.accept(world.owner, world.cve, reason="x", days=5, expect_count=3)
    with pytest.raises(Invalid, match="number of days"):
        await world.accepting.set_terms(world.owner, DEFAULTS._replace(low=0))
    viewer = await world.house.add("Vera", "viewer", by=world.owner)
    with pytest.raises(Forbidden):
        await world.accepting.accept(viewer, world.cve, reason="x", days=5)
    assert await world.accepting.acceptances(world.owner, every=True) == ()


async def test_a_filter_that_is_no_longer_understood_is_for_nobody(world: World, database: Database) -> None:
    await world.accepting.accept(world.owner, world.cve, reason="x", days=5, filter_text="tag:lab")
    async with database.tenant(world.owner.tenant_id) as conn:
        await conn.execute("UPDATE brakeline.acceptance SET filter = 'colour:red'")
    page = await world.exposure.vulnerabilities(world.owner, "source:curl")
    assert all(v.accepted == 0 for v in page.items)
    assert any("is for nobody: its filter is not understood" in limit for limit in page.limits)


async def test_another_organisation_sees_and_moves_nothing(world: World, database: Database) -> None:
    made = await world.accepting.accept(world.owner, world.cve, reason="x", days=5)
    assert isinstance(made, Acceptance)
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create('te_other', 'other', now())")
    other = system_principal("te_other", "test")
    assert await world.accepting.acceptances(other, every=True) == ()
    with pytest.raises(NotFound):
        await world.accepting.end(other, made.id, "not mine")
    assert (await world.accepting.acceptances(world.owner))[0].standing is Standing.FORCE
