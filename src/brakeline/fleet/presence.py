"""Presence of endpoints, coalesced: remembered at each check-in, written about once a second.

Only soft state may be lost here (one period of last-seen times after a crash). Rows go tenant by tenant, a few at the
same time, sorted by id, in chunks that keep the event loop free. One that fails keeps its rows for the next flush, one
that is slow goes on beside that; neither keeps another from being written.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import Final

from brakeline.fleet.model import Presence
from brakeline.fleet.store import presences
from brakeline.platform.changed import horizon
from brakeline.platform.database import Database
from brakeline.platform.observe import logger

FLUSH_ROWS_MAX: Final = 2000  # 20,000 rows in one statement held the loop for 0.3 s
AT_ONCE: Final = 4  # organisations: of twelve connections to the database
WAIT_S: Final = 2.0  # a flush waits so long for what it began; slower ones go on beside the next


@dataclass(frozen=True, slots=True)
class Since:
    """What is new. `moment`: to ask with the next time; `whole`: this is everything; `upto`: the last of the page."""

    found: dict[str, Presence]
    moment: int
    whole: bool
    upto: str


@dataclass(frozen=True, slots=True)
class Flushed:
    """`news`: organisations of which something was written since the last one; `wrong`: what became of the others."""

    news: tuple[str, ...]
    wrong: tuple[BaseException, ...]


class PresenceBuffer:
    """Newest presence per endpoint since the last flush."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: dict[str, dict[str, Presence]] = {}
        self._going: dict[str, dict[str, Presence]] = {}  # being written
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._news: set[str] = set()

    def record(self, tenant_id: str, endpoint_id: str, presence: Presence) -> None:
        """Remember; the newest wins."""
        rows = self._waiting.get(tenant_id)
        if rows is None:
            rows = self._waiting[tenant_id] = {}
        rows[endpoint_id] = presence

    def forget(self, tenant_id: str) -> None:
        """Write nothing more of the endpoints of an organisation that were removed: their rows are gone."""
        self._waiting.pop(tenant_id, None)
        self._going.pop(tenant_id, None)

    @property
    def waiting(self) -> int:
        """Rows not yet written."""
        return sum(map(len, self._waiting.values()))

    async def flush(self) -> Flushed:
        """Write everything that waits. Loses nothing: what was not written is tried again by the next one."""
        begun = [self._begin(t) for t in tuple(self._waiting) if t not in self._writing]
        done = (await asyncio.wait(begun, timeout=WAIT_S))[0] if begun else set()
        news, self._news = tuple(sorted(self._news)), set()
        return Flushed(news, tuple(e for one in done if not one.cancelled() and (e := one.exception()) is not None))

    async def write(self, tenant_id: str) -> None:
        """All of one organisation that waits now, to its end. Raises what went wrong."""
        if older := self._writing.get(tenant_id):
            await asyncio.wait([older])
        mine = self._writing.get(tenant_id)  # somebody else may have begun meanwhile
        if mine is None and tenant_id in self._waiting:
            mine = self._begin(tenant_id)
        if mine is not None:
            await asyncio.shield(mine)

    async def close(self) -> None:
        """Wait for what is being written; whoever gives up on that cuts it off."""
        await asyncio.gather(*self._writing.values(), return_exceptions=True)

    def _begin(self, tenant_id: str) -> asyncio.Task[None]:
        self._going[tenant_id] = self._waiting.pop(tenant_id)
        task = asyncio.create_task(self._one(tenant_id), name=f"presence of {tenant_id}")
        self._writing[tenant_id] = task
        task.add_done_callback(functools.partial(self._over, tenant_id))
        return task

    async def _one(self, tenant_id: str) -> None:
        async with self._at_once:
            await self._write(tenant_id, self._going.get(tenant_id, {}))
        self._news.add(tenant_id)

    def _over(self, tenant_id: str, task: asyncio.Task[None]) -> None:
        """What could not be written waits again, unless it was forgotten."""
        del self._writing[tenant_id]
        rows = self._going.pop(tenant_id, None)
        wrong = None if task.cancelled() else task.exception()
        if rows and (task.cancelled() or wrong is not None):
            self._waiting[tenant_id] = rows | self._waiting.get(tenant_id, {})
        if wrong is not None:
            logger.warning("presence-not-written", tenant=tenant_id, reason=str(wrong), error=type(wrong).__name__)

    async def _write(self, tenant_id: str, rows: dict[str, Presence]) -> None:
        ordered = sorted(rows.items())
        for start in range(0, len(ordered), FLUSH_ROWS_MAX):
            async with self._db.tenant(tenant_id) as conn:
                await presences.write(conn, tenant_id, ordered[start : start + FLUSH_ROWS_MAX])

    async def read(self, tenant_id: str, endpoint_ids: list[str] | None) -> dict[str, Presence]:
        """Presence of some (None = all) endpoints of a tenant, this very moment's check-ins included."""
        async with self._db.tenant(tenant_id) as conn:
            found = await presences.read(conn, endpoint_ids)
        wanted = None if endpoint_ids is None else set(endpoint_ids)
        for endpoint_id, newer in self._newest(tenant_id).items():
            if wanted is None or endpoint_id in wanted:
                found[endpoint_id] = newer
        return found

    async def read_since(self, tenant_id: str, moment: int, after: str, again: int) -> Since:
        """Presence written since `moment` (0 = all), this very moment's check-ins included; and, to be sure, the next
        `again` endpoints after `after`, whenever written."""
        async with self._db.tenant(tenant_id) as conn:
            now = await horizon(conn)
            whole = not 0 < moment <= now  # a number of another database is none
            found = await (presences.read(conn, None) if whole else presences.read_since(conn, moment))
            page = {} if whole else await presences.page(conn, after, again)
        return Since(found | page | self._newest(tenant_id), now, whole, max(page, default=""))

    def _newest(self, tenant_id: str) -> dict[str, Presence]:
        """What is not written yet, or not to its end."""
        return self._going.get(tenant_id, {}) | self._waiting.get(tenant_id, {})
