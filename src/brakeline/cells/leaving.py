"""A cell that has joined another conductor tells the one before, so that it stops and says so.

Invariants: told only once the new one is believed; every minute until the old one has answered, then hourly, for it may
have been restored from a backup; what it answers opens nothing, and one that is gone for good holds nobody up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from brakeline import __version__
from brakeline.cells import store
from brakeline.cells.model import Answer, Exchange, Former, Link
from brakeline.core.clock import Clock
from brakeline.core.errors import Fault
from brakeline.platform.database import Database

FAREWELL_MS: Final = 90 * 86_400_000  # for so long a conductor that was left is told
TOLD_EVERY_MS: Final = 3_600_000
TRY_MS: Final = 60_000


class Leaving:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, say: Callable[[Link, Exchange], Awaitable[Answer]]) -> None:
        """`say`: one exchange over a link."""
        self._db, self._clock, self._say = db, clock, say
        self._tried: dict[str, int] = {}  # former links, and when they were called last

    async def tell(self, tenant_id: str, link: Link) -> None:
        """Whom this cell believes now, to those that it has left. Never raises for what they do."""
        async with self._db.tenant(tenant_id) as conn:
            left = await store.former(conn, self._clock.now_ms() - FAREWELL_MS)
        for former in left:
            if self._due(former):
                await self._one(tenant_id, former.link, link)

    def _due(self, former: Former) -> bool:
        last_ms = max(former.told_ms, self._tried.get(former.link.link_id, 0))
        return self._clock.now_ms() - last_ms >= (TOLD_EVERY_MS if former.told_ms else TRY_MS)

    async def _one(self, tenant_id: str, old: Link, new: Link) -> None:
        now_ms = self._clock.now_ms()
        self._tried[old.link_id] = now_ms
        async with self._db.tenant(tenant_id) as conn:
            counter = await store.next_farewell(conn, old.link_id, now_ms)
        said = Exchange(old.link_id, old.cell, counter, now_ms, __version__, left_generation=new.generation,
                        left_for=new.url[:200])  # fmt: skip
        try:
            await self._say(old, said)
        except Fault:
            return
        async with self._db.tenant(tenant_id) as conn:
            await store.set_told(conn, old.link_id, now_ms)
