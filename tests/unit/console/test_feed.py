"""The event stream: rendered once for all, whole state first, heartbeats, and an end that ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from brakeline.console.feed import Feed, event_bytes
from brakeline.core.errors import Unavailable


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
