"""Presence of endpoints, coalesced: remembered at each check-in, written about once a second.

Only soft state may be lost here (one period of last-seen times after a crash). Rows go tenant by tenant, sorted by
id, in chunks that keep the event loop free. A flush that fails keeps its rows for the next one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from brakeline.fleet.model import Presence
from brakeline.fleet.store import presences
from brakeline.platform.changed import horizon
from brakeline.platform.database import Database

FLUSH_ROWS_MAX: Final = 2000  # 20,000 rows in one statement held the loop for 0.3 s


@dataclass(frozen=True, slots=True)
class Since:
    """What is new. `moment`: to ask with the next time; `whole`: this is everything; `upto`: the last of the page."""

    found: dict[str, Presence]
    moment: int
    whole: bool
    upto: str


class PresenceBuffer:
    """Newest presence per endpoint since the last flush."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: dict[str, dict[str, Presence]] = {}
        self._flushing = asyncio.Lock()

    def record(self, tenant_id: str, endpoint_id: str, presence: Presence) -> None:
        """Remember; the newest wins."""
        rows = self._waiting.get(tenant_id)
        if rows is None:
            rows = self._waiting[tenant_id] = {}
        rows[endpoint_id] = presence

    def forget(self, tenant_id: str) -> None:
        """Write nothing more of the endpoints of an organisation that were removed: their rows are gone."""
        self._waiting.pop(tenant_id, None)

    @property
    def waiting(self) -> int:
        """Rows not yet written."""
        return sum(map(len, self._waiting.values()))

    async def flush(self) -> tuple[str, ...]:
        """Write everything that waits; gives the tenants that had news. `Unavailable` loses nothing."""
        async with self._flushing:
            taken, self._waiting = self._waiting, {}
            done: list[str] = []
            try:
                for tenant_id, rows in taken.items():
                    await self._write(tenant_id, rows)
                    done.append(tenant_id)
            finally:
                for tenant_id in taken.keys() - set(done):
                    self._waiting[tenant_id] = taken[tenant_id] | self._waiting.get(tenant_id, {})
            return tuple(done)

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
        for endpoint_id, newer in self._waiting.get(tenant_id, {}).items():
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
        return Since(found | page | self._waiting.get(tenant_id, {}), now, whole, max(page, default=""))
