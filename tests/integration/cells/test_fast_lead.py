"""The fast lane over cells: two people where it is led, two in each cell before, never faster than emergency."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.support_cells import Cell, Wire, beats
from tests.support_people import House
from tests.support_rollout import CHANGE, OWNER

from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.rollout import conducting
from brakeline.rollout.conducting import LeadView
from brakeline.rollout.presets import policy_for
from brakeline.rollout.store import rollouts
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import DAY_MS, Request

ENDPOINTS = 24


@dataclass
class World:
    """A cell that conducts itself, a month after its first start."""

    cell: Cell
    house: House
    olga: Principal
    anna: Principal

    async def join(self, fast: bool) -> Request:
        made = await self.cell.cells.invite(self.olga, "berlin", "eu", "https://berlin")
        _, asked = await self.cell.cells.join(self.olga, made.token, fast)
        assert asked is not None
        assert await self.house.approve(self.anna, asked.approval_id) == "done"
        return asked

    async def draft(self, pace: str) -> str:
        made = await self.cell.conducting.create(self.olga, "libssl3", CHANGE, "", (), pace)
        await beats([self.cell], self.cell, 2)
        return made.id

    async def start(self, lead_id: str) -> LeadView | Request:
        return await self.cell.conducting.start(self.olga, lead_id)

    async def view(self, lead_id: str) -> LeadView:
        return await self.cell.conducting.show(self.olga, lead_id)


@pytest.fixture
async def world(database: Database, clock: ManualClock, tmp_path: Path) -> World:
    cell = Cell("berlin", "eu", database, clock, tmp_path / "berlin", Wire())
    await cell.enrol(ENDPOINTS, ("eu",))
    house = House(cell.tenancy, clock)
    link = await cell.tenancy.bootstrap()
    assert link is not None
    assert link.tenant_id == OWNER.tenant_id
    olga = await house.enter_by(link.secret, link.person.email)
    anna = await house.add("Anna", "approver", by=olga)
    house.later(30 * DAY_MS)
    await cell.hear()
    return World(cell, house, olga, anna)


async def test_two_people_start_it_and_its_rings_fit_the_pool(world: World) -> None:
    asked = await world.join(fast=True)
    assert any("fast lane" in s for s in asked.says)
    lead_id = await world.draft("emergency")
    waits = await world.start(lead_id)
    assert isinstance(waits, Request)
    assert "6.25 h instead of 26 h" in waits.says[0]
    await beats([world.cell], world.cell, 3)
    assert (await world.view(lead_id)).state == "draft"
    assert await world.cell.service.list(OWNER) != (), "drafted in the cell, which takes this pace"
    assert await world.house.approve(world.anna, waits.approval_id) == "done"
    await beats([world.cell], world.cell, 4)
    view = await world.view(lead_id)
    assert view.state == "rolling"
    assert view.cells[0].planned == (2,), "the canaries of a pool of 24, not a first ring of a thousand"
    assert len(world.cell.updated()) <= 2


async def test_a_cell_that_has_not_allowed_it_takes_none_of_it(world: World) -> None:
    await world.join(fast=False)
    lead_id = await world.draft("fast")
    link = await world.cell.cells.link(world.olga)
    assert link is not None
    assert "takes no faster pace" in link.trouble
    assert await world.cell.service.list(OWNER) == ()
    assert (await world.view(lead_id)).cells[0].eligible == 0


async def test_an_agreement_is_about_the_lead_as_it_was(world: World) -> None:
    await world.join(fast=True)
    lead_id = await world.draft("fast")
    waits = await world.start(lead_id)
    assert isinstance(waits, Request)
    await world.cell.conducting.brake(world.olga, lead_id)
    with pytest.raises(Overtaken):
        await world.house.approve(world.anna, waits.approval_id)
    assert len(world.cell.updated()) == 0


async def test_a_careful_lead_over_few_endpoints_begins_with_a_few(world: World) -> None:
    await world.join(fast=False)
    lead_id = await world.draft("careful")
    assert isinstance(await world.start(lead_id), LeadView)
    await beats([world.cell], world.cell, 4)
    assert (await world.view(lead_id)).cells[0].planned == (2,)
    assert len(world.cell.updated()) > 0, "no early look and no hours of spread, which are for many"
    (made,) = await world.cell.service.list(OWNER)
    async with world.cell.db.tenant(OWNER.tenant_id) as conn:
        row = await rollouts.get(conn, made.id)
    assert row is not None
    policy = row.policy
    assert (policy.early, policy.spread_s) == (0, 0)


async def test_a_policy_that_is_fitted_is_looked_at_as_when_it_was_drafted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conductor that says careful while it drafts and something faster when it starts."""
    await world.join(fast=False)
    lead_id = await world.draft("careful")
    monkeypatch.setattr(conducting, "fit", lambda lead, size, whole: replace(lead, policy=policy_for(size, "fast")))
    assert isinstance(await world.start(lead_id), LeadView)
    await beats([world.cell], world.cell, 4)
    link = await world.cell.cells.link(world.olga)
    assert link is not None
    assert "takes no faster pace" in link.trouble
    assert len(world.cell.updated()) == 0
    await world.cell.conducting.brake(world.olga, lead_id)
    await beats([world.cell], world.cell, 2)
    (left,) = await world.cell.service.list(OWNER)
    assert left.state == "halted", "whatever it is that it would have been: a stop is always heard"
