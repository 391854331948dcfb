"""FREEZE over six endpoints on a real PostgreSQL: one press, journal first, also while the database is away."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from tests.support_rollout import CHANGE, OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden, Unavailable
from brakeline.platform.database import Database
from brakeline.protocol.messages import CheckIn, Health
from brakeline.rollout.freezing import Freezing
from brakeline.rollout.frozen import Frozen
from brakeline.rollout.journal import BrakeJournal, Freeze
from brakeline.rollout.model import Change, Pin, State
from brakeline.tenancy import audit
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Principal

SECOND = Principal("te_1", "pe_2", "person", "Sven", OWNER.permissions)
REASON = "mail is down everywhere"


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(6)
    return made


async def lift(fleet: SmallFleet) -> None:
    """As one person may in the first week, with nothing but rehearsals under way."""
    assert await fleet.freezing.unfreeze(OWNER, "it was the mirror") is None


async def test_one_press_stops_every_rollout_and_lifting_goes_on_as_planned(fleet: SmallFleet) -> None:
    first = await fleet.create(quick_policy(1, 3))
    other = await fleet.service.create(OWNER, "curl", Change((Pin("curl", "8.0-1"),)), quick_policy(1), _ids(fleet)[:2])
    await fleet.service.start(OWNER, other)
    await fleet.rounds(2)
    offered = fleet.offered()
    assert 1 <= len(offered) <= 2
    ack = await fleet.freezing.freeze(OWNER, REASON)
    assert (ack.state, ack.by, ack.reason) == ("frozen", "Olga", REASON)
    await fleet.rounds(40)  # long enough for every ring, were it not frozen
    assert fleet.offered() == offered
    assert [set(t.halted) for t in fleet.twins] == [{first, other}] * 2 + [{first}] * 4
    for rollout in (first, other):
        view = await fleet.service.show(OWNER, rollout)
        assert view.state == "holding"
        assert "frozen by Olga since" in view.why
        assert REASON in view.why
        (line, *_) = await fleet.service.explain(OWNER, rollout)
        assert (line.gate, line.state) == ("freeze", State.HOLD)
        assert line.text == fleet.frozen.told
        noted = [f.text for f in await fleet.service.lint(OWNER, rollout) if f.rule == "frozen"]
        assert noted == [fleet.frozen.told]
    assert all(r.why.startswith("frozen by Olga") for r in await fleet.service.list(OWNER))
    await lift(fleet)
    await fleet.rounds(150)
    view = await fleet.service.show(OWNER, first)
    assert view.state == "completed", [x.text for x in view.lines]
    assert len(fleet.offered()) == 6
    log = [x.kind for x in (await fleet.service.show(OWNER, first)).log]
    assert (log.count("freeze"), log.count("unfreeze")) == (1, 1)


@pytest.mark.long
async def test_work_that_was_cancelled_on_endpoints_is_offered_again(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(6))
    for t in fleet.twins:
        t.fate = "waits"  # keeps its order in the queue, and drops it when it is told
    await fleet.round()
    waiting = [t for t in fleet.twins if t.queued]
    assert waiting
    await fleet.freezing.freeze(OWNER)
    await fleet.rounds(2)
    assert not [t for t in fleet.twins if t.queued]
    assert fleet.offered() == []
    await lift(fleet)
    for t in fleet.twins:
        t.fate = "good"
    await fleet.rounds(120)
    view = await fleet.service.show(OWNER, rollout)
    assert view.state == "completed", [x.text for x in view.lines]
    assert len(fleet.updated()) == 6


async def test_harm_is_still_found_and_still_halts(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(6))
    for t in fleet.twins:
        t.fate = "postinst"
    fleet.clock.advance(5)
    await fleet.hear()
    for t in fleet.twins[:2]:
        await fleet._exchange(t)
    await fleet.freezing.freeze(OWNER)
    await fleet.rounds(3)  # results of what ran come in
    assert (await fleet.service.show(OWNER, rollout)).state == "halted"


async def test_nothing_is_started_while_it_is_frozen(fleet: SmallFleet) -> None:
    halted = await fleet.create(quick_policy(1))
    await fleet.service.brake(OWNER, halted)
    draft = await fleet.service.create(OWNER, "t", CHANGE, quick_policy(1), _ids(fleet))
    await fleet.freezing.freeze(OWNER, REASON)
    for act in (fleet.service.start(OWNER, draft), fleet.service.resume(OWNER, halted, "false alarm")):
        with pytest.raises(Frozen, match=f"frozen by Olga .*{REASON}"):
            await act
    await fleet.rounds(2)
    assert "frozen by Olga" in (await fleet.service.show(OWNER, draft)).why
    await fleet.service.brake(OWNER, draft)  # narrowing is possible at any time
    await fleet.service.withdraw(OWNER, draft, "no longer wanted")


async def test_pressing_twice_is_harmless_and_another_person_counts(fleet: SmallFleet) -> None:
    first = await fleet.freezing.freeze(OWNER)
    again = await fleet.freezing.freeze(OWNER)
    assert again == first
    size = (fleet.directory / "brake.journal").stat().st_size
    with_reason = await fleet.freezing.freeze(OWNER, REASON)
    assert (with_reason.id, with_reason.reason, with_reason.presses) == (first.id, REASON, 1)
    second = await fleet.freezing.freeze(SECOND, "I want it too")
    assert (second.id, second.by, second.reason, second.presses) == (first.id, "Olga", REASON, 2)
    assert (fleet.directory / "brake.journal").stat().st_size > size
    fleet.new_service()
    assert (fleet.frozen.id, fleet.frozen.presses, fleet.frozen.reason) == (first.id, 2, REASON)
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        entries = await audit.entries_before(conn, None, 10)
    assert [(e.action, e.actor_id) for e in entries if e.action == "freeze.press"] == [
        ("freeze.press", "pe_2"), ("freeze.press", "pe_1"), ("freeze.press", "pe_1"),
    ]  # fmt: skip


async def test_who_may_not_brake_may_not_freeze_and_another_tenant_is_not_concerned(fleet: SmallFleet) -> None:
    viewer = Principal("te_1", "pe_3", "person", "Vera", frozenset({"rollout.read"}))
    with pytest.raises(Forbidden):
        await fleet.freezing.freeze(viewer)
    assert not fleet.freezing.state(viewer).frozen
    await fleet.freezing.freeze(Principal("te_2", "pe_4", "person", "Sam", OWNER.permissions))
    assert not fleet.frozen.frozen
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(60)
    assert (await fleet.service.show(OWNER, rollout)).state == "completed"


async def test_it_is_in_force_after_a_crash_right_after_the_fsync(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(1)
    offered = fleet.offered()
    fleet.service.journal.freeze(OWNER.tenant_id, Freeze("fz_1", "Olga", "pe_1", fleet.clock.now_ms(), REASON))
    fleet.new_service()
    await fleet.service.open()
    await fleet.rounds(40)
    assert fleet.offered() == offered
    assert "frozen by Olga" in (await fleet.service.show(OWNER, rollout)).why
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        entries = await audit.entries_before(conn, None, 10)
    assert (entries[0].action, entries[0].actor_kind, entries[0].actor_id) == ("freeze.press", "person", "pe_1")


async def test_a_crash_while_it_is_lifted_leaves_it_frozen_or_lifted_and_never_half(fleet: SmallFleet) -> None:
    await fleet.freezing.freeze(OWNER)
    before = (fleet.directory / "brake.journal").read_bytes()
    await lift(fleet)
    (fleet.directory / "brake.journal").write_bytes(before)  # the database has it, the journal has it not
    fleet.new_service()
    assert fleet.frozen.frozen, "until the database was asked"
    await fleet.service.open()
    assert not fleet.frozen.frozen
    fleet.new_service()
    assert not fleet.frozen.frozen


async def test_a_lost_journal_is_made_good_from_the_database(fleet: SmallFleet) -> None:
    ack = await fleet.freezing.freeze(OWNER, REASON)
    (fleet.directory / "brake.journal").unlink()
    fleet.new_service()
    await fleet.service.open()
    assert (fleet.frozen.id, fleet.frozen.reason) == (ack.id, REASON)
    fleet.new_service()
    assert fleet.frozen.id == ack.id


async def test_another_process_learns_of_it_within_a_round(fleet: SmallFleet) -> None:
    other = SmallFleet(fleet.db, fleet.clock, fleet.directory / "other")
    await fleet.freezing.freeze(OWNER)
    await other.service.reconcile()
    assert other.frozen.id == fleet.frozen.id
    await lift(fleet)
    await other.service.reconcile()
    assert not other.frozen.frozen


def test_a_torn_line_loses_no_press_before_or_after_it(tmp_path: Path) -> None:
    path = tmp_path / "brake.journal"
    BrakeJournal(path).freeze("te_1", Freeze("fz_1", "Olga", "pe_1", 1))
    whole = path.read_bytes()
    for cut in range(1, len(whole) - 1):
        path.write_bytes(whole[:cut])
        journal = BrakeJournal(path)
        assert journal.frozen("te_1") is None
        journal.freeze("te_1", Freeze("fz_2", "Sven", "pe_2", 2))
        found = BrakeJournal(path).frozen("te_1")
        assert found is not None
        assert found.freeze_id == "fz_2"


def test_garbage_in_the_journal_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "brake.journal"
    BrakeJournal(path).freeze("te_1", Freeze("fz_1", "Olga", "pe_1", 1))
    with path.open("ab") as file:
        for line in (
            b"[]",
            b"3",
            b'"x"',
            b'{"act":"freeze","tenant":"te_1"}',
            b'{"act":"unfreeze","tenant":"te_1"}',
            b"\xff",
            json.dumps({"act": "freeze", "tenant": "te_1", "freeze": "fz_1", "by": 1}).encode(),
        ):
            file.write(line + b"\n")
    found = BrakeJournal(path).frozen("te_1")
    assert found is not None
    assert found.presses == 1


def test_where_the_disk_refuses_it_is_in_force_and_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "brake.journal"
    journal = BrakeJournal(path)
    path.mkdir()
    with pytest.raises(Unavailable, match="cannot be written"):
        journal.freeze("te_1", Freeze("fz_1", "Olga", "pe_1", 1))
    assert journal.pressed("te_1", "ro_any")
    path.rmdir()
    journal.freeze("te_1", Freeze("fz_2", "Olga", "pe_1", 2))  # the next press is written, also of the same person
    found = BrakeJournal(path).frozen("te_1")
    assert found is not None
    assert os.stat(path).st_mode & 0o777 == 0o600


async def test_a_brake_that_the_disk_refuses_is_in_force_and_not_acknowledged(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(1)
    offered, path = fleet.offered(), fleet.directory / "brake.journal"
    path.unlink(missing_ok=True)
    path.mkdir()
    with pytest.raises(Unavailable, match="in force all the same"):
        await fleet.service.brake(OWNER, rollout)
    assert fleet.service.journal.pressed(OWNER.tenant_id, rollout)
    await fleet.rounds(5)
    assert fleet.offered() == offered
    path.rmdir()
    assert (await fleet.service.brake(OWNER, rollout)).state == "halted"
    assert BrakeJournal(path).all_pressed(OWNER.tenant_id) == {rollout: "Olga"}  # the next press was written


async def test_who_presses_while_it_is_lifted_is_not_overruled(fleet: SmallFleet) -> None:
    ack = await fleet.freezing.freeze(OWNER, REASON)
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        await conn.fetchval("SELECT 1 FROM brakeline.freeze WHERE freeze_id = $1 FOR UPDATE", ack.id)
        lifting = asyncio.create_task(fleet.freezing.unfreeze(OWNER, "it was the mirror"))
        while not await conn.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0)
        # as another person's press at that moment
        fleet.service.journal.freeze(OWNER.tenant_id, Freeze("fz_2", "Sven", "pe_2", fleet.clock.now_ms()))
    with pytest.raises(Overtaken):
        await lifting
    assert fleet.frozen.frozen
    await fleet.service.reconcile()
    assert (fleet.frozen.id, fleet.frozen.presses) == (ack.id, 2)
    fleet.new_service()
    assert fleet.frozen.frozen


async def test_a_check_in_while_frozen_needs_no_database(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1, 3))
    await fleet.rounds(1)
    await fleet.freezing.freeze(OWNER)
    await fleet.db.close()
    twin = fleet.twins[0]
    check_in = CheckIn("0.1", 1, "", Health(), in_progress=("of_1",))
    assert await fleet.service.on_check_in(twin.identity, check_in) == ((), (rollout,))
    assert await fleet.service.candidates_for(twin.identity) == ()


def _ids(fleet: SmallFleet) -> list[str]:
    return [t.identity.endpoint_id for t in fleet.twins]


def test_freezing_puts_itself_into_the_service(fleet: SmallFleet) -> None:
    assert isinstance(fleet.service.freezing, Freezing)
