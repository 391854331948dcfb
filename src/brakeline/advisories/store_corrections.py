"""SQL of corrections, rows <-> model, nothing else. Reading takes the application's role, writing the feed's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from brakeline.advisories.corrections import KEPT_OF_ONE, Correction
from brakeline.advisories.store import millis, stamp

if TYPE_CHECKING:
    from brakeline.platform.database import Connection

KEPT: Final = 50_000  # of all feeds; older ones go


async def keep(conn: Connection, feed: str, sha256: str, found: Sequence[Correction], now_ms: int) -> None:
    """Write the first `KEPT_OF_ONE` of them, and forget the oldest of all."""
    at = stamp(now_ms)
    records = [
        (at, feed, sha256, c.ecosystem, c.name, c.id, c.kind, c.before, c.after, list(c.names))
        for c in found[:KEPT_OF_ONE]
    ]
    if not records:
        return
    columns = ["at", "feed", "sha256", "ecosystem", "name", "advisory_id", "kind", "before", "after", "names"]
    await conn.copy_records_to_table("advisory_correction", schema_name="brakeline", columns=columns, records=records)
    await conn.execute(
        """DELETE FROM brakeline.advisory_correction WHERE number <=
             (SELECT number FROM brakeline.advisory_correction ORDER BY number DESC OFFSET $1 LIMIT 1)""",
        KEPT,
    )


async def naming(conn: Connection, ids: Sequence[str]) -> list[Correction]:
    """Those of advisories with these ids or other names, the newest first."""
    rows = await conn.fetch(
        """SELECT ecosystem, name, advisory_id, kind, before, after, names, feed, at FROM brakeline.advisory_correction
           WHERE advisory_id = ANY($1) OR names && $1 ORDER BY number DESC LIMIT 200""",
        list(ids),
    )
    return [
        Correction(
            r["ecosystem"], r["name"], r["advisory_id"], r["kind"], r["before"], r["after"], tuple(r["names"]),
            r["feed"], millis(r["at"]),
        )
        for r in rows
    ]  # fmt: skip
