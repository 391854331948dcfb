"""SQL of the stream and of its receivers, one organisation at a time. Rows <-> model, nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from brakeline.events.model import DeadLetter, Event, Sink
from brakeline.platform.database import Connection

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SINK: Final = (
    "sink_id, name, address, kinds, made_at, made_by, generation, delivered, tries, next_at, problem, worked_at"
)
_EVENT: Final = "tenant_id, sequence, at, kind, subject, data"

# --- the stream ------------------------------------------------------------------------------------------------------


async def head(conn: Connection, tenant_id: str) -> tuple[int, int]:
    """Where the stream ends and up to which entry the audit log is in it, locked. Begins at the log's own end."""
    await conn.execute(
        """INSERT INTO brakeline.event_head
             SELECT $1, 0, coalesce((SELECT sequence FROM brakeline.audit_head), 0)
           ON CONFLICT DO NOTHING""",
        tenant_id,
    )
    row = await conn.fetchrow("SELECT sequence, audited FROM brakeline.event_head FOR UPDATE")
    assert row is not None, "it was made just now"
    return row["sequence"], row["audited"]


async def take_out(conn: Connection, limit: int) -> list[tuple[int, str, str, str]]:
    """Time, kind, subject and data of what waits in the outbox, oldest first; it is gone with this transaction."""
    rows = await conn.fetch(
        """DELETE FROM brakeline.event_outbox WHERE n IN (
             SELECT n FROM brakeline.event_outbox ORDER BY n LIMIT $1) RETURNING n, at, kind, subject, data""",
        limit,
    )
    return [(_millis(r["at"]), r["kind"], r["subject"], r["data"]) for r in sorted(rows, key=lambda r: r["n"])]


async def append(
    conn: Connection, tenant_id: str, after: int, found: Sequence[tuple[int, str, str, str]], audited: int
) -> int:
    """Number them; gives the new end."""
    rows = [(tenant_id, after + 1 + i, _stamp(at), kind, subject, data)
            for i, (at, kind, subject, data) in enumerate(found)]  # fmt: skip
    await conn.executemany(f"INSERT INTO brakeline.event ({_EVENT}) VALUES ($1, $2, $3, $4, $5, $6)", rows)  # noqa: S608
    await conn.execute("UPDATE brakeline.event_head SET sequence = $1, audited = $2", after + len(rows), audited)
    return after + len(rows)


async def events_after(conn: Connection, sequence: int, limit: int) -> tuple[Event, ...]:
    rows = await conn.fetch(
        f"SELECT {_EVENT} FROM brakeline.event WHERE sequence > $1 ORDER BY sequence LIMIT $2", sequence, limit  # noqa: S608
    )  # fmt: skip
    return tuple(map(_event, rows))


async def event(conn: Connection, sequence: int) -> Event | None:
    row = await conn.fetchrow(f"SELECT {_EVENT} FROM brakeline.event WHERE sequence = $1", sequence)  # noqa: S608
    return _event(row) if row else None


async def ends(conn: Connection) -> tuple[int, int]:
    """First and last number that are kept; (1, 0) of nothing."""
    row = await conn.fetchrow("SELECT min(sequence) AS first, max(sequence) AS last FROM brakeline.event")
    if row is None or row["first"] is None:
        last: int = await conn.fetchval("SELECT coalesce(max(sequence), 0) FROM brakeline.event_head")
        return last + 1, last
    return row["first"], row["last"]


async def forget_before(conn: Connection, at_ms: int) -> None:
    await conn.execute("DELETE FROM brakeline.event WHERE at < $1", _stamp(at_ms))


# --- receivers -------------------------------------------------------------------------------------------------------


async def sinks(conn: Connection) -> tuple[Sink, ...]:
    rows = await conn.fetch(f"SELECT {_SINK} FROM brakeline.event_sink ORDER BY name")  # noqa: S608
    return tuple(map(_sink, rows))


async def sink(conn: Connection, sink_id: str) -> Sink | None:
    row = await conn.fetchrow(f"SELECT {_SINK} FROM brakeline.event_sink WHERE sink_id = $1", sink_id)  # noqa: S608
    return _sink(row) if row else None


async def insert_sink(conn: Connection, tenant_id: str, one: Sink) -> bool:
    """False where the name is taken."""
    made = await conn.fetchval(
        """INSERT INTO brakeline.event_sink (tenant_id, sink_id, name, address, kinds, made_at, made_by, generation,
             delivered) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
           ON CONFLICT (tenant_id, name) DO NOTHING RETURNING true""",
        tenant_id, one.id, one.name, one.address, list(one.kinds), _stamp(one.made_ms), one.made_by, one.generation,
        one.delivered,
    )  # fmt: skip
    return bool(made)


