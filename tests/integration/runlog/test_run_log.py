"""Run logs on a real database: taken once, bounded, tenants apart; who changed what; what is too old goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.support_rollout import OWNER, PIN, SmallFleet, Twin, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden, NotFound
from brakeline.fleet.decide import Held
from brakeline.fleet.model import CounterState, EndpointIdentity
from brakeline.fleet.sessions import Session
from brakeline.platform.database import Database
from brakeline.protocol.codec import Malformed, decode
from brakeline.protocol.digests import inventory_digest
from brakeline.protocol.messages import Inventory, Offer, Package, RunEntry, RunKind, RunPart
from brakeline.runlog import decide
from brakeline.runlog.service import DAY_MS, Kept, RunLog

KEPT = Kept(run_days=30, run_mib=1024, history_days=400)


@dataclass
class World:
    fleet: SmallFleet
    log: RunLog
    rollout: str
    twin: Twin
    offer: Offer

    @property
    def transaction_id(self) -> str:
        return "tx_" + self.offer.offer_id[3:]

    def part(self, *numbers: int, ended: bool = False, text: str = "line") -> RunPart:
        now = self.fleet.clock.now_ms()
        entries = tuple(RunEntry(n, now, RunKind.OUTPUT, 1, f"{text} {n}") for n in numbers)
        return RunPart(self.transaction_id, self.offer.offer_id, entries, ended, now)


@pytest.fixture
async def world(database: Database, clock: ManualClock, tmp_path: Path) -> World:
    fleet = SmallFleet(database, clock, tmp_path)
    await fleet.enrol(2, ("eu",))
    rollout = await fleet.create(quick_policy(1))
    await fleet.round()
    twin = next(t for t in fleet.twins if t.orders)
    log = RunLog(database, clock, fleet.fleet, fleet.service, KEPT)
    return World(fleet, log, rollout, twin, decode(Offer, twin.orders[0].payload.encode()))


async def test_a_run_is_shown_while_it_goes_on_and_each_entry_is_kept_once(world: World) -> None:
    who, endpoint = world.twin.identity, world.twin.identity.endpoint_id
    began = RunEntry(1, world.fleet.clock.now_ms(), RunKind.COMMAND, 1, argv=("apt-get", "install", "x"))
    assert (await world.log.take(who, replace(world.part(), entries=(began,)))).next == 2
    assert (await world.log.take(who, world.part(2, 3))).next == 4
    assert (await world.log.take(who, world.part(2, 3, 4))).next == 5, "sent again after a lost answer"
    seen = await world.log.run(OWNER, endpoint)
    assert [e.n for e in seen.entries] == [1, 2, 3, 4]
    assert (seen.state, seen.following, seen.run.rollout_id) == ("running", 5, world.rollout)
    assert (seen.commands[0].argv, seen.commands[0].lines) == (("apt-get", "install", "x"), 3)
    assert [e.n for e in (await world.log.run(OWNER, endpoint, world.transaction_id, 4)).entries] == [4]

    idle = next(t.identity.endpoint_id for t in world.fleet.twins if t is not world.twin)
    assert await world.log.last_lines(OWNER, world.rollout, [endpoint, idle]) == {endpoint: "line 4"}
    assert await world.log.last_lines(OWNER, "ro_other", [endpoint]) == {}

    world.fleet.clock.advance(decide.SILENT_MS / 1000 + 1)
    assert (await world.log.run(OWNER, endpoint)).state == "silent"
    await world.log.take(who, world.part(5, ended=True))
    assert (await world.log.run(OWNER, endpoint)).state == "ended"


async def test_an_empty_part_asks_where_the_cell_is(world: World) -> None:
    assert (await world.log.take(world.twin.identity, world.part())).next == 1
    await world.log.take(world.twin.identity, world.part(1, 2))
    assert (await world.log.take(world.twin.identity, world.part())).next == 3


async def test_what_was_lost_on_the_endpoint_is_counted_and_said(world: World) -> None:
    await world.log.take(world.twin.identity, world.part(1, 2, 40))
    seen = await world.log.run(OWNER, world.twin.identity.endpoint_id)
    assert "37 entries were lost" in seen.note


async def test_what_was_offered_to_somebody_else_is_not_kept(world: World) -> None:
    other = next(t.identity for t in world.fleet.twins if t is not world.twin)
    ack = await world.log.take(other, world.part(1))
    assert (ack.closed, ack.next) == (True, 1)
    with pytest.raises(NotFound):
        await world.log.run(OWNER, other.endpoint_id)


async def test_a_log_that_is_too_long_is_closed_and_says_so(world: World) -> None:
    who, number = world.twin.identity, 1
    while True:
        ack = await world.log.take(who, world.part(*range(number, number + 60), text="x" * 990))
        if ack.closed:
            break
        number += 60
    seen = await world.log.run(OWNER, who.endpoint_id)
    assert seen.run.bytes <= decide.SIZE_MAX
    assert "longer than a log may be" in seen.note
    assert (await world.log.take(who, world.part(number + 100))).closed


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1), (0,), (-3,), (1 << 40,)])
async def test_numbers_that_make_no_sense_are_refused(world: World, numbers: tuple[int, ...]) -> None:
    with pytest.raises(Malformed):
        await world.log.take(world.twin.identity, world.part(*numbers))


async def test_organisations_do_not_see_each_other(world: World) -> None:
    await world.log.take(world.twin.identity, world.part(1))
    stranger = replace(OWNER, tenant_id="te_2")
    with pytest.raises(NotFound):
        await world.log.run(stranger, world.twin.identity.endpoint_id)
    foreign = EndpointIdentity("te_2", world.twin.identity.endpoint_id, b"\0" * 32)
    assert (await world.log.take(foreign, world.part(2))).closed, "it was offered to nobody of that organisation"
    with pytest.raises(Forbidden):
        await world.log.run(replace(OWNER, permissions=frozenset({"endpoint.read"})), world.twin.identity.endpoint_id)


async def test_old_logs_and_the_oldest_beyond_the_size_are_forgotten(world: World, database: Database) -> None:
    who, clock = world.twin.identity, world.fleet.clock
    await world.log.take(who, world.part(1, ended=True))
    assert (await world.log.forget([OWNER.tenant_id])).startswith("0 run logs")
    clock.advance(31 * DAY_MS / 1000)
    assert (await world.log.forget([OWNER.tenant_id])).startswith("1 run logs")
    async with database.tenant(OWNER.tenant_id) as conn:
        assert await conn.fetchval("SELECT count(*) FROM brakeline.run_part") == 0
    small = RunLog(database, clock, world.fleet.fleet, world.fleet.service, replace(KEPT, run_mib=0))
    await world.log.take(who, world.part(1))
    assert (await small.forget([OWNER.tenant_id])).startswith("1 run logs")


# --- changes of installed software ---------------------------------------------------------------------------------


class Machine:
    """What an endpoint has, told in full or as differences."""

    def __init__(self, world: World) -> None:
        self.world, self.have, self.sequence = world, dict[str, Package](), 0
        self.session = Session(world.twin.identity, CounterState(), Held())

    async def tell(self, **versions: str) -> None:
        """Package -> version, "" = removed."""
        before = dict(self.have)
        for name, version in versions.items():
            key = f"{name}:amd64"
            self.have.pop(key, None)
            if version:
                self.have[key] = Package(name, "amd64", version, name, version)
        changed = tuple(p for k, p in self.have.items() if before.get(k) != p)
        removed = tuple(sorted(before.keys() - self.have.keys()))
        base, self.sequence = self.sequence, self.sequence + 1
        sent = Inventory(base, self.sequence, inventory_digest(self.have.values()), changed, removed)
        ack = await self.world.fleet.fleet.apply_inventory(self.session, sent)
        assert not ack.resync
        self.world.fleet.clock.advance(60)


async def test_what_changed_and_by_whom(world: World) -> None:
    endpoint = world.twin.identity.endpoint_id
    start = world.fleet.clock.now_ms()
    machine = Machine(world)
    before, after = world.twin.former, PIN.version
    await machine.tell(**{PIN.name: before, "vim": "1", "nano": "1"})
    await world.fleet.round()  # its result arrives
    await machine.tell(**{PIN.name: after, "vim": "2", "nano": "", "curl": "7"})
    story = await world.log.story(OWNER, endpoint, start - 1)
    assert {c.name: (c.kind, c.before, c.after, c.author.rollout_id) for c in story.changes} == {
        PIN.name: ("changed", before, after, world.rollout), "vim": ("changed", "1", "2", ""),
        "nano": ("removed", "1", "", ""), "curl": ("installed", "", "7", ""),
    }  # fmt: skip
    assert any("begins within the span" in line for line in story.told)

    middle = world.fleet.clock.now_ms() - 1
    await machine.tell(vim="3", curl="")
    await machine.tell(vim="2")
    assert (await world.log.story(OWNER, endpoint, middle, net=True)).changes == (
        *[c for c in (await world.log.story(OWNER, endpoint, middle)).changes if c.name == "curl"],
    )
    both = await world.log.story(OWNER, endpoint, start - 1, middle)
    assert {c.name for c in both.changes} == {PIN.name, "vim", "nano", "curl"}, "what came later is not in it"


async def test_history_is_forgotten_by_age_and_an_inventory_sent_twice_is_one_step(world: World) -> None:
    machine = Machine(world)
    await machine.tell(vim="1")
    await machine.tell(vim="2")
    again = Inventory(1, 2, inventory_digest(machine.have.values()), tuple(machine.have.values()), ())
    await world.fleet.fleet.apply_inventory(machine.session, again)
    found = await world.fleet.fleet.history(OWNER, world.twin.identity.endpoint_id)
    assert [(s.sequence, s.first, s.total) for s in found.steps] == [(2, False, 1), (1, True, 0)]
    world.fleet.clock.advance(401 * DAY_MS / 1000)
    assert "2 steps" in await world.log.forget([OWNER.tenant_id])
    story = await world.log.story(OWNER, world.twin.identity.endpoint_id)
    assert (story.changes, story.begins_ms) == ((), 0)
    assert "Nothing is kept" in story.told[0]
