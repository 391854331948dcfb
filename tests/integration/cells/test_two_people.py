"""To believe a conductor, and to let a cell take part again, takes two people once an organisation is a week old."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest
from tests.support_cells import Cell, Wire
from tests.support_people import House
from tests.support_rollout import CHANGE, OWNER

from brakeline.cells.base import TOKEN
from brakeline.cells.links import read_token
from brakeline.cells.model import Exchange, GrantedRing, MemberState, Orphan, Stand
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid
from brakeline.platform.database import Database
from brakeline.protocol.codec import encode, encode_sparse
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.presets import policy_for
from brakeline.tenancy.faults import Overtaken, TwoPeople
from brakeline.tenancy.model import READ, Principal
from brakeline.tenancy.two_people import DAY_MS, Request


@dataclass
class World:
    cell: Cell
    house: House
    olga: Principal
    anna: Principal

    async def state(self) -> MemberState:
        (member,) = await self.cell.cells.members(self.olga)
        return member.state

    async def believed(self) -> bool:
        link = await self.cell.cells.link(self.olga)
        assert link is not None
        return not link.isolated

    async def token(self) -> str:
        return (await self.cell.cells.invite(self.olga, "berlin", "eu", "https://berlin")).token


@pytest.fixture
async def world(database: Database, clock: ManualClock, tmp_path: Path) -> World:
    """A cell that conducts itself, with Olga the owner and Anna the approver, a month after the first start."""
    cell = Cell("berlin", "eu", database, clock, tmp_path / "berlin", Wire())
    await cell.enrol(2, ("eu",))
    house = House(cell.tenancy, clock)
    link = await cell.tenancy.bootstrap()
    assert link is not None
    assert link.tenant_id == OWNER.tenant_id
    olga = await house.enter_by(link.secret, link.person.email)
    anna = await house.add("Anna", "approver", by=olga)
    house.later(30 * DAY_MS)
    return World(cell, house, olga, anna)


async def test_a_conductor_is_believed_when_a_second_person_has_agreed(world: World) -> None:
    link, asked = await world.cell.cells.join(world.olga, await world.token())
    assert asked is not None
    assert link.conductor_key[:16] in asked.says[0]
    assert not await world.believed()
    assert await world.cell.linked.reconcile() == "no conductor"  # nothing is told to it, either
    assert await world.house.approve(world.anna, asked.approval_id) == "done"
    assert await world.believed()
    assert await world.cell.linked.reconcile() == "heard"


async def test_an_agreement_about_another_link_is_not_this_one(world: World) -> None:
    _, first = await world.cell.cells.join(world.olga, await world.token())
    assert first is not None
    await world.cell.cells.isolate(world.olga, "berlin", "another token")
    await world.cell.cells.join(world.olga, await world.token())
    with pytest.raises(TwoPeople, match="overtaken"):
        await world.house.approve(world.anna, first.approval_id)
    assert not await world.believed()


async def test_an_agreement_is_about_the_conductor_that_was_shown(world: World) -> None:
    """Whoever makes a token chooses the id of its link: a server of one's own takes it again under the same one."""
    token = await world.token()
    _, asked = await world.cell.cells.join(world.olga, token)
    assert asked is not None
    async with world.cell.db.tenant(OWNER.tenant_id) as conn:  # as if nobody had used it there
        await conn.execute("UPDATE brakeline.cell_member SET state = 'invited', secret_hash = $1",
                           sha256(read_token(token).secret.encode()).digest())  # fmt: skip
    link, again = await world.cell.cells.join(world.olga, token, fast=True)
    assert again is not None
    assert link.link_id == read_token(token).link_id
    with pytest.raises(TwoPeople, match="overtaken"):
        await world.house.approve(world.anna, asked.approval_id)
    assert not await world.believed()


async def test_who_isolates_in_between_is_not_overruled(world: World) -> None:
    _, asked = await world.cell.cells.join(world.olga, await world.token())
    assert asked is not None
    await world.cell.cells.isolate_self(world.olga, "I have looked at that key again")
    with pytest.raises(Overtaken):
        await world.house.approve(world.anna, asked.approval_id)
    assert not await world.believed()


async def test_a_drained_cell_comes_back_by_two_and_goes_by_one(world: World) -> None:
    await world.cell.cells.join(world.olga, await world.token())
    await world.cell.cells.drain(world.olga, "berlin", "moves house")
    assert await world.state() is MemberState.DRAINED
    asked = await world.cell.cells.restore(world.olga, "berlin", "has moved")
    assert isinstance(asked, Request)
    assert await world.state() is MemberState.DRAINED
    assert await world.house.approve(world.anna, asked.approval_id) == "done"
    assert await world.state() is MemberState.JOINED


