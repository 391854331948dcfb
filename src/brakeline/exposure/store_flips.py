"""SQL of held content and of its bounds, one organisation at a time. Rows <-> model, nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from brakeline.exposure.flips import Bound, Flips, HeldRow
from brakeline.platform.database import Connection
from brakeline.protocol.codec import encode, from_plain

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def held(conn: Connection) -> tuple[HeldRow, ...]:
    """Every feed whose newest content was ever held here, by name."""
    rows = await conn.fetch("SELECT * FROM brakeline.content_flip ORDER BY feed")
    return tuple(map(_row, rows))


async def held_of(conn: Connection, feed: str, *, lock: bool = False) -> HeldRow | None:
    if lock:
        row = await conn.fetchrow("SELECT * FROM brakeline.content_flip WHERE feed = $1 FOR UPDATE", feed)
    else:
        row = await conn.fetchrow("SELECT * FROM brakeline.content_flip WHERE feed = $1", feed)
    return _row(row) if row else None


async def hold(conn: Connection, tenant_id: str, row: HeldRow) -> None:
    """Remember it; other content of the same feed is forgotten together with what people said to it."""
    await conn.execute(
        """INSERT INTO brakeline.content_flip AS c VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
           ON CONFLICT (tenant_id, feed) DO UPDATE SET sha256 = $3, version = $4, flips = $5, kind = $6, reason = $7,
             held_at = $8, decision = $9, decided_at = $10, decided_by = $11, live_at = NULL""",
        tenant_id, row.feed, row.sha256, row.version, encode(row.flips).decode(), row.kind, row.reason,
        _stamp(row.held_ms), row.decision, _stamp(row.decided_ms) if row.decided_ms else None, row.decided_by,
    )  # fmt: skip


async def decide(conn: Connection, feed: str, sha256: str, decision: str, by: str, now_ms: int) -> None:
    await conn.execute(
        """UPDATE brakeline.content_flip SET decision = $3, decided_by = $4, decided_at = $5
           WHERE feed = $1 AND sha256 = $2 AND live_at IS NULL""",
        feed, sha256, decision, by, _stamp(now_ms),
    )  # fmt: skip


async def set_live(conn: Connection, feed: str, now_ms: int) -> None:
    """The newest content of this feed is live; what was held of it waits no more."""
    await conn.execute(
        "UPDATE brakeline.content_flip SET live_at = $2 WHERE feed = $1 AND live_at IS NULL", feed, _stamp(now_ms)
    )


async def bound(conn: Connection) -> Bound:
    row = await conn.fetchrow("SELECT losses, additions FROM brakeline.content_bound")
    return Bound(row["losses"], row["additions"]) if row else Bound()


async def set_bound(conn: Connection, tenant_id: str, wanted: Bound, by: str, now_ms: int) -> None:
    await conn.execute(
        """INSERT INTO brakeline.content_bound VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (tenant_id) DO UPDATE SET losses = $2, additions = $3, set_at = $4, set_by = $5""",
        tenant_id, wanted.losses, wanted.additions, _stamp(now_ms), by,
    )  # fmt: skip


def _row(r: Any) -> HeldRow:
    plain = json.loads(r["flips"])
    return HeldRow(
        r["feed"], r["sha256"], r["version"], from_plain(Flips, plain, "flips"), r["kind"], r["reason"],
        _millis(r["held_at"]), r["decision"], _millis(r["decided_at"]), r["decided_by"], _millis(r["live_at"]),
    )  # fmt: skip


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime | None) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1)) if at is not None else 0
