"""SQL of acceptances and of terms, one organisation at a time. Rows <-> model, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from brakeline.exposure.acceptance import Acceptance
from brakeline.exposure.due import DEFAULTS, Terms, TwoPeople
from brakeline.platform.database import Connection

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final = (
    "acceptance_id, cve, filter, reason, exploited, made_at, asked_by, approved_by, persons, until, ended_at, ended_by,"
    " ended_why"
)


async def acceptances(conn: Connection, *, every: bool = False, cve: str = "", limit: int = 1000
                      ) -> tuple[Acceptance, ...]:  # fmt: skip
    """Those that nobody has ended, also when their time is over by now; with `every` all of them. Newest first."""
    rows = await conn.fetch(
        f"SELECT {_COLUMNS} FROM brakeline.acceptance WHERE ($1 OR ended_at IS NULL) AND ($2 = '' OR cve = $2)"  # noqa: S608
        " ORDER BY acceptance_id DESC LIMIT $3",
        every, cve, limit,
    )  # fmt: skip
    return tuple(map(_acceptance, rows))


async def acceptance(conn: Connection, acceptance_id: str) -> Acceptance | None:
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM brakeline.acceptance WHERE acceptance_id = $1 FOR UPDATE", acceptance_id  # noqa: S608
    )  # fmt: skip
    return _acceptance(row) if row else None


async def insert(conn: Connection, tenant_id: str, one: Acceptance) -> None:
    """Write it down; what holds for the same thing must have been ended before."""
    await conn.execute(
        f"INSERT INTO brakeline.acceptance (tenant_id, {_COLUMNS})"  # noqa: S608
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, '', '')",
        tenant_id, one.id, one.cve, one.filter, one.reason, one.exploited, _stamp(one.made_ms), one.asked_by,
        one.approved_by, one.persons, _stamp(one.until_ms),
    )  # fmt: skip


async def replaced(conn: Connection, cve: str, filter_text: str, by: str, now_ms: int) -> str:
    """End what holds for the same thing, by another one; its id or ""."""
    gone: str | None = await conn.fetchval(
        """UPDATE brakeline.acceptance SET ended_at = $3, ended_by = $4, ended_why = 'replaced by another one'
           WHERE cve = $1 AND filter = $2 AND ended_at IS NULL RETURNING acceptance_id""",
        cve, filter_text, _stamp(now_ms), by,
    )  # fmt: skip
    return gone or ""


async def end(conn: Connection, acceptance_id: str, by: str, why: str, now_ms: int) -> None:
    await conn.execute(
        """UPDATE brakeline.acceptance SET ended_at = $2, ended_by = $3, ended_why = $4
           WHERE acceptance_id = $1 AND ended_at IS NULL""",
        acceptance_id, _stamp(now_ms), by, why,
    )  # fmt: skip


async def count(conn: Connection) -> int:
    """How many nobody has ended."""
    found: int = await conn.fetchval("SELECT count(*) FROM brakeline.acceptance WHERE ended_at IS NULL")
    return found


async def terms(conn: Connection) -> Terms:
    row = await conn.fetchrow(
        "SELECT exploited, critical, high, moderate, low, unscored, catalogue, two_people FROM brakeline.finding_terms"
    )
    return Terms(**dict(row) | {"two_people": TwoPeople(row["two_people"])}) if row else DEFAULTS


async def set_terms(conn: Connection, tenant_id: str, wanted: Terms, by: str, now_ms: int) -> None:
    await conn.execute(
        """INSERT INTO brakeline.finding_terms VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
           ON CONFLICT (tenant_id) DO UPDATE SET exploited = $2, critical = $3, high = $4, moderate = $5, low = $6,
             unscored = $7, catalogue = $8, two_people = $9, set_at = $10, set_by = $11""",
        tenant_id, *wanted[:7], wanted.two_people.value, _stamp(now_ms), by,
    )  # fmt: skip


def _acceptance(r: Any) -> Acceptance:
    return Acceptance(
        r["acceptance_id"], r["cve"], r["filter"], r["reason"], r["exploited"], _millis(r["made_at"]), r["asked_by"],
        r["approved_by"], r["persons"], _millis(r["until"]), _millis(r["ended_at"]), r["ended_by"], r["ended_why"],
    )  # fmt: skip


def _stamp(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _millis(at: datetime | None) -> int:
    return round((at - _EPOCH) / timedelta(milliseconds=1)) if at is not None else 0
