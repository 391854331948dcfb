"""SQL of runs and their parts. Rows <-> model, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from brakeline.platform.database import Connection
from brakeline.protocol.codec import encode_sparse
from brakeline.protocol.messages import RunEntry
from brakeline.runlog.model import Run

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_entries: Final = msgspec.json.Decoder(tuple[RunEntry, ...])
PRUNED_AT_ONCE: Final = 200  # runs: their parts are at most a MiB each


async def lock(conn: Connection, tenant_id: str, one: Run) -> Run:
    """The run of this transaction, made if it is new, held until the commit."""
    await conn.execute(
        """INSERT INTO brakeline.run (tenant_id, endpoint_id, transaction_id, offer_id, rollout_id, began_at, heard_at)
           VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING""",
        tenant_id, one.endpoint_id, one.transaction_id, one.offer_id, one.rollout_id, _stamp(one.began_ms),
    )  # fmt: skip
    row = await conn.fetchrow(
        "SELECT * FROM brakeline.run WHERE endpoint_id = $1 AND transaction_id = $2 FOR NO KEY UPDATE",
        one.endpoint_id, one.transaction_id,
    )  # fmt: skip
    assert row is not None, "it was made just now"
    return _run(row)


async def save(conn: Connection, one: Run) -> None:
    await conn.execute(
        """UPDATE brakeline.run SET heard_at = $3, ended_at = $4, next = $5, bytes = $6, missing = $7, refused = $8
           WHERE endpoint_id = $1 AND transaction_id = $2""",
        one.endpoint_id, one.transaction_id, _stamp(one.heard_ms), _stamp(one.ended_ms) if one.ended_ms else None,
        one.next, one.bytes, one.missing, one.refused,
    )  # fmt: skip


async def add_part(conn: Connection, tenant_id: str, one: Run, body: str, first: int, following: int) -> None:
    await conn.execute(
        "INSERT INTO brakeline.run_part VALUES ($1, $2, $3, $4, $5, $6)",
        tenant_id, one.endpoint_id, one.transaction_id, first, following, body,
    )  # fmt: skip


def body(entries: Sequence[RunEntry]) -> str:
    """Entries as they are stored."""
    return encode_sparse(tuple(entries)).decode()


async def run(conn: Connection, endpoint_id: str, transaction_id: str) -> Run | None:
    row = await conn.fetchrow(
        "SELECT * FROM brakeline.run WHERE endpoint_id = $1 AND transaction_id = $2", endpoint_id, transaction_id
    )
    return _run(row) if row else None


async def runs(conn: Connection, endpoint_id: str, rollout_id: str, limit: int) -> tuple[Run, ...]:
    """The newest of an endpoint ("" = of any rollout), newest first."""
    rows = await conn.fetch(
        """SELECT * FROM brakeline.run WHERE endpoint_id = $1 AND ($2 = '' OR rollout_id = $2)
           ORDER BY began_at DESC, transaction_id DESC LIMIT $3""",
        endpoint_id, rollout_id, limit,
    )  # fmt: skip
    return tuple(map(_run, rows))


async def entries(conn: Connection, one: Run, begin: int) -> tuple[RunEntry, ...]:
    """Entries from this number on."""
    rows = await conn.fetch(
        """SELECT body FROM brakeline.run_part WHERE endpoint_id = $1 AND transaction_id = $2 AND next > $3
           ORDER BY first""",
        one.endpoint_id, one.transaction_id, begin,
    )  # fmt: skip
    return tuple(e for r in rows for e in _entries.decode(r["body"]) if e.n >= begin)


async def newest_parts(
    conn: Connection, rollout_id: str, endpoint_ids: Sequence[str]
) -> dict[str, tuple[RunEntry, ...]]:
    """Of these endpoints, what was told last of their runs in a rollout."""
    rows = await conn.fetch(
        """SELECT e.endpoint_id, p.body FROM unnest($2::text[]) e(endpoint_id) CROSS JOIN LATERAL (
             SELECT transaction_id FROM brakeline.run r WHERE r.endpoint_id = e.endpoint_id AND r.rollout_id = $1
             ORDER BY began_at DESC LIMIT 1) r CROSS JOIN LATERAL (
             SELECT body FROM brakeline.run_part p
             WHERE p.endpoint_id = e.endpoint_id AND p.transaction_id = r.transaction_id
             ORDER BY first DESC LIMIT 1) p""",
        rollout_id, list(endpoint_ids),
    )  # fmt: skip
    return {r["endpoint_id"]: _entries.decode(r["body"]) for r in rows}


async def prune(conn: Connection, before_ms: int, bytes_max: int) -> int:
    """Drop some runs that are too old, or beyond so many bytes counted from the newest; how many went."""
    gone: int = await conn.fetchval(
        """WITH counted AS (
             SELECT endpoint_id, transaction_id, heard_at,
               sum(bytes) OVER (ORDER BY heard_at DESC, endpoint_id, transaction_id) AS so_far FROM brakeline.run
           ), over AS (
             SELECT endpoint_id, transaction_id FROM counted WHERE heard_at < $1 OR so_far > $2
             ORDER BY heard_at LIMIT $3
           ), gone AS (
             DELETE FROM brakeline.run d USING over g
             WHERE d.endpoint_id = g.endpoint_id AND d.transaction_id = g.transaction_id RETURNING 1
           ) SELECT count(*) FROM gone""",
        _stamp(before_ms), bytes_max, PRUNED_AT_ONCE,
    )  # fmt: skip
    return gone


def _run(r: Any) -> Run:
    return Run(
        r["transaction_id"], r["endpoint_id"], r["offer_id"], r["rollout_id"], _millis(r["began_at"]),
        _millis(r["heard_at"]), _millis(r["ended_at"]), r["next"], r["bytes"], r["missing"], r["refused"],
    )  # fmt: skip


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime | None) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1)) if at is not None else 0
