"""The conductor is lost: another cell takes its leads over, and the old one, when it is back, opens nothing more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.postgres_clusters import Cluster
from tests.support_cells import Cell, Wire, beats
from tests.support_rollout import CHANGE, OWNER

from brakeline.cells import decide
from brakeline.cells.model import REPORTS_MAX, Exchange, Member, MemberState, Orphan, Stand
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, NotFound
from brakeline.platform.database import Database
from brakeline.rollout.conducting import LeadView
from brakeline.rollout.store import leads

NAMES = (("berlin", "eu"), ("dallas", "us"), ("oslo", "eu"))


class World:
    """Berlin conducts Dallas and Oslo, and takes no part."""

    def __init__(self, cells: list[Cell], wire: Wire) -> None:
        self.wire, self.clock = wire, cells[0].clock
        self.berlin, self.dallas, self.oslo = cells
        self.cells = [self.dallas, self.oslo]
        self.lead = ""

    async def begin(self) -> None:
        made = await self.berlin.conducting.create(OWNER, "libssl3", CHANGE, "", (), "rehearsal")
        self.lead = made.id
        await self.beats(2)
        await self.berlin.conducting.start(OWNER, made.id)
        await self.beats(4)

    async def beats(self, count: int, conductor: Cell | None = None) -> None:
        await beats(self.cells, conductor or self.berlin, count)

    async def lose_berlin(self) -> None:
        self.wire.cut.add("berlin")
        await self.beats(2, self.dallas)

    async def move(self, *cells: Cell) -> None:
        """Two people in each of them let it join Dallas (in the first week one may)."""
        for cell in cells:
            await cell.enlist(self.dallas)

    async def taken(self) -> LeadView:
        await self.beats(1, self.dallas)
        found = await self.dallas.conducting.take(OWNER, self.lead, "berlin has burnt down")
        assert isinstance(found, LeadView)
        return found

    def updated(self) -> list[int]:
        return [len(c.updated()) for c in self.cells]


@pytest.fixture
async def world(postgres: Cluster, clock: ManualClock, tmp_path: Path) -> AsyncIterator[World]:
    wire, cells = Wire(), []
    async with AsyncExitStack() as stack:
        for name, region in NAMES:
            made = await postgres.new_database()
            stack.push_async_callback(postgres.drop, made.name)
            db = await Database.open(made.dsn_app, made.dsn_feed, pool_max=4)
            stack.push_async_callback(db.close)
            cells.append(Cell(name, region, db, clock, tmp_path / name, wire))
        for cell in cells:
            await cell.enrol(4 if cell.name != "berlin" else 1, (cell.region,))
            await cell.hear()
        for cell in cells[1:]:
            await cell.enlist(cells[0])
        yield World(cells, wire)


async def why(cell: Cell) -> str:
    (only,) = await cell.service.list(OWNER)
    return only.why


async def test_another_cell_leads_on_and_ends_what_the_lost_one_began(world: World) -> None:
    await world.begin()
    before = world.updated()
    assert sum(before) == 1
    await world.lose_berlin()
    await world.move(world.dallas, world.oslo)
    await world.beats(3, world.dallas)
    assert world.updated() == before, "cells hold while nobody leads"
    assert "its conductor was left for https://dallas, which has not taken it over yet" in await why(world.oslo)
    (orphan,) = await world.dallas.conducting.taking.orphans(OWNER)
    assert (orphan.id, set(orphan.cells), orphan.why_not) == (world.lead, {"dallas", "oslo"}, "")
    view = await world.taken()
    assert view.state == "holding"
    await world.beats(6, world.dallas)
    assert "paused by Olga" in (await world.dallas.conducting.show(OWNER, world.lead)).why
    assert world.updated() == before, "and until somebody lets it go on"
    assert await world.dallas.conducting.taking.orphans(OWNER) == ()
    await world.dallas.conducting.resume(OWNER, world.lead, "both cells are heard")
    for _ in range(60):
        await world.beats(1, world.dallas)
        if (await world.dallas.conducting.show(OWNER, world.lead)).state == "completed":
            break
    await world.beats(2, world.dallas)
    assert world.updated() == [4, 4], (await world.dallas.conducting.show(OWNER, world.lead)).lines


@pytest.mark.long
async def test_the_old_conductor_sees_that_it_leads_no_more_and_says_so(world: World) -> None:
    await world.begin()
    await world.lose_berlin()
    await world.move(world.dallas, world.oslo)
    await world.taken()
    world.wire.cut.clear()
    world.clock.advance(61)
    await world.beats(3, world.dallas)
    await world.berlin.conducting.reconcile()
    view = await world.berlin.conducting.show(OWNER, world.lead)
    assert "this cell no longer leads" in view.why
    assert "https://dallas (generation 1; here it is 0)" in view.why
    for act in (
        world.berlin.conducting.create(OWNER, "another", CHANGE, "", (), "rehearsal"),
        world.berlin.conducting.resume(OWNER, world.lead, "I am back"),
    ):
        with pytest.raises(Conflict, match="no longer leads"):
            await act
    await world.beats(20, world.berlin)
    assert world.updated() in ([1, 0], [0, 1])


@pytest.mark.long
async def test_a_cell_that_has_not_moved_gets_nothing_more_of_the_old_conductor_once_it_knows(world: World) -> None:
    await world.begin()
    await world.move(world.dallas)
    world.clock.advance(61)
    before = world.updated()
    await world.beats(40)
    assert world.updated() == before
    assert "this cell no longer leads" in await why(world.oslo)


async def test_a_grant_of_the_old_conductor_is_refused_by_its_generation(world: World) -> None:
    """Even if it had the new one's key and the cell's new link: the number alone is enough."""
    await world.begin()
    async with world.oslo.db.tenant(OWNER.tenant_id) as conn:
        kept = await leads.led_by(conn, world.lead)
    assert kept is not None
    await world.lose_berlin()
    await world.move(world.dallas, world.oslo)
    link = await world.oslo.cells.link_of(OWNER.tenant_id)
    assert link is not None
    now_ms = world.clock.now_ms()
    late = replace(kept.grant, link_id=link.link_id, issued_ms=now_ms, expires_ms=now_ms + 60_000, stand=Stand.GO)
    with pytest.raises(decide.Doubt, match="of an older conductor"):
        decide.check_grant(link, late, kept.grant, now_ms)
    decide.check_grant(link, replace(late, generation=link.generation), kept.grant, now_ms)


async def test_a_token_of_the_old_conductor_is_good_for_nothing(world: World) -> None:
    old = await world.berlin.cells.invite(OWNER, "vilnius", "eu", "https://berlin")
    await world.move(world.dallas, world.oslo)
    with pytest.raises(Conflict, match="generation"):
        await world.oslo.cells.join(OWNER, old.token)
    newer = await world.berlin.cells.invite(OWNER, "riga", "eu", "https://berlin", generation=2)
    assert newer.member.generation == 2
    await world.oslo.cells.join(OWNER, newer.token)


async def test_what_was_halted_is_not_taken_over_and_what_nobody_tells_of_is_not_there(world: World) -> None:
    await world.begin()
    (rollout,) = await world.oslo.service.list(OWNER)
    await world.oslo.service.brake(OWNER, rollout.id)
    await world.lose_berlin()
    await world.move(world.dallas, world.oslo)
    await world.beats(1, world.dallas)
    with pytest.raises(Conflict, match="was halted, and stays so"):
        await world.dallas.conducting.take(OWNER, world.lead, "berlin has burnt down")
    with pytest.raises(NotFound):
        await world.dallas.conducting.take(OWNER, "ld_00000000000000000000000000", "no such")


async def test_a_cell_that_tells_of_ever_new_leads_pushes_out_its_own_alone(world: World) -> None:
    cell, others = world.dallas, Orphan("", "x", "", "{}", "{}", 1, Stand.GO)
    async with cell.db.tenant(OWNER.tenant_id) as conn:
        await leads.put_orphan(conn, OWNER.tenant_id, "oslo", replace(others, lead_id="ld_oslo"), 1)
    lying, said = Member("", "dallas", "us", MemberState.JOINED), Exchange("", "dallas", 1, 1, "1", ())
    for n in range(3):
        told = tuple(replace(others, lead_id=f"ld_{n}_{i}") for i in range(REPORTS_MAX))
        world.clock.advance(1)
        await cell.conducting.taking.keep(OWNER.tenant_id, lying, replace(said, orphans=told))
    async with cell.db.tenant(OWNER.tenant_id) as conn:
        kept = await leads.orphans(conn)
    assert "oslo" in kept["ld_oslo"]
    assert sum("dallas" in by for by in kept.values()) == REPORTS_MAX
    assert {lead_id[:5] for lead_id, by in kept.items() if "dallas" in by} == {"ld_2_"}
