"""Consent to a pool, and what is told and heard in it, as rows. Other organisations' rows are reached by two functions
only, of which one writes one's own and the other gives sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brakeline.platform.database import Connection
from brakeline.rollout.evidence import Row
from brakeline.rollout.pool_sheet import Read, SheetRow
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


# --- other installations ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Partner:
    """An organisation elsewhere whose sheets are believed. `taken_ms` 0 = none was taken in yet; `knows`: the level of
    words that its version knows (`pool_sheet.LEVELS`)."""

    name: str
    public_key: str
    made_ms: int
    taken_ms: int
    added_by: str
    knows: int = 1


async def partners(conn: Connection) -> tuple[Partner, ...]:
    """All of them, by name."""
    rows = await conn.fetch("SELECT * FROM brakeline.pool_partner ORDER BY name")
    return tuple(
        Partner(r["name"], r["public_key"], r["made_ms"], ms(r["taken_at"]), r["added_by"], r["knows"]) for r in rows
    )


async def add_partner(conn: Connection, tenant_id: str, name: str, key: str, by: str, now_ms: int) -> bool:
    """False where there is one of that name."""
    status: str = await conn.execute(
        """INSERT INTO brakeline.pool_partner (tenant_id, name, public_key, added_at, added_by)
           VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING""",
        tenant_id, name, key, at(now_ms), by,
    )  # fmt: skip
    return status.endswith(" 1")


async def remove_partner(conn: Connection, name: str) -> bool:
    """With all that it told; False where there is none of that name."""
    status: str = await conn.execute("DELETE FROM brakeline.pool_partner WHERE name = $1", name)
    return status.endswith(" 1")


async def take_in(conn: Connection, tenant_id: str, name: str, found: Read, now_ms: int) -> None:
    """The newest sheet instead of the one before."""
    sheet = found.sheet
    await conn.execute("DELETE FROM brakeline.pool_sheet_row WHERE name = $1", name)
    await conn.executemany(
        """INSERT INTO brakeline.pool_sheet_row (tenant_id, name, subject, signal, checkpoint, grp, ring, bets)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
        [(tenant_id, name, r.subject, r.signal, r.checkpoint, r.group, r.ring, list(r.bets)) for r in sheet.rows],
    )  # fmt: skip
    await conn.execute(
        "UPDATE brakeline.pool_partner SET made_ms = $2, taken_at = $3, knows = $4 WHERE name = $1",
        name, sheet.made_ms, at(now_ms), found.knows,
    )  # fmt: skip


async def hear_partners(conn: Connection, subject: str, after_ms: int) -> list[tuple[str, Told]]:
    """What partners say of one change, each by name; sheets made before `after_ms` are forgotten."""
    rows = await conn.fetch(
        """SELECT r.* FROM brakeline.pool_sheet_row r JOIN brakeline.pool_partner p USING (tenant_id, name)
           WHERE r.subject = $1 AND p.made_ms > $2""",
        subject, after_ms,
    )  # fmt: skip
    return [
        (r["name"], Told((r["signal"], r["checkpoint"], r["grp"]), r["ring"], tuple(r["bets"]))) for r in rows
    ]  # fmt: skip


async def mine(conn: Connection) -> tuple[SheetRow, ...]:
    """What this organisation has told."""
    rows = await conn.fetch("SELECT * FROM brakeline.pool_mine()")
    return tuple(
        SheetRow(r["subject"], r["signal"], r["checkpoint"], r["grp"], r["ring"], tuple(r["bets"])) for r in rows
    )  # fmt: skip
