"""Use cases of events: receivers, what they did not take, the stream itself.

Invariants: whoever adds a receiver may read the audit log, because that is what it gets; the key of a webhook is shown
once and kept nowhere; adding, removing and giving a new key is in the audit log; a receiver begins with what happens
after it was added.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Invalid, NotFound, Unavailable
from brakeline.events import decide, formats, outbox, store
from brakeline.events.delivering import Delivering
from brakeline.events.model import DeadLetter, Event, Sink
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Connection, Database
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

SINKS_MAX: Final = 20
PAGE_MAX: Final = 500
TEST: Final = "sink.test"
LOOK_S: Final = 1.0  # how late a stream may be
BEAT_S: Final = 15.0  # a stream that says nothing would be cut by what stands in between
ALLOWED_S: Final = 60.0  # how often it is asked whether the reader still may


@dataclass(frozen=True, slots=True)
class SinkView:
    """A receiver, how far it is behind, and what it did not take."""

    sink: Sink
    behind: int
    dead: int


@dataclass(frozen=True, slots=True)
class NewSink:
    """`key` is shown this once; "" of syslog."""

    sink: Sink
    key: str


class Events:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, ids: IdMaker, delivering: Delivering, server_key: bytes) -> None:
        self._db, self._clock, self._ids = db, clock, ids
        self._delivering, self._server_key = delivering, server_key
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """The server ends: streams end too."""
        self._stopping.set()

    # --- receivers ---------------------------------------------------------------------------------------------------

    async def sinks(self, principal: Principal) -> tuple[SinkView, ...]:
        principal.require("settings.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            found, counts = await store.sinks(conn), await store.dead_counts(conn)
            _, last = await store.ends(conn)
        return tuple(SinkView(s, max(0, last - s.delivered), counts.get(s.id, 0)) for s in found)

    async def add(self, principal: Principal, name: str, address: str, kinds: Sequence[str] = ()) -> NewSink:
        """Raises `Invalid`, `Conflict` (name taken)."""
        _require(principal)
        name = name.strip()
        if not 0 < len(name) <= decide.NAME_CHARS_MAX or not name.isprintable():
            raise Invalid(f"a receiver needs a name of 1 to {decide.NAME_CHARS_MAX} printable characters")
        decide.checked_address(address)
        wanted = decide.checked_kinds(kinds)
        await self._delivering.number(principal.tenant_id)
        async with self._db.tenant(principal.tenant_id) as conn:
            if len(await store.sinks(conn)) >= SINKS_MAX:
                raise Invalid(f"there are {SINKS_MAX} receivers already; remove one first")
            end, _ = await store.head(conn, principal.tenant_id)
            made = Sink(
                self._ids.new("sk"), name, address.strip(), wanted, self._clock.now_ms(), principal.name, 1, end
            )
            if not await store.insert_sink(conn, principal.tenant_id, made):
                raise Conflict(f"there is a receiver {name!r} already")
            facts = {"name": name, "address": made.address, "kinds": list(wanted)}
            await audit.append(conn, self._clock, principal, "sink.add", made.id, None, facts)
        key = decide.key_of(self._server_key, made.id, made.generation) if made.is_webhook else ""
        return NewSink(made, key)

    async def remove(self, principal: Principal, sink_id: str) -> None:
        """It gets nothing more; its dead letters go with it."""
        _require(principal)
        async with self._db.tenant(principal.tenant_id) as conn:
            known = await _known(conn, sink_id)
            await store.delete_sink(conn, sink_id)
            facts = {"name": known.name, "address": known.address}
            await audit.append(conn, self._clock, principal, "sink.remove", sink_id, facts, None)

    async def test(self, principal: Principal, sink_id: str) -> None:
        """Let an event happen that only says that it is a test."""
        _require(principal)
        async with self._db.tenant(principal.tenant_id) as conn:
            known = await _known(conn, sink_id)
            await outbox.emit(
                conn, principal.tenant_id, TEST, sink_id, {"who": principal.name, "name": known.name},
                self._clock.now_ms(),
            )  # fmt: skip

    async def dead(self, principal: Principal, sink_id: str, limit: int = 100) -> tuple[DeadLetter, ...]:
        """What it did not take, oldest first."""
        _require(principal)
        async with self._db.tenant(principal.tenant_id) as conn:
            await _known(conn, sink_id)
            return await store.dead(conn, sink_id, min(max(limit, 1), PAGE_MAX))

    async def replay(self, principal: Principal, sink_id: str) -> tuple[int, str]:
        """Deliver its dead letters now, oldest first, until one is refused again: how many, and why not more."""
        letters, done = await self.dead(principal, sink_id, PAGE_MAX), 0
        async with self._db.tenant(principal.tenant_id) as conn:
            sink = await _known(conn, sink_id)
        for letter in letters:
            if letter.event is not None:
                try:
                    await self._delivering.send(sink, letter.event)
                except Unavailable as e:
                    return done, e.detail
                done += 1
            async with self._db.tenant(principal.tenant_id) as conn:
                await store.raise_dead(conn, sink_id, letter.sequence)
        return done, ""

    # --- the stream --------------------------------------------------------------------------------------------------

    async def after(self, principal: Principal, sequence: int, limit: int = 100) -> tuple[Event, ...]:
        """Events behind a number, oldest first."""
        principal.require("audit.read")
        await self._delivering.number(principal.tenant_id)
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.events_after(conn, sequence, min(max(limit, 1), PAGE_MAX))

    async def end(self, principal: Principal) -> int:
        """The newest number."""
        principal.require("audit.read")
        await self._delivering.number(principal.tenant_id)
        async with self._db.tenant(principal.tenant_id) as conn:
            return (await store.ends(conn))[1]

    async def stream(
        self, principal: Principal, sequence: int, kinds: Sequence[str], allowed: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """Server-sent events behind a number, as they happen, until the server ends or the reader may not any more."""
        wanted, spoke_s, asked_s = decide.checked_kinds(kinds), 0.0, self._clock.monotonic_s()
        yield b": open\n\n"
        while not self._stopping.is_set():
            found = await self.after(principal, sequence)
            for event in found:
                sequence = event.sequence
                if decide.wants(wanted, event.kind):
                    yield formats.sse(event)
            now_s = self._clock.monotonic_s()
            if now_s - asked_s >= ALLOWED_S:
                asked_s = now_s
                if not await allowed():
                    return
            if now_s - spoke_s >= BEAT_S:
                spoke_s = now_s
                yield b": beat\n\n"
            if not found:
                await self._pause()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), LOOK_S)
        except TimeoutError:
            return


def _require(principal: Principal) -> None:
    principal.require("audit.read")
    principal.require("token.manage")


async def _known(conn: Connection, sink_id: str) -> Sink:
    found = await store.sink(conn, sink_id)
    if found is None:
        raise NotFound("there is no such receiver; `brakeline event sinks` has them", id=sink_id[:40])
    return found
