"""The bus: one suite, both implementations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.postgres_clusters import TestDatabase

from brakeline.core.errors import Bug
from brakeline.platform.bus import BACKLOG_MAX, RESYNC, Bus, MemoryBus, Message, PostgresBus, Subscription


@pytest.fixture(params=["memory", "postgres"])
async def bus(request: pytest.FixtureRequest, test_database: TestDatabase) -> AsyncIterator[Bus]:
    made: Bus = MemoryBus() if request.param == "memory" else await PostgresBus.open(test_database.dsn_app)
    yield made
    await made.close()


async def next_of(messages: Subscription) -> Message:
    return await asyncio.wait_for(anext(messages), 60)


async def test_subscribers_of_the_topic_get_the_message_and_others_do_not(bus: Bus) -> None:
    async with bus.subscribe("rollout:te_1") as one, bus.subscribe("rollout:te_2", "end") as two:
        await bus.publish("rollout:te_1", "ro_7")
        await bus.publish("end")
        assert await next_of(one) == ("rollout:te_1", "ro_7")
        assert await next_of(two) == ("end", "")


async def test_messages_of_one_topic_come_in_order_and_whole(bus: Bus) -> None:
    texts = [f"{i} with\nlines, ünïcode and 'quotes'" for i in range(50)]
    async with bus.subscribe("t") as messages:
        for text in texts:
            await bus.publish("t", text)
        assert [(await next_of(messages))[1] for _ in texts] == texts


async def test_a_star_subscribes_to_every_topic_with_that_beginning(bus: Bus) -> None:
    async with bus.subscribe("wake:*", "wake:ep_1") as messages:
        for topic in ("wak", "wake:ep_1", "wake:ep_2"):
            await bus.publish(topic)
        assert await next_of(messages) == ("wake:ep_1", "")  # once, although two of its patterns fit
        assert await next_of(messages) == ("wake:ep_2", "")


async def test_nothing_comes_from_before_or_after_the_subscription(bus: Bus) -> None:
    await bus.publish("t", "before")
    async with bus.subscribe("fence") as fence:
        await bus.publish("fence")
        await next_of(fence)
    async with bus.subscribe("t") as messages:
        await bus.publish("t", "during")
        assert await next_of(messages) == ("t", "during")


async def test_who_lags_too_far_is_told_to_look_for_itself(bus: Bus) -> None:
    async with bus.subscribe("t") as slow, bus.subscribe("end") as fence:
        for i in range(BACKLOG_MAX + 1):
            await bus.publish("t", str(i))
        await bus.publish("end")
        await next_of(fence)
        assert await next_of(slow) == (RESYNC, "")


@pytest.mark.parametrize("topic", ["", "two\nlines", "star*"])
async def test_a_bad_topic_is_our_bug(bus: Bus, topic: str) -> None:
    with pytest.raises(Bug):
        await bus.publish(topic)


async def test_a_message_too_long_is_our_bug(bus: Bus) -> None:
    with pytest.raises(Bug, match="too long"):
        await bus.publish("t", "ü" * 4000)


async def test_a_lost_connection_is_made_again_and_subscribers_are_told(test_database: TestDatabase) -> None:
    bus = await PostgresBus.open(test_database.dsn_app)
    killer = await asyncpg.connect(test_database.dsn_super)
    async with bus.subscribe("t") as messages:
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'brakeline bus' AND datname = current_database()"
        )
        assert await next_of(messages) == (RESYNC, "")
        await bus.publish("t", "again")
        assert await next_of(messages) == ("t", "again")
    await killer.close()
    await bus.close()
