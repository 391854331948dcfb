"""Two regions, each a cell with a database of its own, led by a conductor in one of them: over the real services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.postgres_clusters import Cluster
from tests.support_cells import Cell, Wire, beats
from tests.support_rollout import CHANGE, OWNER

from brakeline.cells.model import GRANT_S, CellBets, Exchange, MemberState, Sent, Signed
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Invalid
from brakeline.platform.database import Database
from brakeline.protocol.codec import decode, encode
from brakeline.protocol.messages import Offer
from brakeline.rollout import place_again, untaken
from brakeline.rollout.conducting import LeadView
from brakeline.rollout.frozen import Frozen
from brakeline.rollout.lint import Severity
from brakeline.rollout.single import Single
from brakeline.rollout.store import arms, offers, rollouts

NAMES = (("berlin", "eu"), ("dallas", "us"))
WAITING = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"  # not of pg_stat_activity: one look a transaction


class World:
    """Berlin conducts and takes part; Dallas takes part."""

    def __init__(self, cells: list[Cell], wire: Wire) -> None:
        self.cells, self.wire, self.clock = cells, wire, cells[0].clock
        self.berlin, self.dallas = cells
        self.lead = ""

    async def begin(self, start: bool = True) -> None:
        made = await self.berlin.conducting.create(OWNER, "libssl3", CHANGE, "", (), "rehearsal")
        self.lead = made.id
        await self.beats(2)
        if start:
            await self.berlin.conducting.start(OWNER, made.id)

    async def beats(self, count: int) -> None:
        await beats(self.cells, self.berlin, count)

    async def view(self) -> LeadView:
        return await self.berlin.conducting.show(OWNER, self.lead)

    async def until(self, state: str, most: int = 50) -> LeadView:
        for _ in range(most):
            await self.beats(1)
            view = await self.view()
            if view.state == state:
                return view
        raise AssertionError(f"not {state} after {most} rounds: {(await self.view()).lines}")

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
            await cell.enrol(4, (cell.region,))
            await cell.hear()
        for cell in cells:
            await cell.enlist(cells[0])
        yield World(cells, wire)


async def why(cell: Cell) -> str:
    """The first line of the one rollout that is led there."""
    (only,) = await cell.service.list(OWNER)
    return only.why


async def test_a_change_goes_through_both_cells_ring_by_ring_and_no_endpoint_s_data_crosses(world: World) -> None:
    await world.begin()
    first = await world.view()
    assert [c.eligible for c in first.cells] == [4, 4]
    await world.until("completed")
    await world.beats(2)
    assert world.updated() == [4, 4]
    text = b"\n".join(body for _, body in world.wire.passed).decode()
    for cell in world.cells:
        for t in cell.twins:
            assert t.identity.endpoint_id not in text
            assert t.hostname not in text
        async with cell.db.tenant(OWNER.tenant_id) as conn:
            draws = await conn.fetch("SELECT u, rollout_id FROM brakeline.rollout_target")
        assert draws
        for r in draws:
            assert str(r["u"]) not in text
            assert r["rollout_id"] not in text
    for word in ("os:debian", "tag:", '"u":', "hostname", "endpoint_id"):
        assert word not in text


async def test_the_first_canary_is_in_one_cell_and_the_other_says_for_what_it_waits(world: World) -> None:
    await world.begin()
    await world.beats(4)
    assert world.updated() == [1, 0]
    assert "has opened nothing to this cell yet" in await why(world.dallas)


async def test_in_a_cell_a_lead_is_a_rollout_like_any_other_to_people(world: World) -> None:
    await world.begin()
    for beats_ in (0, 4):
        await world.beats(beats_)
        for cell in world.cells:
            (rollout,) = await cell.service.list(OWNER)
            view = await cell.service.show(OWNER, rollout.id)
            assert len(view.members) == 4
            assert [x.gate for x in await cell.service.explain(OWNER, rollout.id)].count("conductor") == 1
            found = await cell.service.lint(OWNER, rollout.id)
            assert "alpha-table" in {f.rule for f in found}
            assert [f for f in found if f.severity is Severity.ERROR] == []


async def test_a_press_in_one_cell_stops_the_other_within_two_rounds(world: World) -> None:
    await world.begin()
    await world.beats(4)
    (rollout,) = await world.berlin.service.list(OWNER)
    await world.berlin.service.brake(OWNER, rollout.id)
    await world.beats(2)
    assert (await world.view()).state == "halted"
    (there,) = await world.dallas.service.list(OWNER)
    assert there.state == "halted"
    await world.beats(30)
    assert world.updated() == [1, 0]


@pytest.mark.long
async def test_a_freeze_at_the_conductor_holds_the_lead_everywhere_until_it_is_lifted(world: World) -> None:
    await world.begin()
    await world.beats(2)
    await world.berlin.freezing.freeze(OWNER, "everybody is ill")
    await world.beats(15)
    assert "FREEZE of Olga" in (await world.view()).why
    assert world.updated()[1] == 0
    with pytest.raises(Frozen):
        await world.berlin.conducting.start(OWNER, world.lead)


async def test_a_bad_update_stops_both_after_few(world: World) -> None:
    for t in world.berlin.twins:
        t.fate = "postinst"
    await world.begin()
    await world.beats(30)
    assert (await world.view()).state == "holding"  # one failure in a small ring holds; nobody else gets it
    assert sum(bool(t.applied) for c in world.cells for t in c.twins) == 1


@pytest.mark.long
async def test_a_cell_that_is_cut_off_holds_and_goes_on_by_itself_when_it_is_back(world: World) -> None:
    await world.begin()
    await world.beats(4)
    world.wire.cut.add("dallas")
    await world.beats(GRANT_S // 10 + 20)
    view = await world.view()
    assert "cell dallas: not heard for" in next(x.text for x in view.lines if "cell dallas" in x.text)
    said = await why(world.dallas)
    assert "no grant of the conductor since" in said
    assert "cut off" in said
    assert world.updated()[1] == 0
    world.wire.cut.clear()
    await world.until("completed")
    await world.beats(2)
    assert world.updated() == [4, 4]


async def test_without_its_conductor_nothing_new_starts_and_a_restart_of_it_loses_nothing(world: World) -> None:
    await world.begin()
    await world.beats(4)
    before = world.updated()
    world.wire.cut.add("berlin")  # the link of berlin to itself, too
    await world.beats(GRANT_S // 10 + 4)
    held = world.updated()
    assert held == before
    assert "no grant of the conductor since" in await why(world.berlin)
    world.wire.cut.clear()
    for cell in world.cells:
        cell.open()
    await world.until("completed")
    assert world.updated() == [4, 4]


@pytest.mark.long
async def test_a_cell_that_is_lost_for_good_is_drained_and_the_rest_goes_on(world: World) -> None:
    await world.begin()
    await world.beats(4)
    world.wire.cut.add("dallas")
    await world.beats(30)
    assert (await world.view()).state != "completed"
    with pytest.raises(Invalid):
        await world.berlin.cells.drain(OWNER, "dallas", " ")
    await world.berlin.cells.drain(OWNER, "dallas", "the building is gone")
    await world.until("completed")
    assert world.updated() == [4, 0]


@pytest.mark.long
async def test_a_cell_that_is_killed_while_it_takes_a_grant_goes_on_with_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    async def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(world.dallas.service, "lead_on", killed)
        with pytest.raises(Killed):
            await world.begin(start=False)
    world.dallas.open()
    await world.beats(2)
    (lead,) = await world.berlin.conducting.list(OWNER)
    world.lead = lead.id
    await world.berlin.conducting.start(OWNER, lead.id)
    await world.until("completed")
    await world.beats(1)
    assert world.updated() == [4, 4]
    assert len(await world.dallas.service.list(OWNER)) == 1


async def test_an_isolated_cell_believes_nobody(world: World) -> None:
    await world.begin()
    await world.dallas.cells.isolate_self(OWNER, "the conductor may be in wrong hands")
    await world.beats(30)
    assert world.updated()[1] == 0
    assert "isolated" in await why(world.dallas)


async def test_a_repeated_message_is_refused_and_changes_nothing(world: World) -> None:
    await world.begin()
    body = next(b for who, b in reversed(world.wire.passed) if who == "dallas")
    status, answer = await world.berlin.take("/cell/v1/exchange", body)
    assert (status, b"does not rise" in answer) == (409, True)


async def test_a_cell_cannot_speak_for_another_nor_with_another_key(world: World) -> None:
    sent = decode(Sent, next(b for who, b in reversed(world.wire.passed) if who == "dallas"))
    berlin = await world.berlin.cells.link_of(OWNER.tenant_id)
    assert berlin is not None
    status, answer = await world.berlin.take("/cell/v1/exchange", encode(replace(sent, link_id=berlin.link_id)))
    assert (status, b"not signed by the key" in answer) == (409, True)


@pytest.mark.long
async def test_a_cell_that_reports_what_cannot_be_is_doubted_until_a_person_has_looked(world: World) -> None:
    await world.begin()
    await world.beats(4)

    def lie(caller: str, body: bytes) -> bytes:
        if caller != "dallas":
            return body
        sent = decode(Sent, body)
        said = decode(Exchange, sent.message.payload.encode())
        reports = tuple(replace(r, revision=0, ring=-1, eligible=-5) for r in said.reports)
        payload = encode(replace(said, reports=reports))
        signature = world.dallas.cell.sign(b"brakeline-cell-exchange-v1\n" + payload).hex()
        return encode(replace(sent, message=Signed(payload.decode(), signature)))

    world.wire.bend = lie
    await world.beats(2)
    (member,) = [m for m in await world.berlin.cells.members(OWNER) if m.cell == "dallas"]
    assert "negative or absurdly high" in member.doubt
    assert any("not believed any more" in x.text for x in (await world.view()).lines)
    world.wire.bend = lambda _, body: body
    await world.beats(40)
    assert world.updated()[1] == 0  # what it says is the truth again, and nobody has looked
    await world.berlin.cells.restore(OWNER, "dallas", "it was a test")
    await world.until("completed")
    assert world.updated() == [4, 4]


async def test_a_cell_cannot_keep_others_from_being_judged_by_bets_that_do_not_add_up(world: World) -> None:
    await world.begin()
    await world.beats(2)

    def lie(caller: str, body: bytes) -> bytes:
        if caller != "dallas":
            return body
        sent = decode(Sent, body)
        said = decode(Exchange, sent.message.payload.encode())
        bets = tuple(CellBets("silent", 0, "all", 0, (0.1,) * n) for n in (6, 5))
        payload = encode(replace(said, reports=tuple(replace(r, bets=bets) for r in said.reports)))
        signature = world.dallas.cell.sign(b"brakeline-cell-exchange-v1\n" + payload).hex()
        return encode(replace(sent, message=Signed(payload.decode(), signature)))

    world.wire.bend = lie
    await world.beats(2)
    (member,) = [m for m in await world.berlin.cells.members(OWNER) if m.cell == "dallas"]
    assert "more or fewer bets than a signal has" in member.doubt
    await world.berlin.conducting.reconcile()  # a step of this lead, and of those of everybody else


@pytest.mark.long
async def test_a_clock_that_is_wrong_holds_and_says_so(world: World) -> None:
    await world.begin()
    await world.beats(4)
    right = world.dallas.clock

    class Ahead(ManualClock):
        def now_ms(self) -> int:
            return right.now_ms() + 90_000

    world.dallas.clock = Ahead()
    world.dallas.open()
    await world.beats(20)
    (member,) = [m for m in await world.berlin.cells.members(OWNER) if m.cell == "dallas"]
    assert member.skew_ms == 90_000
    link = await world.dallas.cells.link(OWNER)
    assert link is not None
    assert "90 s apart" in link.trouble
    assert (await world.view()).ring < 2  # it may have opened before the minute was over that makes a cell lost
    assert world.updated()[1] == 0


async def test_a_join_token_is_good_once(world: World) -> None:
    made = await world.berlin.cells.invite(OWNER, "oslo", "eu", "https://berlin")
    await world.dallas.cells.join(OWNER, made.token)
    with pytest.raises(Exception, match="was used, has run out or is none of ours"):
        await world.dallas.cells.join(OWNER, made.token)
    states = {m.cell: m.state for m in await world.berlin.cells.members(OWNER)}
    assert states["oslo"] is MemberState.JOINED


@pytest.mark.long
async def test_who_is_concerned_too_late_is_left_alone_and_no_draft_stays_behind(world: World) -> None:
    """At first nobody in Dallas; then, when the last ring is open, everybody: there is no ring for them any more."""
    made = await world.berlin.conducting.create(OWNER, "libssl3", CHANGE, "os:debian", (), "rehearsal")
    world.lead = made.id
    await other_os(world.dallas, "ubuntu")
    await world.beats(2)
    await world.berlin.conducting.start(OWNER, made.id)
    for _ in range(50):
        await world.beats(1)
        if (await world.view()).ring == len((await world.view()).rings) - 1 and world.updated()[0] == 4:
            break
    await other_os(world.dallas, "debian")
    await world.beats(1)
    assert (await world.dallas.service.list(OWNER))[0].state == "holding"
    await world.until("completed")
    await world.beats(2)
    (left,) = await world.dallas.service.list(OWNER)
    assert (left.state, left.why.partition(": ")[2]) == (
        "withdrawn", "it has completed without this cell: it had no ring here"
    )  # fmt: skip
    assert "lead it again for them" in next(c.text for c in (await world.view()).cells if c.cell == "dallas")
    assert world.updated() == [4, 0]
    again = await world.berlin.conducting.create(OWNER, "again", CHANGE, "os:debian", ("dallas",), "rehearsal")
    await world.beats(2)
    await world.berlin.conducting.start(OWNER, again.id)
    world.lead = again.id
    await world.until("completed")
    assert world.updated() == [4, 4], "nothing that was left behind bars them"


@pytest.mark.long
async def test_who_comes_when_all_is_done_gets_no_draft(world: World) -> None:
    made = await world.berlin.conducting.create(OWNER, "libssl3", CHANGE, "os:debian", (), "rehearsal")
    world.lead = made.id
    await other_os(world.dallas, "ubuntu")
    await world.beats(2)
    await world.berlin.conducting.start(OWNER, made.id)
    await world.until("completed")
    await other_os(world.dallas, "debian")
    await world.beats(3)
    assert await world.dallas.service.list(OWNER) == ()
    assert "concerned nobody there while there were rings to plan" in next(
        c.text for c in (await world.view()).cells if c.cell == "dallas"
    )


async def other_os(cell: Cell, os_id: str) -> None:
    async with cell.db.tenant(OWNER.tenant_id) as conn:
        await conn.execute("UPDATE brakeline.endpoint SET os_id = $1", os_id)


async def test_only_a_small_rehearsal_is_fast(world: World) -> None:
    for cell in world.cells:
        await cell.enrol(8, (cell.region,))
        await cell.hear()
    await world.begin(start=False)
    with pytest.raises(
        Invalid, match="a rehearsal is for 20 endpoints in an organisation's first week; this one has 24"
    ):
        await world.berlin.conducting.start(OWNER, world.lead)


@pytest.mark.long
async def test_a_cell_takes_no_fast_pace_for_many_whatever_is_signed(world: World) -> None:
    await world.dallas.enrol(20, ("us",))
    await world.dallas.hear()
    await world.begin()
    await world.beats(30)
    assert await world.dallas.service.list(OWNER) == ()
    assert world.updated() == [0, 0]  # and no ring opens without it
    told = next(x.text for x in (await world.view()).lines if "cell dallas" in x.text)
    assert "has told nothing of this yet" in told
    link = await world.dallas.cells.link(OWNER)
    assert link is not None
    assert "takes no faster pace from a conductor" in link.trouble


async def test_nobody_is_offered_it_again_without_a_grant_though_no_step_has_closed_anything(world: World) -> None:
    """A gate closes by itself when its grant ends; another offer to who has the change must, too."""
    for cell in world.cells:
        for t in cell.twins:
            t.fate = "wedged"
    await world.begin()
    await world.beats(3)
    (cell,) = [c for c in world.cells if any(t.orders for t in c.twins)]
    (canary,) = [t for t in cell.twins if t.orders]
    offer = decode(Offer, canary.orders[0].payload.encode())
    async with cell.db.tenant(OWNER.tenant_id) as conn:
        await offers.close(conn, [offer.offer_id], "expired", world.clock.now_ms())
        await arms.expire(conn, offer.rollout_id, offer.endpoint_id, untaken.NO_WORD, "", world.clock.now_ms())

    async def orders() -> int:
        candidates = await cell.service.candidates_for(canary.identity)
        got, _ = await cell.service.on_check_in(canary.identity, cell.check_in(canary, candidates), canary.boot_id)
        return len(got)

    world.clock.advance(GRANT_S + 1)
    assert await orders() == 0
    await cell.linked.reconcile()
    assert await orders() == 1


@pytest.mark.long
async def test_who_gave_its_place_gets_it_back_by_a_retry_only_where_the_conductor_has_granted_one(
    world: World,
) -> None:
    await world.begin()
    for cell in world.cells:
        for t in cell.twins:
            t.fate = "limits"
    while not (gave := [(c, t) for c in world.cells for t in c.twins if t.orders]):
        await world.beats(1)
    ((cell, canary),) = gave
    for t in (t for c in world.cells for t in c.twins):
        t.fate = "limits" if t is canary else "good"
    while not any(t.applied for t in cell.twins):
        await world.beats(1)
    (rollout,) = await cell.service.list(OWNER)
    canary.fate = "good"
    await Single(cell.service).retry(OWNER, rollout.id, canary.identity.endpoint_id, "its root lets it by now")
    await world.beats(2)
    assert (len(cell.updated()), canary.applied) == (1, []), "one was granted, and another has that place"
    (seen,) = [m for m in (await cell.service.show(OWNER, rollout.id)).members
               if m.endpoint_id == canary.identity.endpoint_id]  # fmt: skip
    assert "gave its place to another" in seen.note
    view = await world.until("completed")
    assert all(c.ok for c in view.cells), "nobody is doubted for it"


async def test_two_who_come_back_at_the_same_moment_do_not_get_one_place(world: World) -> None:
    """Also where no gate is open that one of them would have to wait for: in a hold they are all closed."""
    await world.begin()
    while not (found := [(c, t) for c in world.cells for t in c.twins if t.orders]):
        await world.beats(1)
    ((cell, canary),) = found
    (rollout,) = await cell.service.list(OWNER)
    async with cell.db.tenant(OWNER.tenant_id) as conn:
        await arms.set_aside(conn, rollout.id, [canary.identity.endpoint_id], world.clock.now_ms())
    answered: list[bool] = []

    async def comes_back() -> None:
        async with cell.db.tenant(OWNER.tenant_id) as conn:
            row = await rollouts.lock(conn, rollout.id, change=False)
            assert row is not None
            held = replace(row, blueprint=replace(row.blueprint, gates=()))
            place = await place_again.for_one(conn, held, cell.region, 1, world.clock.now_ms())
            answered.append(place.free)
            while len(answered) < 2 and not await conn.fetchval(WAITING):
                await asyncio.sleep(0.01)
            if place.free:
                await conn.execute("UPDATE brakeline.rollout_subject SET set_aside_at = NULL")

    await asyncio.gather(comes_back(), comes_back())
    assert answered == [True, False]
