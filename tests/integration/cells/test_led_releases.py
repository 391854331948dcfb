"""A release led over two cells: real services and databases, and the launchers' own verifier at the end of the way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.rollout.test_content_promotion import look
from tests.postgres_clusters import Cluster
from tests.support_cells import Cell, Wire, beats
from tests.support_releases import release_bundle
from tests.support_rollout import OWNER, Twin

from brakeline.cells.model import GRANT_S
from brakeline.core.clock import ManualClock
from brakeline.core.draw import U_END
from brakeline.core.errors import Conflict, Invalid
from brakeline.platform.database import Database
from brakeline.protocol.channels import EARLY, channel_of
from brakeline.releases import ceremony, signing
from brakeline.releases.keyfiles import Public
from brakeline.releases.keys import public_key
from brakeline.rollout.conducting import LeadView
from brakeline.rollout.model import Change
from brakeline.trust.assess import assess
from brakeline.trust.model import ClockReading, Documents, Floors, Who

PRODUCTS = (pytest.param("content", marks=pytest.mark.long), "agent", pytest.param("launcher", marks=pytest.mark.long))
BUNDLE = release_bundle("1.4.0", 14, product="content")


class World:
    """Berlin conducts and takes part, with a root of its own; Dallas' root names Berlin's key as conductor."""

    def __init__(self, cells: list[Cell], wire: Wire) -> None:
        self.cells, self.wire, self.clock = cells, wire, cells[0].clock
        self.berlin, self.dallas = cells
        self.lead = self.release_id = ""

    async def begin(self, bundle: bytes = BUNDLE) -> None:
        """Published in both, drafted, started."""
        for cell in self.cells:
            assert cell.releases is not None
            self.release_id = (await cell.releases.publish(OWNER, bundle)).release_id
        made = await self.berlin.conducting.create(OWNER, "a release", await self.change(), "", (), "rehearsal")
        self.lead = made.id
        await self.beats(2)
        await self.berlin.conducting.start(OWNER, made.id)

    async def change(self) -> Change:
        assert self.berlin.releasing is not None
        return await self.berlin.releasing.change_for(OWNER, self.release_id)

    async def beats(self, count: int) -> None:
        await beats(self.cells, self.berlin, count)
        for cell in self.cells:
            assert cell.releasing is not None
            await cell.releasing.settle()

    async def view(self) -> LeadView:
        return await self.berlin.conducting.show(OWNER, self.lead)

    async def until(self, state: str, most: int = 60) -> None:
        for _ in range(most):
            await self.beats(1)
            if (await self.view()).state == state:
                return
        raise AssertionError(f"not {state}: {(await self.view()).lines}")

    def offered(self, cell: Cell) -> list[Twin]:
        """Whose launcher would take it now."""
        assert cell.releases is not None
        seen = [look(cell.releases, self.clock, t.identity.endpoint_id, t.identity.region) for t in cell.twins]
        return [t for t, x in zip(cell.twins, seen, strict=True) if x.also or x.offered]

    def documents(self, cell: Cell) -> Documents:
        assert cell.releases is not None
        return cell.releases.documents(1, channel_of(OWNER.tenant_id), cell.region, "5e" * 16)


async def name_conductor(cell: Cell, public_hex: str) -> None:
    """The holders of the root of `cell` say who leads releases there (the root's key is a file of this test)."""
    assert cell.releases is not None
    key = Public("conductor", public_key(public_hex))
    made = ceremony.rotation(cell.releases.present(), {"conductor": (key,)}, {}, "", cell.clock.now_ms())
    publisher = cell.releases._publisher
    for signer in publisher.signers(signing.roster_of(cell.releases.root_json()), "root"):
        made = ceremony.sign(made, ["root"], signer)
    await cell.releases.import_metadata(OWNER, made.proposed)


@pytest.fixture
async def world(postgres: Cluster, clock: ManualClock, tmp_path: Path) -> AsyncIterator[World]:
    wire, cells = Wire(), []
    async with AsyncExitStack() as stack:
        for name, region in (("berlin", "eu"), ("dallas", "us")):
            made = await postgres.new_database()
            stack.push_async_callback(postgres.drop, made.name)
            db = await Database.open(made.dsn_app, made.dsn_feed, pool_max=4)
            stack.push_async_callback(db.close)
            cells.append(Cell(name, region, db, clock, tmp_path / name, wire))
        for cell in cells:
            await cell.with_releases()
            await cell.enrol(4, (cell.region,))
            await cell.hear()
            await cell.enlist(cells[0])
        link = await cells[1].cells.link_of(OWNER.tenant_id)
        assert link is not None
        await name_conductor(cells[1], link.conductor_key)
        yield World(cells, wire)


@pytest.mark.parametrize("product", PRODUCTS)
async def test_a_release_goes_through_both_cells_inside_the_conductor_s_grant(world: World, product: str) -> None:
    await world.begin(release_bundle("1.4.0", 14, product=product))
    await world.until("completed")
    await world.beats(2)
    assert [len([t for t in c.twins if t.confirmed]) for c in world.cells] == [4, 4]
    assert [len(world.offered(c)) for c in world.cells] == [4, 4], "whoever was away may take it now"
    (lease,) = world.documents(world.dallas).leases
    said = json.loads(lease)["signed"]["grant"]
    key = public_key(world.berlin.cells.conductor.public_hex)
    assert [s["keyid"] for s in said["signatures"]] == [key.keyid]
    assert (said["signed"]["rollout_id"], said["signed"]["draw_below"]) == (world.lead, U_END)


async def test_nobody_is_leased_a_release_before_the_conductor_opens_or_after_its_grant_ended(world: World) -> None:
    await world.begin()
    await world.beats(3)
    assert world.offered(world.dallas) == [], "berlin opens first"
    await world.until("completed")
    await world.beats(2)
    world.wire.cut.add("berlin")
    for _ in range(GRANT_S // 10 + 1):
        world.clock.advance(10)
    for cell in world.cells:
        assert cell.releasing is not None
        cell.releasing.lease()
    assert [world.documents(c).leases for c in world.cells] == [(), ()]
    world.wire.cut.clear()
    await world.beats(2)
    assert len(world.offered(world.dallas)) == 4


async def test_a_press_in_one_cell_recalls_the_release_in_both(world: World) -> None:
    await world.begin()
    await world.beats(3)
    (rollout,) = await world.berlin.service.list(OWNER)
    await world.berlin.service.brake(OWNER, rollout.id)
    await world.beats(3)
    for cell in world.cells:
        assert cell.releases is not None
        assert cell.releases.recalled() == {world.release_id}
        assert world.offered(cell) == []


async def test_where_the_root_names_a_conductor_elsewhere_nothing_is_promoted_alone(world: World) -> None:
    assert world.dallas.releases is not None
    assert world.dallas.releasing is not None
    made = await world.dallas.releases.publish(OWNER, BUNDLE)
    with pytest.raises(Conflict, match="lead this release there"):
        await world.dallas.releasing.promote(OWNER, made.release_id, pace="rehearsal", start=True)
    with pytest.raises(Conflict, match="lead this release there"):
        await world.dallas.releasing.plan(OWNER, made.release_id)  # said before anybody presses
    assert any("only inside grants" in w for w in world.dallas.releases.status().warnings)


async def test_a_cell_that_has_not_published_the_release_says_so_and_no_ring_opens(world: World) -> None:
    assert world.berlin.releases is not None
    world.release_id = (await world.berlin.releases.publish(OWNER, BUNDLE)).release_id
    made = await world.berlin.conducting.create(OWNER, "content", await world.change(), "", (), "rehearsal")
    await world.beats(2)
    link = await world.dallas.cells.link(OWNER)
    assert link is not None
    assert "no such release" in link.trouble
    await world.berlin.conducting.start(OWNER, made.id)
    await world.beats(6)
    assert [world.documents(c).leases for c in world.cells] == [(), ()]


async def test_a_release_is_led_to_every_endpoint_or_not_at_all(world: World) -> None:
    assert world.berlin.releases is not None
    world.release_id = (await world.berlin.releases.publish(OWNER, BUNDLE)).release_id
    with pytest.raises(Invalid, match="a lease names nobody"):
        await world.berlin.conducting.create(OWNER, "content", await world.change(), "os:debian", (), "rehearsal")


@pytest.mark.long
async def test_a_completed_release_goes_on_under_the_next_conductor_once_roots_name_it(world: World) -> None:
    """Berlin burns down long after the end; Dallas leads on, and its own root names it."""
    await world.begin()
    await world.until("completed")
    await world.beats(2)
    world.wire.cut.add("berlin")
    world.clock.advance(2 * 3600)
    await world.dallas.enlist(world.dallas)
    await name_conductor(world.dallas, world.dallas.cells.conductor.public_hex)
    await beats([world.dallas], world.dallas, 2)
    assert world.documents(world.dallas).leases == ()
    await world.dallas.conducting.take(OWNER, world.lead, "berlin has burnt down")
    await beats([world.dallas], world.dallas, 2)
    assert world.dallas.releasing is not None
    await world.dallas.releasing.settle()
    assert len(world.offered(world.dallas)) == 4


# --- the channel early ---------------------------------------------------------------------------------------------


def follow_early(cell: Cell, count: int) -> set[str]:
    """The first so many endpoints of a cell follow `early`, by its own policies; their ids."""
    early = {t.identity.endpoint_id for t in cell.twins[:count]}

    async def followers(_: str) -> frozenset[str]:
        return frozenset(early)

    assert cell.releasing is not None
    cell.releasing.early.followers = followers
    return early


async def test_a_release_to_early_reaches_those_alone_who_follow_it_in_each_cell(world: World) -> None:
    early = {"berlin": follow_early(world.berlin, 2), "dallas": follow_early(world.dallas, 1)}
    for cell in world.cells:
        assert cell.releases is not None
        world.release_id = (await cell.releases.publish(OWNER, release_bundle("1.4.0", 14))).release_id
    assert world.berlin.releasing is not None
    change = await world.berlin.releasing.change_for(OWNER, world.release_id, EARLY)
    made = await world.berlin.conducting.create(OWNER, "to early", change, "", (), "rehearsal")
    assert made.channel == EARLY
    world.lead = made.id
    await world.beats(2)
    assert {c.cell: c.eligible for c in (await world.view()).cells} == {"berlin": 2, "dallas": 1}
    await world.berlin.conducting.start(OWNER, made.id)
    await world.until("completed")
    await world.beats(2)
    for cell in world.cells:
        assert {t.identity.endpoint_id for t in cell.twins if t.confirmed} == early[cell.name]
        assert world.documents(cell).leases == (), "nothing of it for whoever follows stable"
        assert cell.releases is not None
        documents = cell.releases.documents(1, channel_of(OWNER.tenant_id, EARLY), cell.region, "5e" * 16)
        named = [json.loads(lease)["signed"]["only"] for lease in documents.leases]
        assert sum(map(len, named)) == len(early[cell.name])


async def test_a_cell_that_knows_no_channels_is_granted_nothing_of_early_and_is_named(world: World) -> None:
    follow_early(world.berlin, 2)
    async with world.berlin.db.tenant(OWNER.tenant_id) as conn:
        await conn.execute("UPDATE brakeline.cell_member SET leads = 2 WHERE cell = 'dallas'")
    world.wire.cut.add("dallas")  # as it is heard anew it says what it knows
    assert world.berlin.releases is not None
    assert world.berlin.releasing is not None
    world.release_id = (await world.berlin.releases.publish(OWNER, BUNDLE)).release_id
    change = await world.berlin.releasing.change_for(OWNER, world.release_id, EARLY)
    world.lead = (await world.berlin.conducting.create(OWNER, "to early", change, "", (), "rehearsal")).id
    await world.beats(2)
    assert [c.text for c in (await world.view()).cells if c.cell == "dallas"] == [
        "cell dallas: its version knows no channel early, so it is granted nothing of it; update it, or drain it"
    ]
    with pytest.raises(Invalid, match="nothing else goes to a channel"):
        await world.berlin.conducting.create(OWNER, "x", replace(change, release=None, kind="updates"), "", ())


# --- stolen keys ---------------------------------------------------------------------------------------------------


def believed(world: World, cell: Cell, lease: str) -> int:
    """How many endpoints of a cell would act on this lease, by the verifier that they run."""
    found, documents = 0, world.documents(cell)
    asked = Documents(**{f: getattr(documents, f) for f in Documents.__dataclass_fields__} | {"leases": (lease,)})
    for t in cell.twins:
        channel = channel_of(OWNER.tenant_id)
        who = Who(t.identity.endpoint_id, cell.name, cell.region, channel=channel, also=("content",))
        first = cell.releases.present().roots[0]  # type: ignore[union-attr]
        seen = assess(first, Documents(), asked, who, ClockReading(world.clock.now_ms(), "5e" * 16), Floors())
        found += bool(seen.also)
    return found


def forged(thief: Cell, lease: str, grant: dict[str, Any] | None = None, **changes: Any) -> str:
    """The same lease with other words, signed again by whoever has stolen the key of this cell."""
    assert thief.releases is not None
    said = json.loads(lease)["signed"] | changes | ({"grant": grant} if grant is not None else {})
    return json.dumps(signing.statement(said, thief.releases._signers["cell"]))


async def test_a_stolen_cell_key_widens_nothing(world: World) -> None:
    await world.begin()
    await world.until("completed")
    await world.beats(2)
    (lease,) = world.documents(world.dallas).leases
    assert believed(world, world.dallas, forged(world.dallas, lease)) == 4, "the forgery is one only in its words"
    signed = json.loads(lease)["signed"]
    narrow = signed["grant"]["signed"] | {"draw_below": U_END // 1000}
    sign = world.berlin.cells.conductor
    granted = json.loads(signing.grant_text(narrow, sign.public_hex, sign.sign))
    assert believed(world, world.dallas, forged(world.dallas, lease, granted)) == 0, "wider than granted"
    other = forged(world.dallas, lease, salt=(bytes(32)).hex())
    assert believed(world, world.dallas, other) == 0, "who may choose the salt may choose whom a share reaches"
    assert world.dallas.releases is not None
    own = signing.statement(signed["grant"]["signed"], world.dallas.releases._signers["cell"])
    assert believed(world, world.dallas, forged(world.dallas, lease, own)) == 0, "a grant by the cell's own key"
    for changes in ({"rollout_id": "ld_other"}, {"generation": signed["generation"] + 1}, {"cell": "berlin"}):
        assert believed(world, world.dallas, forged(world.dallas, lease, **changes)) == 0
    world.clock.advance(GRANT_S + 1)
    replayed = forged(world.dallas, lease)
    assert believed(world, world.dallas, replayed) == 0, "the grant has run out"


async def test_a_stolen_conductor_key_opens_only_what_is_signed_and_only_through_a_cell(world: World) -> None:
    await world.begin()
    await world.until("completed")
    await world.beats(2)
    (lease,) = world.documents(world.dallas).leases
    signed = json.loads(lease)["signed"]
    thief = world.berlin.cells.conductor
    evil = signed["release"] | {"sha256": "ab" * 32, "path": "content/9.9.9/any/bundle.tar"}
    granted = json.loads(signing.grant_text(signed["grant"]["signed"] | {"sha256": "ab" * 32}, thief.public_hex,
                                            thief.sign))  # fmt: skip
    assert believed(world, world.dallas, forged(world.dallas, lease, granted, release=evil)) == 0, "nobody signed it"
    alone = signing.grant_text(signed, thief.public_hex, thief.sign)
    assert believed(world, world.dallas, alone) == 0, "a conductor signs no lease"