async def test_who_isolates_a_cell_while_it_is_restored_is_not_overruled(world: World) -> None:
    await world.cell.cells.join(world.olga, await world.token())
    await world.cell.cells.drain(world.olga, "berlin", "moves house")
    asked = await world.cell.cells.restore(world.olga, "berlin", "has moved")
    assert isinstance(asked, Request)
    async with world.cell.db.tenant(OWNER.tenant_id) as conn:
        await conn.execute("UPDATE brakeline.cell_member SET state = 'isolated'")  # as another person does just now
        agreeing = asyncio.create_task(world.house.approve(world.anna, asked.approval_id))
        while not await conn.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") and not agreeing.done():
            await asyncio.sleep(0)
    with pytest.raises(Overtaken):
        await agreeing
    assert await world.state() is MemberState.ISOLATED


async def test_no_token_locks_every_later_conductor_out(world: World) -> None:
    token = replace(read_token(await world.token()), generation=2**40)
    forged = TOKEN + urlsafe_b64encode(encode(token)).decode().rstrip("=")
    with pytest.raises(Conflict, match="could never be led by anybody else"):
        await world.cell.cells.join(world.olga, forged)
    assert await world.cell.cells.link(world.olga) is None


async def test_who_may_only_look_changes_nothing(world: World) -> None:
    viewer = Principal(OWNER.tenant_id, "pe_v", "person", "Vera", READ)
    token = await world.token()
    for act in (
        world.cell.cells.invite(viewer, "oslo", "eu", "https://oslo"),
        world.cell.cells.join(viewer, token),
        world.cell.cells.drain(viewer, "berlin", "x"),
        world.cell.cells.isolate(viewer, "berlin", "x"),
        world.cell.cells.restore(viewer, "berlin", "x"),
        world.cell.cells.isolate_self(viewer, "x"),
    ):
        with pytest.raises(Forbidden):
            await act


# --- a lead of a lost conductor ---------------------------------------------------------------------------------------

LEAD = "ld_01JD0000000000000000000000"
WORDS = (encode_sparse(CHANGE).decode(), encode_sparse(policy_for(20)).decode())
ORPHAN = Orphan(LEAD, "libssl3", "", *WORDS, 7, Stand.GO, (GrantedRing("canary", 60, 1),), size=2, treated=1)


async def tell(world: World, told: Orphan) -> None:
    """As the one cell says it when it has joined."""
    (member,) = await world.cell.cells.members(world.olga)
    said = Exchange(member.link_id, member.cell, 1, 0, "0.1", orphans=(told,))
    await world.cell.conducting.taking.keep(OWNER.tenant_id, member, said)


async def joined(world: World) -> None:
    _, asked = await world.cell.cells.join(world.olga, await world.token())
    assert asked is not None
    assert await world.house.approve(world.anna, asked.approval_id) == "done"


async def test_a_lead_is_taken_over_when_a_second_person_has_agreed_and_is_paused(world: World) -> None:
    await joined(world)
    await tell(world, ORPHAN)
    asked = await world.cell.conducting.take(world.olga, LEAD, "berlin has burnt down")
    assert isinstance(asked, Request)
    assert "cell berlin: 1 treated, 1 granted" in asked.says
    assert await world.cell.conducting.list(world.olga) == ()
    assert await world.house.approve(world.anna, asked.approval_id) == "done"
    (lead,) = await world.cell.conducting.list(world.olga)
    assert (lead.id, lead.state, lead.ring) == (LEAD, "holding", 0)
    assert await world.cell.conducting.taking.orphans(world.olga) == ()


async def test_an_agreement_to_take_over_is_about_the_change_that_was_told(world: World) -> None:
    await joined(world)
    await tell(world, ORPHAN)
    asked = await world.cell.conducting.take(world.olga, LEAD, "berlin has burnt down")
    assert isinstance(asked, Request)
    other = encode_sparse(Change((Pin("another", "1"),))).decode()
    await tell(world, replace(ORPHAN, change=other))  # under the same name and revision
    with pytest.raises(Overtaken):
        await world.house.approve(world.anna, asked.approval_id)
    assert await world.cell.conducting.list(world.olga) == ()


async def test_an_agreement_to_take_over_is_about_what_cells_had_told(world: World) -> None:
    await joined(world)
    await tell(world, ORPHAN)
    asked = await world.cell.conducting.take(world.olga, LEAD, "berlin has burnt down")
    assert isinstance(asked, Request)
    await tell(world, replace(ORPHAN, revision=9))
    with pytest.raises(Overtaken):
        await world.house.approve(world.anna, asked.approval_id)
    assert await world.cell.conducting.list(world.olga) == ()


async def test_who_may_not_widen_takes_nothing_over_and_nobody_does_without_a_reason(world: World) -> None:
    await joined(world)
    await tell(world, ORPHAN)
    with pytest.raises(Forbidden):
        await world.cell.conducting.take(Principal(OWNER.tenant_id, "pe_v", "person", "Vera", READ), LEAD, "x")
    with pytest.raises(Invalid, match="say why"):
        await world.cell.conducting.take(world.olga, LEAD, " ")
