"""SQL that takes away values of the packed index which nobody has any more. Rows and bytes, nothing else.

Invariants: an id is never taken from a row that names it, whoever writes one meanwhile: writers share a lock until
their transaction ends, the one who prunes holds it alone; and whoever remembers ids asks how often was pruned before he
uses them (`share`), so that none is used that is gone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from brakeline.platform.database import Connection

ROWS_AT_ONCE: Final = 2_000  # of 1 to 3 kB
_LOCK: Final = "(hashtextextended('brakeline.exposure-values:' || brakeline.current_tenant(), 0))"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def share(conn: Connection) -> int:
    """Keep values from being taken away until this transaction ends; gives how often that was done before."""
    await conn.execute(f"SELECT pg_advisory_xact_lock_shared{_LOCK}")
    return await conn.fetchval("SELECT times FROM brakeline.exposure_pruned") or 0


async def is_due(conn: Connection, now_ms: int, every_ms: int) -> bool:
    """Whether the last time is so long ago, or there was none."""
    at = await conn.fetchval("SELECT pruned_at FROM brakeline.exposure_pruned")
    return at is None or _stamp(now_ms) - at >= timedelta(milliseconds=every_ms)


async def prune(conn: Connection, tenant_id: str, now_ms: int) -> int:
    """Take away every value that no row names; gives how many. Who writes a row waits for this: one pass over rows."""
    await conn.execute(f"SELECT pg_advisory_xact_lock{_LOCK}")
    ids = [r[0] for r in await conn.fetch("SELECT value_id FROM brakeline.exposure_value")]
    used = np.zeros(max(ids, default=0) + 1, bool)
    cursor = await conn.cursor("SELECT units, offers, gaps FROM brakeline.exposure_row")
    while rows := await cursor.fetch(ROWS_AT_ONCE):
        named = np.frombuffer(b"".join(part for row in rows for part in row), "<u4")
        used[named[named < len(used)]] = True
    gone = [one for one in ids if not used[one]]
    await conn.execute("DELETE FROM brakeline.exposure_value WHERE value_id = ANY ($1::int[])", gone)
    await conn.execute(
        """INSERT INTO brakeline.exposure_pruned AS p VALUES ($1, 1, $2)
           ON CONFLICT (tenant_id) DO UPDATE SET times = p.times + 1, pruned_at = excluded.pruned_at""",
        tenant_id, _stamp(now_ms),
    )  # fmt: skip
    return len(gone)


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
