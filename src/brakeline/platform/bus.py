"""Short messages between parts and processes: `Bus`, carried by PostgreSQL's LISTEN/NOTIFY, or in memory.

What a subscriber may rely on: messages of one publisher on one topic come in order; none is repeated; some may be
*missing* (connection lost, subscriber too slow), and then it gets one message with topic `RESYNC`: read the truth
again from the database. So a message is a hint to look, never the news itself.
Topics: `endpoint:<tenant>`, `rollout:<tenant>`, `lead:<tenant>`, `check-in:<tenant>`, `finding:<tenant>`,
`approval:<tenant>`, `wake:<endpoint_id>`, `content` (a feed has new content, which is everybody's).
A topic that ends in `*` subscribes to every topic with that beginning. Publish after the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol

import asyncpg

from brakeline.core.errors import Bug, Unavailable
from brakeline.platform.observe import logger
from brakeline.platform.postgres_roles import connect

RESYNC: Final = "resync"
CHANNEL: Final = "brakeline"
MESSAGE_BYTES_MAX: Final = 7900  # PostgreSQL refuses 8000 and more
BACKLOG_MAX: Final = 1000  # messages a subscriber may lag behind before it is told to resync
RECONNECT_S_FIRST: Final = 0.1
RECONNECT_S_MAX: Final = 5.0

Message = tuple[str, str]  # (topic, payload)
Subscription = AsyncIterator[Message]


class Bus(Protocol):
    """The port. `MemoryBus` and `PostgresBus` pass one contract suite."""

    async def publish(self, topic: str, payload: str = "") -> None:
        """Tell every subscriber of `topic`. Never raises because of the database: receivers resync."""
        ...

    def subscribe(self, *topics: str) -> AbstractAsyncContextManager[Subscription]:
        """`async with bus.subscribe("rollout:te_1") as messages: async for topic, payload in messages: …`."""
        ...

    async def close(self) -> None: ...


class _Queue(AsyncIterator[Message]):
    """One subscriber's messages, bounded: when it lags too far, what it missed becomes one RESYNC."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Message] = asyncio.Queue()

    def put(self, message: Message) -> None:
        if self._waiting.qsize() >= BACKLOG_MAX:
            while not self._waiting.empty():
                self._waiting.get_nowait()
            message = (RESYNC, "")
        self._waiting.put_nowait(message)

    async def __anext__(self) -> Message:
        return await self._waiting.get()


class _Hub:
    """Who gets what within this process: exact topics by dictionary (thousands of long-polls), prefixes by list."""

    def __init__(self) -> None:
        self._exact: defaultdict[str, set[_Queue]] = defaultdict(set)
        self._prefix: defaultdict[str, set[_Queue]] = defaultdict(set)

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[Subscription]:
        queue = _Queue()
        places = [(self._prefix, t[:-1]) if t.endswith("*") else (self._exact, t) for t in topics]
        for table, key in places:
            table[key].add(queue)
        try:
            yield queue
        finally:
            for table, key in places:
                table[key].discard(queue)
                if not table[key]:
                    del table[key]

    def deliver(self, topic: str, payload: str) -> None:
        found = set(self._exact.get(topic, ()))
        for prefix, queues in self._prefix.items():
            if topic.startswith(prefix):
                found |= queues
        for queue in found:
            queue.put((topic, payload))

    def resync(self) -> None:
        every = {q for table in (self._exact, self._prefix) for queues in table.values() for q in queues}
        for queue in every:
            queue.put((RESYNC, ""))


def _checked(topic: str, payload: str) -> str:
    if not topic or "\n" in topic or topic.endswith("*"):
        raise Bug("a topic is one line, not empty, without a star", topic=topic[:60])
    text = f"{topic}\n{payload}"
    if len(text.encode()) > MESSAGE_BYTES_MAX:
        raise Bug("a message on the bus is a hint, not the news: too long", topic=topic[:60])
    return text


class MemoryBus:
    """The bus of one process without a database: for tests and simulation."""

    def __init__(self) -> None:
        self._hub = _Hub()

    async def publish(self, topic: str, payload: str = "") -> None:
        _checked(topic, payload)
        self._hub.deliver(topic, payload)

    def subscribe(self, *topics: str) -> AbstractAsyncContextManager[Subscription]:
        return self._hub.subscribe(*topics)

    async def close(self) -> None:
        self._hub.resync()


class PostgresBus:
    """LISTEN/NOTIFY over one connection of its own, made again whenever it is lost."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._hub = _Hub()
        self._conn: asyncpg.Connection[asyncpg.Record] | None = None
        self._lost = asyncio.Event()
        self._sending = asyncio.Lock()  # one statement at a time on one connection
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, dsn: str) -> PostgresBus:
        """Connect and listen; raises `Unavailable` when the database does not answer."""
        bus = cls(dsn)
        await bus._listen()
        bus._keeper = asyncio.create_task(bus._keep(), name="bus-keeper")
        return bus

    async def publish(self, topic: str, payload: str = "") -> None:
        text = _checked(topic, payload)
        conn = self._conn
        if conn is None:
            logger.warning("bus-message-lost", topic=topic, reason="no connection to the database")
            return
        try:
            async with self._sending:
                await conn.execute("SELECT pg_notify($1, $2)", CHANNEL, text)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as e:
            logger.warning("bus-message-lost", topic=topic, reason=str(e))

    def subscribe(self, *topics: str) -> AbstractAsyncContextManager[Subscription]:
        return self._hub.subscribe(*topics)

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._conn is not None:
            self._conn.terminate()
            self._conn = None

    async def _listen(self) -> None:
        conn = await connect(self._dsn, application_name="brakeline bus")
        conn.add_termination_listener(self._on_lost)
        await conn.add_listener(CHANNEL, self._on_notify)
        self._lost.clear()
        self._conn = conn

    def _on_notify(self, _conn: Any, _pid: int, _channel: str, text: object) -> None:
        topic, _, payload = str(text).partition("\n")
        self._hub.deliver(topic, payload)

    def _on_lost(self, _conn: Any) -> None:
        self._conn = None
        self._lost.set()

    async def _keep(self) -> None:
        """Listen again after every loss, then tell all subscribers to look for themselves."""
        while True:
            await self._lost.wait()
            pause_s = RECONNECT_S_FIRST
            while self._conn is None:
                try:
                    await self._listen()
                except (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, RECONNECT_S_MAX)
            logger.info("bus-reconnected")
            self._hub.resync()
