"""What happens in one cell is known in the others at once: calls that are held open, over the real services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.integration.cells import test_hand_over
from tests.integration.cells.test_hand_over import world as led_from_berlin
from tests.integration.cells.test_leads import World, world
from tests.support_rollout import OWNER

from brakeline.cells.model import HELD_S_MAX, Answer, Sent, Signed, Stand
from brakeline.platform.bus import MemoryBus
from brakeline.protocol.codec import decode, encode
from brakeline.rollout import calling
from brakeline.rollout.calling import Calling
from brakeline.rollout.linked import EXCHANGE_S
from brakeline.rollout.store import leads

__all__ = ["led_from_berlin", "world"]
AT_ONCE_S = HELD_S_MAX / 2  # slow machines are slow; without being woken it would be later


class Awake:
    """Every cell calls by itself, and no clock moves."""

    def __init__(self, world: World | test_hand_over.World) -> None:
        self.world = world
        self.buses = {c.name: MemoryBus() for c in world.cells}
        self.tasks: list[asyncio.Task[None]] = []
        for c in world.cells:
            c.service.bus = self.buses[c.name]
            self.tasks.append(asyncio.create_task(Calling(c.linked, self.buses[c.name]).run()))

    def calls(self, cell: str) -> int:
        """Messages of one cell so far."""
        return sum(who == cell and b'"link_id"' in body and b'"tenant_id"' in body for who, body in self.passed)

    @property
    def passed(self) -> list[tuple[str, bytes]]:
        return self.world.wire.passed

    async def held(self) -> None:
        """Until every cell waits at the conductor."""
        await within(60, lambda: _true(len(self.world.berlin.conducting.waiting._places) == len(self.world.cells)))

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def _true(value: bool) -> bool:
    return value


async def within(seconds: float, holds: Callable[[], Awaitable[bool]]) -> float:
    """How long it took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not await holds():
        assert loop.time() - begun < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.02)
    return loop.time() - begun


@pytest.fixture
async def awake(world: World) -> AsyncIterator[Awake]:
    await world.begin()
    await world.beats(4)
    found = Awake(world)
    await found.held()
    yield found
    await found.stop()


async def test_a_press_in_one_cell_stops_the_other_without_anybody_s_round(awake: Awake) -> None:
    world = awake.world
    (mine,) = await world.berlin.service.list(OWNER)
    await world.berlin.service.brake(OWNER, mine.id)

    async def stopped() -> bool:
        (there,) = await world.dallas.service.list(OWNER)
        return there.state == "halted"

    await within(AT_ONCE_S, stopped)
    assert (await world.view()).state == "halted"


async def test_a_press_at_the_conductor_reaches_every_cell_at_once(awake: Awake) -> None:
    world = awake.world
    await world.berlin.conducting.brake(OWNER, world.lead)

    async def stopped() -> bool:
        states = [r.state for c in world.cells for r in await c.service.list(OWNER)]
        return states == ["halted"] * len(world.cells)

    await within(AT_ONCE_S, stopped)


async def test_while_nothing_happens_nobody_calls_and_the_server_s_end_answers_everybody(awake: Awake) -> None:
    before = awake.calls("dallas")
    await asyncio.sleep(2 * EXCHANGE_S)
    assert awake.calls("dallas") == before
    answers = len(awake.passed)
    awake.world.berlin.conducting.waiting.end_all()
    await within(AT_ONCE_S, lambda: _true(len(awake.passed) >= answers + 2))


@pytest.mark.long
async def test_news_without_an_end_is_told_no_oftener_than_the_floor_allows(awake: Awake) -> None:
    world, before, seconds = awake.world, awake.calls("dallas"), 2.0
    (there,) = await world.dallas.service.list(OWNER)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while loop.time() - begun < seconds:
        await awake.buses["dallas"].publish(f"rollout:{OWNER.tenant_id}", there.id)
        await asyncio.sleep(0.005)
    assert awake.calls("dallas") - before <= (loop.time() - begun) / calling.FLOOR_S + 1


@pytest.mark.long
async def test_a_conductor_that_holds_nothing_open_is_called_as_ever(world: World) -> None:
    """One of the version before: it passes `wait_s` and `has` over, and says nothing of holding."""
    await world.begin(start=False)

    def without(_: str, body: bytes) -> bytes:
        sent = decode(Sent, body)
        return encode(Sent(sent.tenant_id, sent.link_id, sent.message))

    world.wire.bend = without
    awake = Awake(world)
    before = awake.calls("dallas")
    await asyncio.sleep(3 * EXCHANGE_S)
    calls = awake.calls("dallas") - before
    await awake.stop()
    assert 2 <= calls <= 4
    said = [decode(Signed, body) for who, body in awake.passed if who == "berlin" and b'"tenant_id"' not in body]
    assert not decode(Answer, said[-1].payload.encode()).holds


