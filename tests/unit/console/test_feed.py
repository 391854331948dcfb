"""The event stream: rendered once for all, whole state first, heartbeats, woken by news, and an end that ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from brakeline.console.feed import ALL, Feed, event_bytes
from brakeline.console.hearing import hear
from brakeline.core.errors import Unavailable
from brakeline.platform.bus import MemoryBus


class Page:
    """A live region whose text a test sets; counts how often it was rendered."""

    def __init__(self) -> None:
        self.text, self.renders, self.away = "n=1", 0, False

    async def render(self) -> str:
        self.renders += 1
        if self.away:
            raise Unavailable("the database is away")
        return self.text


async def take(stream: AsyncGenerator[bytes, None], count: int) -> list[bytes]:
    async with asyncio.timeout(5):
        return [await anext(stream) for _ in range(count)]


async def test_a_reader_gets_the_state_at_once_then_beats_then_changes() -> None:
    page, feed = Page(), Feed(tick_s=0.01, beat_s=0.02)
    stream = feed.stream("k", page.render)
    opened, state, beat = await take(stream, 3)
    assert opened.startswith(b":")
    assert b"data: n=1" in state
    assert beat.startswith(b"event: beat\n")
    page.text = "n=2"
    async with asyncio.timeout(5):
        while b"data: n=2" not in await anext(stream):
            pass
    await stream.aclose()


async def test_many_readers_cost_one_rendering_per_tick() -> None:
    page, feed = Page(), Feed(tick_s=0.05, beat_s=0.05)
    streams = [feed.stream("k", page.render) for _ in range(50)]
    await asyncio.gather(*(take(s, 3) for s in streams))
    assert feed.open_streams == 50
    assert page.renders <= 10, "50 readers must not mean 50 renderings"
    for s in streams:
        await s.aclose()
    assert feed.open_streams == 0


async def test_a_reader_that_has_the_state_already_is_not_sent_it_again() -> None:
    page, feed = Page(), Feed(tick_s=0.01, beat_s=0.02)
    first = feed.stream("k", page.render)
    _, state, _ = await take(first, 3)
    last_id = state.split(b"\n")[0].removeprefix(b"id: ").decode()
    second = feed.stream("k", page.render, last_id)
    _, event = await take(second, 2)
    assert event.startswith(b"event: beat"), "Last-Event-ID names what the page shows"
    await first.aclose()
    await second.aclose()


async def test_a_reader_that_has_the_message_before_gets_the_regions_that_moved_and_any_other_all_of_them() -> None:
    page, feed = Page(), Feed(tick_s=0.01, beat_s=3600)

    def regions(*texts: str) -> str:
        return "".join(f'<hx-partial hx-target="#r{n}">{text}</hx-partial>' for n, text in enumerate(texts))

    async def news(stream: AsyncGenerator[bytes, None], text: str) -> bytes:
        async with asyncio.timeout(5):
            while text.encode() not in (found := await anext(stream)):
                pass
        return found

    page.text = regions("list-1", "gaps-1", "news-1")
    stream = feed.stream("k", page.render)
    first = await news(stream, "list-1")
    page.text = regions("list-2", "gaps-1", "news-1")
    second = await news(stream, "list-2")
    assert (b"gaps-1" in second, b"news-1" in second) == (False, False), "the page has them"
    assert second.count(b"<hx-partial ") == 1
    late = feed.stream("k", page.render, first.split(b"\n")[0].removeprefix(b"id: ").decode())
    assert b"gaps-1" not in await news(late, "list-2"), "it says by its id that it has the one before"
    page.text = regions("list-3", "gaps-1", "news-1")
    await news(stream, "list-3")
    old = feed.stream("k", page.render, first.split(b"\n")[0].removeprefix(b"id: ").decode())
    new = feed.stream("k", page.render)
    for other in (old, new):
        assert b"gaps-1" in await news(other, "list-3"), "two behind, or nothing yet: all of it"
    page.text = regions("list-4", "gaps-1")
    assert b"gaps-1" in await news(stream, "list-4"), "other regions than before: all of it"
    for each in (stream, late, old, new):
        await each.aclose()


async def test_no_heartbeat_while_the_state_cannot_be_read() -> None:
    page, feed = Page(), Feed(tick_s=0.01, beat_s=0.01)
    stream = feed.stream("k", page.render)
    await take(stream, 3)
    page.away = True
    await asyncio.sleep(0.05)  # let what was on its way arrive
    beats = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            async for _ in stream:
                beats += 1
    assert beats == 0


async def test_stop_ends_open_streams_and_refuses_new_ones() -> None:
    page, feed = Page(), Feed(tick_s=0.01, beat_s=60)
    stream = feed.stream("k", page.render)
    await take(stream, 3)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.02)
    feed.stop()
    with pytest.raises(StopAsyncIteration):
        async with asyncio.timeout(1):
            await waiting
    late = [chunk async for chunk in feed.stream("k", page.render)]
    assert late == [b": open\n\n"]


async def test_a_stream_ends_when_its_session_does() -> None:
    page, feed = Page(), Feed(tick_s=0.005, beat_s=0.005)

    async def allowed() -> bool:
        return False

    async with asyncio.timeout(5):
        chunks = [c async for c in feed.stream("k", page.render, "", allowed)]
    assert sum(c.startswith(b"event: beat") for c in chunks) == 5


async def test_pages_of_different_keys_do_not_mix() -> None:
    one, two, feed = Page(), Page(), Feed(tick_s=0.01, beat_s=0.02)
    two.text = "other tenant"
    a, b = feed.stream("t1/x", one.render), feed.stream("t2/x", two.render)
    assert b"n=1" in (await take(a, 2))[1]
    assert b"other tenant" in (await take(b, 2))[1]
    await a.aclose()
    await b.aclose()


def test_a_payload_with_line_ends_has_one_data_line_each() -> None:
    assert event_bytes("7", "a\nb\r\nc") == b"id: 7\ndata: a\ndata: b\ndata: c\n\n"


async def seen(stream: AsyncGenerator[bytes, None], text: str) -> None:
    async with asyncio.timeout(5):
        while text.encode() not in await anext(stream):
            pass


class Hearing:
    """A bus, a feed whose ticks never come, and one open page of each kind."""

    def __init__(self) -> None:
        self.bus, self.feed = MemoryBus(), Feed(tick_s=3600, beat_s=3600)
        self.pages: dict[str, Page] = {}
        self.streams: dict[str, AsyncGenerator[bytes, None]] = {}

    async def open(self, key: str, hears: str) -> None:
        self.pages[key] = Page()
        self.streams[key] = self.feed.stream(key, self.pages[key].render, hears=hears)
        await seen(self.streams[key], "data: n=1")

    async def say(self, topic: str, payload: str = "") -> None:
        """Tell it, and let everybody who is woken by it do what he does."""
        for page in self.pages.values():
            page.text = f"{topic} {payload}"
        await self.bus.publish(topic, payload)
        for _ in range(20):
            await asyncio.sleep(0)

    def renders(self) -> dict[str, int]:
        return {key: page.renders for key, page in self.pages.items()}


async def test_news_reach_the_pages_they_are_for_and_no_other_organisation() -> None:
    world = Hearing()
    listening = asyncio.create_task(hear(world.bus, world.feed))
    await asyncio.sleep(0)
    for key, hears in (("te_1/list", ALL), ("te_1/ep_1", "ep_1"), ("te_1/rollout", ""), ("te_2/list", ALL),
                       ("te_11/list", ALL)):  # fmt: skip
        await world.open(key, hears)
    await world.say("finding:te_1")
    await seen(world.streams["te_1/list"], "data: finding:te_1")
    await seen(world.streams["te_1/ep_1"], "data: finding:te_1")
    heard = {"te_1/list": 2, "te_1/ep_1": 2, "te_1/rollout": 1, "te_2/list": 1, "te_11/list": 1}
    assert world.renders() == heard
    await world.say("finding:te_1")
    assert world.renders() == heard, "much news within a tick is not many renderings"
    await world.say("finding:te_2", "ep_2")
    assert world.renders() == heard, "lists do not follow each endpoint's inventory"
    listening.cancel()
    for stream in world.streams.values():
        await stream.aclose()


async def test_news_of_an_endpoint_reach_its_own_pages_and_a_lost_message_everybody() -> None:
    world = Hearing()
    listening = asyncio.create_task(hear(world.bus, world.feed))
    await asyncio.sleep(0)
    for key, hears in (("te_1/ep_1", "ep_1"), ("te_1/ep_2", "ep_2"), ("te_2/list", ALL)):
        await world.open(key, hears)
    await world.say("finding:te_1", "ep_1")
    assert world.renders() == {"te_1/ep_1": 2, "te_1/ep_2": 1, "te_2/list": 1}
    await world.bus.close()  # a bus that was away says: look for yourselves
    for key in ("te_2/list", "te_1/ep_2"):
        await seen(world.streams[key], "data: finding:te_1 ep_1")
    assert world.renders() == {"te_1/ep_1": 2, "te_1/ep_2": 2, "te_2/list": 2}, "the first has just been"
    listening.cancel()
    for stream in world.streams.values():
        await stream.aclose()


async def test_news_while_a_page_is_rendered_lead_to_one_more_rendering() -> None:
    page, feed, going, go = Page(), Feed(tick_s=0.01, beat_s=3600), asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        text = page.text
        if page.renders:
            going.set()
            await go.wait()
        page.renders += 1
        return text

    stream = feed.stream("te_1/x", slow, pace=10**9, hears=ALL)
    await seen(stream, "data: n=1")
    feed.wake("te_1")
    await going.wait()
    page.text = "n=2"
    feed.wake("te_1")
    go.set()
    await seen(stream, "data: n=2")
    assert page.renders == 3
    await stream.aclose()
