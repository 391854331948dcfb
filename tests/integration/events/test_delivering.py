"""Events to real receivers: killed before they answer, away for long, at private addresses; nothing is lost."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support_people import House, new_house
from tools.ports import free_port

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound
from brakeline.events import outbox
from brakeline.events.decide import TRIES_MAX, networks_of, signature
from brakeline.events.delivering import BATCH, KEPT_MS, Delivering
from brakeline.events.service import Events
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy.model import Principal, system_principal

KEY = b"the server's own"
RECEIVER = Path(__file__).with_name("receiver.py")


@dataclass
class World:
    """One organisation, its events, and a place for receivers."""

    db: Database
    clock: ManualClock
    house: House
    owner: Principal
    delivering: Delivering
    events: Events
    place: Path
    running: list[subprocess.Popen[str]]
    port: int

    @property
    def tenant(self) -> str:
        return self.owner.tenant_id

    def receiver(self, mode: str = "answer") -> subprocess.Popen[str]:
        """Start it; it answers when this returns."""
        words = [sys.executable, str(RECEIVER), str(self.port), str(self.place / "log"), mode]
        started = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.running.append(started)
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        return started

    def received(self) -> list[dict[str, Any]]:
        log = self.place / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def ids(self) -> list[str]:
        return [json.loads(r["body"])["id"] for r in self.received()]

    async def happen(self, *kinds: str) -> None:
        async with self.db.tenant(self.tenant) as conn:
            for kind in kinds:
                await outbox.emit(conn, self.tenant, kind, "x_1", {"n": kind}, self.clock.now_ms())

    async def turn(self) -> int:
        await self.delivering.number(self.tenant)
        return await self.delivering.deliver(self.tenant)

    async def sink(self) -> Any:
        (view,) = await self.events.sinks(self.owner)
        return view


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for one in started:
        one.kill()
        one.wait()


@pytest.fixture
async def world(
    database: Database, clock: ManualClock, ids: IdMaker, tmp_path: Path, running: list[subprocess.Popen[str]]
) -> World:
    house, owner = await new_house(database, clock, ids)

    async def tenants() -> list[str]:
        return [owner.tenant_id]

    delivering = Delivering(database, clock, tenants, KEY, "cell-1", networks_of(["127.0.0.0/8"]), patience_s=60)
    events = Events(database, clock, ids, delivering, KEY)
    port = free_port()
    await delivering.number(owner.tenant_id)
    return World(database, clock, house, owner, delivering, events, tmp_path, running, port)


@pytest.fixture
async def hooked(world: World) -> tuple[World, str]:
    made = await world.events.add(world.owner, "siem", f"http://127.0.0.1:{world.port}/in?x=1", ["test.*"])
    return world, made.key


async def test_a_receiver_that_is_killed_before_it_answers_gets_it_again_and_loses_nothing(
    hooked: tuple[World, str],
) -> None:
    world, key = hooked
    hangs = world.receiver("hang")
    await world.happen("test.a", "other.b", "test.c")
    going = asyncio.create_task(world.turn())
    while not world.received():
        await asyncio.sleep(0.02)
    hangs.kill()  # it has written it down, and never answers
    hangs.wait()
    assert await going == 0
    view = await world.sink()
    assert (view.sink.tries, view.dead) == (1, 0)
    assert "127.0.0.1 does not answer" in view.sink.problem
    world.receiver()
    assert await world.turn() == 0  # not yet again
    world.clock.advance(10)
    assert await world.turn() == 2
    first, again, last = world.received()
    assert world.ids()[0] == world.ids()[1] != world.ids()[2]
    assert [json.loads(r["body"])["kind"] for r in (first, again, last)] == ["test.a", "test.a", "test.c"]
    assert again["path"] == "/in?x=1"
    stamp, body = int(again["headers"]["Brakeline-Timestamp"]), again["body"].encode()
    assert again["headers"]["Brakeline-Signature"] == signature(key, stamp, body)
    view = await world.sink()
    assert (view.sink.tries, view.sink.problem, view.behind) == (0, "", 0)


async def test_what_a_crash_cuts_off_before_it_is_noted_is_delivered_again(hooked: tuple[World, str]) -> None:
    world, _ = hooked
    world.receiver()
    await world.happen("test.a")
    await world.delivering.number(world.tenant)
    (event, *_) = [e for e in await world.events.after(world.owner, 0, 500) if e.kind == "test.a"]
    await world.delivering.send((await world.sink()).sink, event)  # answered, and then this process is gone
    assert await world.turn() == 1
    assert world.ids() == [event.id, event.id]


async def test_what_is_given_up_is_a_dead_letter_that_people_see_and_can_send_again(hooked: tuple[World, str]) -> None:
    world, _ = hooked
    refuses = world.receiver("refuse")
    await world.happen("test.a", "test.b")
    for _ in range(TRIES_MAX):
        assert await world.turn() == 0
        world.clock.advance(4500)
    view = await world.sink()
    assert (view.dead, view.sink.tries) == (1, 1)  # and the next one has its own tries
    (letter,) = await world.events.dead(world.owner, view.sink.id)
    assert letter.event is not None
    assert (letter.event.kind, letter.tries, letter.problem) == ("test.a", TRIES_MAX, "127.0.0.1 answers 500")
    assert await world.events.replay(world.owner, view.sink.id) == (0, "127.0.0.1 answers 500")
    refuses.kill()
    refuses.wait()
    world.receiver()
    assert await world.turn() == 1
    assert await world.events.replay(world.owner, view.sink.id) == (1, "")
    assert (await world.sink()).dead == 0
    assert world.ids()[-1] == letter.event.id


async def test_a_redirect_is_not_followed(hooked: tuple[World, str]) -> None:
    world, _ = hooked
    world.receiver("moved")
    await world.happen("test.a")
    assert await world.turn() == 0
    assert "answers 302; redirects are not followed" in (await world.sink()).sink.problem
    assert [r["path"] for r in world.received()] == ["/in?x=1"]


async def test_nothing_is_sent_to_a_private_address_that_settings_do_not_name(world: World) -> None:
    world.receiver()
    guarded = Delivering(world.db, world.clock, world.delivering._tenants, KEY, "cell-1")
    for name in (f"http://localhost:{world.port}/", f"https://127.0.0.1:{world.port}/"):
        made = await world.events.add(world.owner, name, name, ["test.*"])
        await world.happen("test.a")
        await guarded.number(world.tenant)
        assert await guarded.deliver(world.tenant) == 0
        problem = next(v.sink.problem for v in await world.events.sinks(world.owner) if v.sink.id == made.sink.id)
        assert "no public address" in problem
    assert world.received() == []


async def test_a_slow_receiver_holds_nobody_up_and_two_processes_deliver_once(hooked: tuple[World, str]) -> None:
    world, _ = hooked
    world.receiver()
    other = Delivering(
        world.db, world.clock, world.delivering._tenants, KEY, "cell-1", networks_of(["127.0.0.0/8"]), patience_s=60
    )
    await world.happen("test.a", "test.b", "test.c")
    await world.delivering.number(world.tenant)
    done = await asyncio.gather(world.delivering.deliver(world.tenant), other.deliver(world.tenant))
    assert sorted(done) == [0, 3]
    assert len(world.ids()) == len(set(world.ids())) == 3


async def test_a_receiver_that_hangs_holds_up_neither_the_others_nor_the_next_run(hooked: tuple[World, str]) -> None:
    world, _ = hooked
    world.receiver()
    asked = list[bytes]()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1))
        await reader.read()  # until the other end has enough of it
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    await world.events.add(world.owner, "slow", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", ["test.*"])
    for n, kind in enumerate(("test.a", "test.b"), 1):
        await world.happen(kind)
        told = await world.delivering.reconcile()
        assert "1 delivered, 1 receivers take their time" in told, (n, told)
    assert [json.loads(r["body"])["kind"] for r in world.received()] == ["test.a", "test.b"]
    assert len(asked) == 1, "it has one turn at a time"
    await world.delivering.close()
    async with world.db.tenant(world.tenant) as conn:
        held = await conn.fetchval("SELECT count(*) FROM brakeline.event_sink WHERE leased IS NOT NULL")
    assert held == 0, "and gives its lease back"
    server.close()


async def test_syslog_with_cef_over_tcp(world: World) -> None:
    got = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = await world.events.add(world.owner, "log", f"syslog+tcp://127.0.0.1:{port}", ["risk.*", "test.*"])
    assert made.key == ""
    await world.happen("test.a")
    assert await world.turn() == 1
    length, _, message = (await got).partition(b" ")
    assert int(length) == len(message)
    assert b"CEF:0|Brakeline|Brakeline|" in message
    assert f'id="{world.tenant}-'.encode() in message
    server.close()


async def test_the_audit_log_is_in_the_stream_once_and_numbers_have_no_gap(world: World) -> None:
    await world.house.add("Bert", "approver", by=world.owner)
    await world.happen(*["test.n"] * 3)
    await asyncio.gather(*(world.delivering.number(world.tenant) for _ in range(4)))
    found = await world.events.after(world.owner, 0, 500)
    assert [e.sequence for e in found] == list(range(1, len(found) + 1))
    audited = [e.data["audit_sequence"] for e in found if "audit_sequence" in e.data]
    assert audited == sorted(set(audited))
    assert {"person.add", "test.n"} <= {e.kind for e in found}
    assert sum(e.kind == "test.n" for e in found) == 3
    added = next(e for e in found if e.kind == "person.add")
    assert (added.data["who"], added.data["after"]["roles"]) == (world.owner.name, ["approver"])


async def test_what_is_not_kept_any_more_is_told_to_who_was_behind(hooked: tuple[World, str]) -> None:
    world, _ = hooked
    await world.happen(*["test.a"] * 3)
    await world.delivering.number(world.tenant)
    world.clock.advance(KEPT_MS / 1000 + 1)
    await world.happen("test.b")
    world.receiver()
    await world.delivering.reconcile()  # delivers what is still there, then forgets
    world.clock.advance(KEPT_MS / 1000 + 1)
    world.running[-1].kill()
    world.running[-1].wait()
    await world.happen("test.c")
    await world.turn()
    world.clock.advance(KEPT_MS / 1000 + 1)
    await world.happen("test.d")
    await world.delivering.reconcile()
    await world.delivering.number(world.tenant)
    await world.delivering.deliver(world.tenant)
    world.clock.advance(7200)
    await world.delivering.deliver(world.tenant)
    view = await world.sink()
    letters = await world.events.dead(world.owner, view.sink.id)
    assert [x.event for x in letters] == [None]
    assert "older than 30 days and are not kept" in letters[0].problem


async def test_a_burst_is_numbered_in_batches(world: World) -> None:
    await world.happen(*["test.n"] * (BATCH + 7))
    assert await world.delivering.number(world.tenant) >= BATCH + 7


async def test_receivers_belong_to_one_organisation_and_to_whoever_may_read_its_log(hooked: tuple[World, str]) -> None:
    world, key = hooked
    assert key.startswith("whk_")
    async with world.db.system() as conn:
        await conn.execute("SELECT brakeline.tenant_create('te_other', 'other', now())")
    other = system_principal("te_other", "test")
    sink = (await world.sink()).sink
    assert await world.events.sinks(other) == ()
    with pytest.raises(NotFound):
        await world.events.remove(other, sink.id)
    await world.happen("test.a")
    await world.delivering.number(world.tenant)
    assert await world.events.after(other, 0) == ()
    viewer = await world.house.add("Vera", "viewer", by=world.owner)
    with pytest.raises(Forbidden):
        await world.events.add(viewer, "mine", "https://example.org/", [])
    with pytest.raises(Forbidden):
        await world.events.after(viewer, 0)
    with pytest.raises(Conflict, match="a receiver 'siem' already"):
        await world.events.add(world.owner, "siem", "https://example.org/", [])
    for wrong in ("ftp://example.org/", "https://a:b@example.org/"):
        with pytest.raises(Invalid, match="an address is"):
            await world.events.add(world.owner, "x", wrong, [])
    await world.events.remove(world.owner, sink.id)
    assert await world.events.sinks(world.owner) == ()
