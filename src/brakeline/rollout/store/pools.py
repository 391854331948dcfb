"""Consent to a pool, and what is told and heard in it, as rows. Other organisations' rows are reached by two functions
only, of which one writes one's own and the other gives sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brakeline.platform.database import Connection
from brakeline.rollout.evidence import Row
from brakeline.rollout.store.rollouts import at, ms
from brakeline.rollout.summary import Bets


@dataclass(frozen=True, slots=True)
class Consent:
    """That an organisation shares and listens, since when, and by whom."""

    given_ms: int
    given_by: str


@dataclass(frozen=True, slots=True)
class Told:
    """One sum: of which row, of which ring."""

    row: Row
    ring: int
    bets: Bets


async def consent(conn: Connection) -> Consent | None:
    """This organisation's."""
    r = await conn.fetchrow("SELECT * FROM brakeline.pool_consent")
    return Consent(ms(r["given_at"]), r["given_by"]) if r else None


async def give(conn: Connection, tenant_id: str, by: str, now_ms: int) -> None:
    """From now on."""
    await conn.execute(
        """INSERT INTO brakeline.pool_consent (tenant_id, given_at, given_by) VALUES ($1, $2, $3)
           ON CONFLICT (tenant_id) DO NOTHING""",
        tenant_id, at(now_ms), by,
    )  # fmt: skip


async def withdraw(conn: Connection) -> bool:
    """No more; whether there was any."""
    status: str = await conn.execute("DELETE FROM brakeline.pool_consent")
    return status.endswith(" 1")


async def tell(conn: Connection, subject: str, rollout_id: str, rows: Iterable[Told], now_ms: int) -> None:
    """What this rollout knows by now."""
    said = list(rows)
    await conn.execute(
        "SELECT brakeline.pool_tell($1, $2, $3, $4, $5, $6, $7, $8)",
        subject, rollout_id, at(now_ms), [x.row[0] for x in said], [x.row[1] for x in said],
        [x.row[2] for x in said], [x.ring for x in said], ["{" + ",".join(map(repr, x.bets)) + "}" for x in said],
    )  # fmt: skip


async def hear(conn: Connection, subject: str) -> tuple[list[Told], int]:
    """The sums of all others, and how many organisations they are."""
    rows = await conn.fetch("SELECT * FROM brakeline.pool_hear($1)", subject)
    found = [Told((r["signal"], r["checkpoint"], r["grp"]), r["ring"], tuple(r["bets"])) for r in rows]
    return found, rows[0]["others"] if rows else 0