async def test_while_one_call_follows_the_other_each_answer_is_acted_on_as_it_comes(world: World) -> None:
    """Else a cell that has news without end, and a slow network, would never hear of a halt."""
    await world.begin()
    await world.beats(4)
    await world.berlin.conducting.brake(OWNER, world.lead)
    linked, tenant_id = world.dallas.linked, OWNER.tenant_id
    link = await linked.believed(tenant_id)
    assert link is not None
    tells = await linked.tells(tenant_id, link)
    world.wire.slow_s = 1
    first = asyncio.create_task(linked.exchange(tenant_id, link, tells, HELD_S_MAX))
    await asyncio.sleep(0.5)
    second = asyncio.create_task(linked.exchange(tenant_id, link, tells, HELD_S_MAX))
    assert (await first).text == "heard"
    assert not second.done()
    (there,) = await world.dallas.service.list(OWNER)
    assert there.state == "halted"
    assert (await second).text == "heard"


@pytest.mark.long
async def test_to_a_conductor_that_never_answers_few_calls_are_under_way(awake: Awake) -> None:
    world, before = awake.world, awake.calls("dallas")
    world.wire.slow_s = 60
    for _ in range(3 * calling.CALLS_MAX):
        (there,) = await world.dallas.service.list(OWNER)
        async with world.dallas.db.tenant(OWNER.tenant_id) as conn:  # each time something else to tell
            await conn.execute("UPDATE brakeline.rollout SET wish = CASE wish WHEN 'run' THEN 'pause' ELSE 'run' END")
        await awake.buses["dallas"].publish(f"rollout:{OWNER.tenant_id}", there.id)
        await asyncio.sleep(calling.FLOOR_S)
    assert 1 < awake.calls("dallas") - before <= calling.CALLS_MAX


@pytest.mark.long
async def test_who_moves_while_its_call_is_held_open_is_heard_by_the_new_conductor_and_the_old_at_once(
    led_from_berlin: test_hand_over.World,
) -> None:
    world = led_from_berlin
    await world.begin()
    awake = Awake(world)
    await awake.held()
    await world.move(world.dallas, world.oslo)

    async def told() -> bool:
        known = await world.dallas.conducting.taking.orphans(OWNER)
        old = await world.berlin.conducting.show(OWNER, world.lead)
        return [set(o.cells) for o in known] == [{"dallas", "oslo"}] and "no longer leads" in old.why

    await within(HELD_S_MAX - 1, told)
    await awake.stop()


async def test_who_has_not_moved_hears_at_once_that_its_conductor_leads_no_more(
    led_from_berlin: test_hand_over.World,
) -> None:
    world = led_from_berlin
    await world.begin()
    awake = Awake(world)
    await awake.held()
    await world.move(world.dallas)

    async def holds() -> bool:
        async with world.oslo.db.tenant(OWNER.tenant_id) as conn:
            kept = await leads.led_by(conn, world.lead)
        return kept is not None and kept.grant.stand is Stand.HOLD and "no longer leads" in kept.grant.why

    await within(HELD_S_MAX - 1, holds)
    await awake.stop()


@pytest.mark.long
async def test_an_answer_that_comes_after_the_conductor_was_left_is_not_acted_on(world: World) -> None:
    await world.begin()
    await world.beats(4)
    await world.berlin.conducting.brake(OWNER, world.lead)
    linked, tenant_id = world.dallas.linked, OWNER.tenant_id
    link = await linked.believed(tenant_id)
    assert link is not None
    world.wire.slow_s = 1
    call = asyncio.create_task(linked.exchange(tenant_id, link, await linked.tells(tenant_id, link), HELD_S_MAX))
    await asyncio.sleep(0.5)
    await world.dallas.cells.isolate_self(OWNER, "the conductor may be in wrong hands")
    assert "isolated from it" in (await call).text
    now = await world.dallas.cells.link_of(tenant_id)
    assert now is not None
    assert now.trouble.startswith("isolated by Olga")
    (there,) = await world.dallas.service.list(OWNER)
    assert there.state != "halted"
