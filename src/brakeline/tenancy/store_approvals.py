"""Requests for acts of two people, and what was done to accounts, as rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from brakeline.platform.database import Connection
from brakeline.tenancy.store import at, ms
from brakeline.tenancy.two_people import Act, Event, Request, Way


def _request(r: Any) -> Request:
    return Request(
        r["approval_id"], Act(r["act"]), r["object_id"], json.loads(r["parameters"]), tuple(r["says"]), r["situation"],
        ms(r["asked_at"]) or 0, r["asked_by_id"], r["asked_by"], r["first_person"], Way(r["way"]),
        ms(r["not_before"]) or 0, ms(r["expires_at"]) or 0, r["state"], ms(r["decided_at"]) or 0, r["decided_by_id"],
        r["decided_by"], r["note"],
    )  # fmt: skip


async def insert(conn: Connection, tenant_id: str, r: Request) -> None:
    await conn.execute(
        """INSERT INTO brakeline.approval (tenant_id, approval_id, act, object_id, parameters, says, situation,
             asked_at, asked_by_id, asked_by, first_person, way, not_before, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)""",
        tenant_id, r.approval_id, r.act.value, r.object_id, json.dumps(dict(r.parameters)), list(r.says), r.situation,
        at(r.asked_ms), r.asked_by_id, r.asked_by, r.first, r.way.value,
        at(r.not_before_ms) if r.not_before_ms else None, at(r.expires_ms),
    )  # fmt: skip


async def get(conn: Connection, approval_id: str, *, lock: bool = False) -> Request | None:
    tail = " FOR UPDATE" if lock else ""
    row = await conn.fetchrow(f"SELECT * FROM brakeline.approval WHERE approval_id = $1{tail}", approval_id)  # noqa: S608
    return _request(row) if row else None


async def pending(conn: Connection, act: Act, object_id: str, *, lock: bool = False) -> Request | None:
    """The request for one thing that is neither done nor given up. Its time may be over."""
    tail = " FOR UPDATE" if lock else ""
    where = "act = $1 AND object_id = $2 AND state IN ('open', 'approved')"
    row = await conn.fetchrow(f"SELECT * FROM brakeline.approval WHERE {where}{tail}", act.value, object_id)  # noqa: S608
    return _request(row) if row else None


async def about(conn: Connection, object_id: str, now_ms: int) -> Request | None:
    """What waits for somebody about one thing, whatever the act; the newest."""
    row = await conn.fetchrow(
        """SELECT * FROM brakeline.approval
           WHERE object_id = $1 AND state IN ('open', 'approved') AND expires_at > $2
           ORDER BY asked_at DESC LIMIT 1""",
        object_id, at(now_ms),
    )  # fmt: skip
    return _request(row) if row else None


async def newest(conn: Connection, limit: int, open_after_ms: int | None) -> tuple[Request, ...]:
    """Newest first; with `open_after_ms` only those that wait for somebody and do not expire before it."""
    rows = await conn.fetch(
        """SELECT * FROM brakeline.approval
           WHERE $2::timestamptz IS NULL OR (state IN ('open', 'approved') AND expires_at > $2)
           ORDER BY asked_at DESC, approval_id DESC LIMIT $1""",
        limit, None if open_after_ms is None else at(open_after_ms),
    )  # fmt: skip
    return tuple(map(_request, rows))


async def decide(conn: Connection, r: Request) -> None:
    """Write down whatever may change of a request."""
    await conn.execute(
        """UPDATE brakeline.approval SET state = $2, decided_at = $3, decided_by_id = $4, decided_by = $5, note = $6,
             first_person = $7, way = $8, not_before = $9, expires_at = $10 WHERE approval_id = $1""",
        r.approval_id, r.state, at(r.decided_ms) if r.decided_ms else None, r.decided_by_id, r.decided_by, r.note,
        r.first, r.way.value, at(r.not_before_ms) if r.not_before_ms else None, at(r.expires_ms),
    )  # fmt: skip


async def add_event(conn: Connection, tenant_id: str, event: Event) -> None:
    await conn.execute(
        """INSERT INTO brakeline.person_change (tenant_id, at, change, person_id, by_person, before)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        tenant_id, at(event.at_ms), event.change, event.person_id, event.by, sorted(event.before),
    )  # fmt: skip


async def events(conn: Connection, since_ms: int) -> tuple[Event, ...]:
    rows: Iterable[Any] = await conn.fetch(
        "SELECT * FROM brakeline.person_change WHERE at >= $1 ORDER BY change_id", at(since_ms)
    )
    return tuple(
        Event(ms(r["at"]) or 0, r["change"], r["person_id"], r["by_person"], frozenset(r["before"])) for r in rows
    )


async def confirm(conn: Connection, session_id: str, person_id: str, now_ms: int) -> bool:
    """This session has proved now who it is. False when it has ended."""
    done: bool = await conn.fetchval("SELECT brakeline.session_confirm($1, $2, $3)", session_id, person_id, at(now_ms))
    return done


async def confirmed_ms(conn: Connection, session_id: str, person_id: str, now_ms: int) -> int:
    """When this session of this person last proved who it is; 0 when there is none."""
    found = await conn.fetchval("SELECT brakeline.session_confirmed($1, $2, $3)", session_id, person_id, at(now_ms))
    return ms(found) or 0


async def tenant_created_ms(conn: Connection) -> int:
    """When the transaction's tenant was made; 0 when there is no such tenant."""
    return ms(await conn.fetchval("SELECT brakeline.tenant_created()")) or 0


async def link_maker(conn: Connection, hashed: bytes) -> str:
    """The person who made a login link; "" = nobody known."""
    found: str = await conn.fetchval("SELECT brakeline.login_link_maker($1)", hashed)
    return found
