"""New content is told in every fleet at once: each its own, once, whoever hears it, and later where it could not be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support_findings import CVES, World, new_world, write_seed
from tests.support_fleet import OWNER, TENANT, deb

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Unavailable
from brakeline.exposure import store_index
from brakeline.exposure.service import ExposureService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database

NEWS = "CVE-2031-1"


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path) -> World:
    made = await new_world(database, clock, ids, tmp_path)
    clock.advance(60)
    return made


async def arrive(world: World, place: Path) -> None:
    await world.advisories.load_seed(write_seed(place / "more", (*CVES, NEWS), "2026-11-02"))


async def events(database: Database, tenant_id: str) -> list[dict[str, object]]:
    async with database.tenant(tenant_id) as conn:
        rows = await conn.fetch("SELECT data FROM brakeline.event_outbox WHERE kind = 'advisory.arrived'")
    return [json.loads(r["data"]) for r in rows]


async def test_two_processes_that_hear_of_it_write_it_once_and_another_organisation_nothing(
    world: World, database: Database, tmp_path: Path
) -> None:
    mine = world.owner.tenant_id
    foreign = await world.fleet.enrol("foreign", owner=OWNER)
    await world.fleet.inventory(foreign, [deb("bash", "5.2.15-2")])
    beside = ExposureService(database, world.clock, world.fleet.bus, world.fleet.service, world.advisories)
    await beside.hear([mine, TENANT])
    await arrive(world, tmp_path)
    bus = world.fleet.bus
    async with bus.subscribe("finding:*") as messages:
        assert await world.exposure.hear([mine, TENANT]) == "told in 2 of 2 fleets"
        assert [await anext(messages) for _ in range(2)] == [(f"finding:{mine}", ""), (f"finding:{TENANT}", "")]
    assert await world.exposure.hear([mine, TENANT]) == "told in 0 of 2 fleets"
    world.clock.advance(5)  # the other one hears it later
    assert await beside.hear([mine, TENANT]) == "told in 2 of 2 fleets"
    (line,) = await world.exposure.arrivals(world.owner)
    assert (line.cve, line.opened, line.closed, line.sources) == (NEWS, 2, 0, ("curl",))
    assert line.at_ms == world.clock.now_ms() - 5000, "the moment is the content's"
    (event,) = await events(database, mine)
    named = [{"cve": NEWS, "sources": ["curl"], "opened": 2, "patchable": 0, "closed": 0}]
    assert event == {"cves": 1, "named": named}
    assert await world.exposure.arrivals(OWNER) == ()
    assert await events(database, TENANT) == []


async def test_what_two_imports_did_is_told_although_nobody_looked_between_them(world: World, tmp_path: Path) -> None:
    mine = [world.owner.tenant_id]
    await world.exposure.hear(mine)
    await arrive(world, tmp_path)
    await world.exposure.knowledge()  # somebody of another organisation has looked
    await world.advisories.load_seed(write_seed(tmp_path / "third", (*CVES[1:], NEWS, "CVE-2031-2"), "2026-11-03"))
    await world.exposure.hear(mine)
    found = {a.cve: (a.opened, a.closed) for a in await world.exposure.arrivals(world.owner)}
    assert found == {NEWS: (2, 0), "CVE-2031-2": (2, 0), CVES[0]: (0, 2)}


async def test_what_could_not_be_written_down_is_told_by_the_next_who_hears(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = [world.owner.tenant_id]
    await world.exposure.hear(mine)
    await arrive(world, tmp_path)

    async def away(*_: object) -> None:
        raise Unavailable("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(store_index, "save_arrivals", away)
        with pytest.raises(Unavailable):
            await world.exposure.hear(mine)
    assert await world.exposure.arrivals(world.owner) == ()
    assert await world.exposure.hear(mine) == "told in 1 of 1 fleets"
    assert [a.cve for a in await world.exposure.arrivals(world.owner)] == [NEWS]


async def test_an_index_that_is_still_to_be_read_from_inventories_tells_when_it_was(
    world: World, database: Database, tmp_path: Path
) -> None:
    """As after an update of the server, whose rules are others: content must not count as told to an empty index."""
    mine = world.owner.tenant_id
    async with database.tenant(mine) as conn:
        await conn.execute("UPDATE brakeline.exposure_row SET rules = 'those of an older version'")
    anew = ExposureService(database, world.clock, world.fleet.bus, world.fleet.service, world.advisories)
    await anew.hear([mine])
    await arrive(world, tmp_path)
    assert await anew.hear([mine]) == "told in 0 of 1 fleets"
    await anew.reconcile([mine])
    assert [(a.cve, a.opened) for a in await anew.arrivals(world.owner)] == [(NEWS, 2)]


async def test_a_fault_of_one_fleet_keeps_nothing_from_another(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, keep = world.owner.tenant_id, world.exposure._keep
    await world.exposure.hear([mine])
    await arrive(world, tmp_path)

    async def damaged(tenant_id: str) -> object:
        if tenant_id == TENANT:
            raise Unavailable("what was kept of it cannot be read")
        return await keep(tenant_id)

    monkeypatch.setattr(world.exposure, "_keep", damaged)
    with pytest.raises(Unavailable, match="what was kept of it"):
        await world.exposure.hear([TENANT, mine])
    assert [a.cve for a in await world.exposure.arrivals(world.owner)] == [NEWS]


async def test_content_that_is_live_is_told_after_its_commit_and_the_same_once_more_is_not(
    world: World, tmp_path: Path
) -> None:
    heard: list[tuple[str, bool]] = []

    async def told(feed: str) -> None:
        states = {state.feed: state.version for state in await world.advisories.feeds()}
        heard.append((feed, states[feed] == "2026-11-02"))

    world.advisories.on_live = told
    await arrive(world, tmp_path)
    await world.advisories.reload()
    assert heard == [("small", True)]
