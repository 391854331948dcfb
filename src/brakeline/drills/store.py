"""Drills as rows, and the two functions that make and empty the drill organisation."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg

from brakeline.drills.model import Consent, Drill, Report, State
from brakeline.platform.database import Connection
from brakeline.protocol.codec import encode, from_plain

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def at(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def ms(stamp: datetime | None) -> int:
    return 0 if stamp is None else (stamp - EPOCH) // timedelta(milliseconds=1)


def _drill(r: Any) -> Drill:
    report = from_plain(Report, json.loads(r["report"])) if r["report"] else None
    return Drill(
        r["drill_id"], r["fault"], r["endpoints"], ms(r["asked_at"]), r["asked_by"], State(r["state"]),
        ms(r["ended_at"]), r["why"], report, r["rollout_id"] or "",
    )  # fmt: skip


async def insert(conn: Connection, tenant_id: str, d: Drill) -> bool:
    """False when one runs already."""
    try:
        async with conn.transaction():
            await conn.execute(
                """INSERT INTO brakeline.drill (tenant_id, drill_id, fault, endpoints, asked_at, asked_by, state)
                   VALUES ($1,$2,$3,$4,$5,$6,$7)""",
                tenant_id, d.id, d.fault, d.endpoints, at(d.asked_ms), d.asked_by, d.state.value,
            )  # fmt: skip
    except asyncpg.UniqueViolationError:
        return False
    return True


async def on_real(conn: Connection, drill_id: str, rollout_id: str) -> None:
    """Its rollout over real endpoints."""
    await conn.execute("UPDATE brakeline.drill SET rollout_id = $2 WHERE drill_id = $1", drill_id, rollout_id)


async def consent(conn: Connection) -> Consent | None:
    row = await conn.fetchrow("SELECT * FROM brakeline.drill_consent")
    return Consent(ms(row["given_at"]), row["given_by"]) if row else None


async def give_consent(conn: Connection, tenant_id: str, given: Consent) -> bool:
    """False when it was given before."""
    status: str = await conn.execute(
        "INSERT INTO brakeline.drill_consent VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        tenant_id, at(given.given_ms), given.given_by,
    )  # fmt: skip
    return status.endswith(" 1")


async def take_consent_back(conn: Connection) -> bool:
    status: str = await conn.execute("DELETE FROM brakeline.drill_consent")
    return status.endswith(" 1")


async def end(conn: Connection, drill_id: str, state: State, why: str, report: Report | None, now_ms: int) -> bool:
    """The end of one that runs; False when it had ended already."""
    status: str = await conn.execute(
        """UPDATE brakeline.drill SET state = $2, why = $3, report = $4, ended_at = $5
           WHERE drill_id = $1 AND state = 'running'""",
        drill_id, state.value, why, encode(report).decode() if report else None, at(now_ms),
    )  # fmt: skip
    return status.endswith(" 1")


async def get(conn: Connection, drill_id: str) -> Drill | None:
    row = await conn.fetchrow("SELECT * FROM brakeline.drill WHERE drill_id = $1", drill_id)
    return _drill(row) if row else None


async def page(conn: Connection, before: str | None, limit: int) -> list[Drill]:
    """Newest first."""
    rows = await conn.fetch(
        """SELECT * FROM brakeline.drill WHERE $1::text IS NULL OR drill_id < $1
           ORDER BY drill_id DESC LIMIT $2""",
        before, limit,
    )  # fmt: skip
    return [_drill(r) for r in rows]


async def running(conn: Connection) -> Drill | None:
    row = await conn.fetchrow("SELECT * FROM brakeline.drill WHERE state = 'running'")
    return _drill(row) if row else None


async def organisation(conn: Connection, new_id: str, now_ms: int) -> str | None:
    """The drill organisation of this transaction's organisation; None for one that is itself for drills."""
    found: str | None = await conn.fetchval("SELECT brakeline.drill_tenant($1, $2)", new_id, at(now_ms))
    return found


async def clear(conn: Connection) -> int:
    """Remove everything of the drill organisation; how many endpoints that were."""
    removed: int = await conn.fetchval("SELECT brakeline.drill_clear()")
    return removed
