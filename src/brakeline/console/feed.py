"""The event stream of a page: rendered once per tick and topic, fanned out to everybody who looks at it.

Pages that `hears` something are rendered at once when it happens (`wake`), and not again before the next tick.

Invariants: one stream per page; a message is the whole state of the page's live regions, or, for a reader that has the
message before, of those that are otherwise since: so losing one loses nothing, and `Last-Event-ID` only saves sending
what the page already shows; a heartbeat (`event: beat`) goes out every
BEAT_S even when nothing changes, so that silence means a broken feed; a slow reader gets the newest state, never a
queue; a page whose state cannot be read keeps its heartbeat back, so the page says "no news" and never looks calm.
`stop()` ends every stream at once: the server calls it when it is told to end, else an open stream would hold it up.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from brakeline.core.errors import Fault

BEAT_S = 2.0
TICK_S = 0.5
STAGGER_S = 0.05  # between pages of single endpoints that news of the whole organisation wake
CHECK_EVERY_BEATS = 5  # how often an open stream asks whether its session still stands: 10 s

REGION: Final = "<hx-partial "  # begins each region of a message; in what people wrote `<` is escaped
ALL: Final = "*"  # hears what advisories do in its organisation
Render = Callable[[], Awaitable[str]]
log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class Channel:
    """What everybody who looks at the same page as the same audience receives. `key` begins with the organisation."""

    key: str
    render: Render
    pace: int = 1  # rendered every so many ticks
    hears: str = ""  # "" nothing | ALL | an endpoint's id: that, and what its own inventories do
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    readers: int = 0
    event_id: str = ""
    text: str = ""
    body: bytes = b""
    before: str = ""  # the event that `step` goes on from
    step: bytes = b""
    beat: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    task: asyncio.Task[None] | None = None


class Feed:
    """All open streams of this process."""

    def __init__(self, *, tick_s: float = TICK_S, beat_s: float = BEAT_S) -> None:
        self._tick_s, self._beat_s = tick_s, beat_s
        self._channels: dict[str, Channel] = {}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End every stream now and refuse new ones. Safe to call twice, from the event loop's thread."""
        self._stopping.set()
        for channel in self._channels.values():
            if channel.task is not None:
                channel.task.cancel()

    @property
    def open_streams(self) -> int:
        return sum(c.readers for c in self._channels.values())

    def wake(self, tenant_id: str = "", endpoint_id: str = "") -> None:
        """There is news: of this organisation's advisories, of one of its endpoints, or, without both, of anybody's."""
        loop, after_s = asyncio.get_running_loop(), 0.0
        for channel in self._channels.values():
            mine = not tenant_id or channel.key.startswith(f"{tenant_id}/")
            if not mine or not channel.hears or endpoint_id not in ("", channel.hears):
                continue
            if channel.hears == ALL or endpoint_id:
                channel.woken.set()
            else:  # one endpoint's page after another, behind the lists, which show the same news
                after_s += STAGGER_S
                loop.call_later(after_s, channel.woken.set)

    async def stream(
        self, key: str, render: Render, last_event_id: str = "",
        allowed: Callable[[], Awaitable[bool]] | None = None, pace: int = 1, hears: str = "",
    ) -> AsyncGenerator[bytes, None]:  # fmt: skip
        """Bytes of one reader's stream until the feed stops, the reader leaves or `allowed` says no.

        `pace`: render every so many ticks; costly pages that change slowly take more than 1. `hears`: see `Channel`.
        """
        channel = self._join(key, render, pace, hears)
        try:
            sent, beat, beats = last_event_id, -1, 0
            yield b": open\n\n"
            while not self._stopping.is_set():
                if channel.event_id and channel.event_id != sent:
                    body = channel.step if sent and sent == channel.before else channel.body
                    sent = channel.event_id
                    yield body
                if channel.beat != beat and channel.event_id:
                    beat, beats = channel.beat, beats + 1
                    yield f"event: beat\ndata: {beat}\n\n".encode()
                    if allowed is not None and beats % CHECK_EVERY_BEATS == 0 and not await allowed():
                        return
                await self._news(channel, sent, beat)
        finally:
            self._leave(channel)

    async def _news(self, channel: Channel, sent: str, beat: int) -> None:
        """Wait for a change, a heartbeat or the end."""
        stop = asyncio.ensure_future(self._stopping.wait())
        news = asyncio.ensure_future(_changed(channel, sent, beat))
        try:
            await asyncio.wait({stop, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            news.cancel()

    def _join(self, key: str, render: Render, pace: int, hears: str) -> Channel:
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = Channel(key, render, pace, hears)
            channel.task = asyncio.create_task(self._drive(channel), name=f"feed {key}")
        channel.readers += 1
        return channel

    def _leave(self, channel: Channel) -> None:
        channel.readers -= 1
        if channel.readers == 0 and self._channels.get(channel.key) is channel:
            del self._channels[channel.key]
            if channel.task is not None:
                channel.task.cancel()

    async def _drive(self, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        due, ticks, fresh, told = loop.time(), 0, False, ("", 0)
        while True:
            woken = channel.woken.is_set()
            channel.woken.clear()  # what happens while it is rendered leads to one more
            if woken or ticks % channel.pace == 0:
                fresh = await self._refresh(channel)
            ticks += 1
            if fresh and loop.time() >= due:
                channel.beat += 1
                due = loop.time() + self._beat_s
            if told != (told := (channel.event_id, channel.beat)):  # else each reader would wake for nothing
                async with channel.changed:
                    channel.changed.notify_all()
            await self._tick(channel, deaf=woken)

    async def _tick(self, channel: Channel, *, deaf: bool) -> None:
        """A tick, or less where there is news. `deaf`: it was just woken, and much news must not be many renderings."""
        if deaf:
            await asyncio.sleep(self._tick_s)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(channel.woken.wait(), self._tick_s)

    async def _refresh(self, channel: Channel) -> bool:
        """Render; True if what the page shows is the truth of now."""
        try:
            text = await channel.render()
        except Fault as fault:
            log.warning("feed_not_fresh", key=channel.key, why=str(fault))
            return False
        except Exception:  # outermost loop of this channel: one broken page must not end it for good
            log.exception("feed_render_failed", key=channel.key)
            return False
        event_id = hashlib.sha256(text.encode()).hexdigest()[:16]
        if event_id != channel.event_id:
            channel.before, channel.step = channel.event_id, event_bytes(event_id, changed_regions(channel.text, text))
            channel.event_id, channel.text, channel.body = event_id, text, event_bytes(event_id, text)
        return True


async def _changed(channel: Channel, sent: str, beat: int) -> None:
    async with channel.changed:
        await channel.changed.wait_for(
            lambda: bool(channel.event_id) and (channel.event_id != sent or channel.beat != beat)
        )


def changed_regions(before: str, text: str) -> str:
    """The regions of `text` that are not so in `before`; all of it where they are not the same regions in one order."""
    was, now = before.split(REGION), text.split(REGION)
    if len(was) != len(now) or was[0] != now[0]:
        return text
    return "".join(REGION + region for old, region in zip(was[1:], now[1:], strict=True) if old != region)


def event_bytes(event_id: str, text: str) -> bytes:
    """One unnamed message; a payload with line ends needs one `data:` per line."""
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"id: {event_id}\n{lines}\n".encode()
