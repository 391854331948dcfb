"""Updates on a real database: what each closes, where it is held back, and the same rows as files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_feeds import kev_file
from tests.support_findings import CURL, CVES, FIXED, OLD, World, new_world
from tests.support_fleet import deb, update

from brakeline.console.present_updates import updates_view
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Invalid, NotFound
from brakeline.exposure.model import FindingState
from brakeline.exposure.updates import UpdatePage, Updates
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.managers import found_label
from brakeline.protocol.messages import UpdateState
from brakeline.tenancy.model import system_principal

OLDER = "1-0"  # than every fix
LIBS = [*CURL, deb("libcurl4", OLD, "curl")]


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    return await new_world(database, clock, ids, tmp_path)


async def test_an_update_says_what_it_closes_and_where_it_is_held_back(world: World) -> None:
    updates = Updates(world.fleet.service, world.exposure)
    held = update("curl", OLD, FIXED, state=UpdateState.HELD, reason="held by the administrator")
    await world.fleet.inventory(world.lab, LIBS, [update("curl", OLD, FIXED), update("libcurl4", OLD, FIXED)])
    await world.fleet.inventory(world.office, [*CURL, deb("bash", "5.1-1")], [held, update("bash", "5.1-1", "5.2-1")])
    await world.importing.import_file(world.owner, "cisa-kev", kev_file(world.clock, [CVES[1]]))
    found = {u.update.name: u for u in (await updates.pending(world.owner)).items}
    assert list(found) == ["curl", "libcurl4", "bash"]
    curl, lib, bash = found.values()
    assert (curl.closes, curl.kev, curl.endpoints, curl.held, curl.worst) == (len(CVES), 1, 1, len(CVES), "act")
    assert (curl.update.source, curl.update.endpoints, curl.update.available) == ("curl", 2, 1)
    assert (lib.closes, lib.update.source) == (len(CVES), "curl")
    assert (bash.closes, bash.worst) == (0, "")
    detail = await updates.show(world.owner, "curl")
    assert (detail.total, detail.closes[0].cve) == (len(CVES), CVES[1])
    assert [(e.hostname, e.state, e.reason) for e in detail.endpoints] == [
        ("office1", "held", "held by the administrator"), ("lab1", "available", ""),
    ]  # fmt: skip
    with pytest.raises(NotFound, match="no endpoint has an update of it pending"):
        await updates.show(world.owner, "cur")


async def test_what_is_most_urgent_is_found_among_all_however_few_have_it(world: World) -> None:
    updates = Updates(world.fleet.service, world.exposure)
    many = [(deb(f"a{n}", "1"), update(f"a{n}", "1", "2", security=True)) for n in range(30)]
    for endpoint in (world.lab, world.office):
        await world.fleet.inventory(endpoint, [one for one, _ in many], [one for _, one in many])
    here = [*CURL, *(one for one, _ in many)]
    pending = [update("curl", OLD, FIXED, security=False), *(one for _, one in many)]
    await world.fleet.inventory(world.lab, here, pending)
    page = await updates.pending(world.owner, limit=3)
    assert ([u.update.name for u in page.items], page.total, page.known) == (["curl", "a0", "a1"], 31, 31)
    for query, names in (("closes:yes", ["curl"]), ("security:no", ["curl"]), ("priority:none a29", ["a29"]),
                         ("held:yes", []), ("source:curl kev:no", ["curl"]), ("CUR", ["curl"])):  # fmt: skip
        found = await updates.pending(world.owner, query)
        assert ([u.update.name for u in found.items], found.known) == (names, 31)
    with pytest.raises(Invalid, match="unknown key 'prio'; did you mean 'priority'"):
        await updates.pending(world.owner, "prio:act")


async def test_where_not_all_are_listed_it_says_so_and_how_to_find_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates = Updates(world.fleet.service, world.exposure)
    pending = [update("curl", OLD, FIXED), update("bash", "5.1-1", "5.2-1")]
    await world.fleet.inventory(world.lab, [*CURL, deb("bash", "5.1-1")], pending)
    assert (await updates.pending(world.owner)).cut == ""
    monkeypatch.setattr("brakeline.exposure.updates.UPDATES_MAX", 1)
    cut = await updates.pending(world.owner)
    assert (len(cut.items), "brakeline update show NAME" in cut.cut) == (1, True)
    assert cut.cut in updates_view(cut, "").note


async def test_figures_and_page_agree_that_no_update_reaches_an_image(world: World) -> None:
    """The same source in an image, older than the system's: judged, and closed by no update of the system's manager."""
    image = replace(deb("curl", OLDER), architecture=found_label("deb", "/image"), where="image-1")
    await world.fleet.inventory(world.lab, [*CURL, image], [update("curl", OLD, FIXED)])
    page = (await world.exposure.findings(world.owner, world.lab)).findings
    states = {v.finding.version: {w.state for w in page if w.finding.version == v.finding.version} for v in page}
    assert states == {OLD: {FindingState.FIXABLE}, OLDER: {FindingState.NOT_OFFERED}}
    counts = (await world.exposure.counts(world.owner))[world.lab]
    assert counts.fixable == len({f.finding.cve for f in page if f.state is FindingState.FIXABLE})
    worst = {f.finding.cve: f.state.value for f in page if f.state is not FindingState.FIXABLE}
    listed = {v.cve: v.states for v in (await world.exposure.every(world.owner, "source:curl"))[0]}
    assert worst.keys() == set(CVES)
    assert all(listed[cve].get("not_offered") for cve in CVES)


async def test_another_organisation_has_updates_of_its_own(world: World, database: Database) -> None:
    await world.fleet.inventory(world.lab, CURL, [update("curl", OLD, FIXED)])
    async with database.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create('te_other', 'other', now())")
    updates, other = Updates(world.fleet.service, world.exposure), system_principal("te_other", "test")
    assert await updates.pending(other) == UpdatePage((), 0, 0)
    with pytest.raises(NotFound):
        await updates.show(other, "curl")


async def test_files_have_the_rows_of_the_list(world: World) -> None:
    await world.accepting.accept(world.owner, world.cve, reason="x", days=5)
    every, limits = await world.exposure.every(world.owner)
    page = await world.exposure.vulnerabilities(world.owner, limit=500)
    assert tuple(every) == page.items
    assert limits == page.limits
    only, _ = await world.exposure.every(world.owner, "accepted:yes")
    assert [v.cve for v in only] == [world.cve]
    assert json.dumps(only[0].states)