async def delete_sink(conn: Connection, sink_id: str) -> None:
    await conn.execute("DELETE FROM brakeline.event_sink WHERE sink_id = $1", sink_id)


async def lease(conn: Connection, sink_id: str, now_ms: int, until_ms: int) -> Sink | None:
    """The receiver, if it is its time and nobody else delivers to it."""
    row = await conn.fetchrow(
        f"""UPDATE brakeline.event_sink SET leased = $3 WHERE sink_id = $1
             AND (leased IS NULL OR leased <= $2) AND (next_at IS NULL OR next_at <= $2) RETURNING {_SINK}""",  # noqa: S608
        sink_id, _stamp(now_ms), _stamp(until_ms),
    )  # fmt: skip
    return _sink(row) if row else None


async def release(conn: Connection, sink_id: str) -> None:
    await conn.execute("UPDATE brakeline.event_sink SET leased = NULL WHERE sink_id = $1", sink_id)


async def taken(conn: Connection, sink_id: str, sequence: int, now_ms: int, *, sent: bool) -> None:
    """It has everything up to here. `sent`: it answered, rather than nothing of it being for it."""
    await conn.execute(
        """UPDATE brakeline.event_sink SET delivered = greatest(delivered, $2), tries = 0, next_at = NULL,
             problem = CASE WHEN $4 THEN '' ELSE problem END, worked_at = CASE WHEN $4 THEN $3 ELSE worked_at END
           WHERE sink_id = $1""",
        sink_id, sequence, _stamp(now_ms), sent,
    )  # fmt: skip


async def failed(conn: Connection, sink_id: str, tries: int, problem: str, next_ms: int) -> None:
    await conn.execute(
        "UPDATE brakeline.event_sink SET tries = $2, problem = $3, next_at = $4 WHERE sink_id = $1",
        sink_id, tries, problem, _stamp(next_ms),
    )  # fmt: skip


async def bury(conn: Connection, tenant_id: str, letter: DeadLetter) -> None:
    await conn.execute(
        "INSERT INTO brakeline.event_dead VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        tenant_id, letter.sink_id, letter.sequence, _stamp(letter.at_ms), letter.problem, letter.tries,
    )  # fmt: skip


async def dead(conn: Connection, sink_id: str, limit: int) -> tuple[DeadLetter, ...]:
    """Oldest first, with the event where it is still kept."""
    rows = await conn.fetch(
        """SELECT d.sink_id, d.sequence, d.at, d.problem, d.tries, e.tenant_id, e.at AS event_at, e.kind, e.subject,
                  e.data
           FROM brakeline.event_dead d LEFT JOIN brakeline.event e USING (tenant_id, sequence)
           WHERE d.sink_id = $1 ORDER BY d.sequence LIMIT $2""",
        sink_id, limit,
    )  # fmt: skip
    return tuple(
        DeadLetter(
            r["sink_id"], r["sequence"], _millis(r["at"]), r["problem"], r["tries"],
            Event(r["tenant_id"], r["sequence"], _millis(r["event_at"]), r["kind"], r["subject"], json.loads(r["data"]))
            if r["kind"] is not None else None,
        )
        for r in rows
    )  # fmt: skip


async def dead_counts(conn: Connection) -> dict[str, int]:
    rows = await conn.fetch("SELECT sink_id, count(*) AS n FROM brakeline.event_dead GROUP BY sink_id")
    return {r["sink_id"]: r["n"] for r in rows}


async def raise_dead(conn: Connection, sink_id: str, sequence: int) -> None:
    await conn.execute(
        "DELETE FROM brakeline.event_dead WHERE sink_id = $1 AND sequence = $2", sink_id, sequence
    )  # fmt: skip


def _event(r: Any) -> Event:
    return Event(r["tenant_id"], r["sequence"], _millis(r["at"]), r["kind"], r["subject"], json.loads(r["data"]))


def _sink(r: Any) -> Sink:
    return Sink(
        r["sink_id"], r["name"], r["address"], tuple(r["kinds"]), _millis(r["made_at"]), r["made_by"], r["generation"],
        r["delivered"], r["tries"], _millis(r["next_at"]), r["problem"], _millis(r["worked_at"]),
    )  # fmt: skip


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime | None) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1)) if at is not None else 0
