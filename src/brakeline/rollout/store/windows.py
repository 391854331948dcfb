"""Freeze windows, and who passes them, as rows."""

from __future__ import annotations

from typing import Any

import asyncpg

from brakeline.core.errors import Conflict
from brakeline.platform.database import Connection
from brakeline.rollout.store.rollouts import at, ms
from brakeline.rollout.windows import Span, Window, parse_weekly


class WindowNameTaken(Conflict):
    """There is a freeze window of that name already."""

    code = "freeze-window-name-taken"
    hint = "Choose another name, or remove that one first: brakeline freeze-window list"


async def insert(conn: Connection, tenant_id: str, w: Window) -> None:
    """Raises `WindowNameTaken`."""
    span = w.when if isinstance(w.when, Span) else None
    until = None if span is None or span.until_ms is None else at(span.until_ms)
    try:
        await conn.execute(
            "INSERT INTO brakeline.freeze_window VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
            tenant_id, w.id, w.name, w.filter, w.zone, at(span.from_ms) if span else None, until,
            "" if span else str(w.when), at(w.created_ms), w.created_by,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise WindowNameTaken(name=w.name) from None


async def delete(conn: Connection, window_id: str) -> Window | None:
    """By id or name; what it was."""
    row = await conn.fetchrow(
        "DELETE FROM brakeline.freeze_window WHERE window_id = $1 OR name = $1 RETURNING *", window_id
    )
    return _window(row) if row else None


async def windows(conn: Connection) -> tuple[Window, ...]:
    """All of them, oldest first."""
    rows = await conn.fetch("SELECT * FROM brakeline.freeze_window ORDER BY created_at, name")
    return tuple(map(_window, rows))


def _window(r: Any) -> Window:
    when = (
        parse_weekly(r["weekly"])
        if r["weekly"]
        else Span(ms(r["from_at"]), ms(r["until_at"]) if r["until_at"] else None)
    )
    return Window(r["name"], when, r["zone"], r["filter"], r["window_id"], ms(r["created_at"]), r["created_by"])


async def passes(conn: Connection, rollout_id: str) -> bool:
    """Whether two people have let this rollout go on through freeze windows."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM brakeline.freeze_pass WHERE rollout_id = $1)", rollout_id
    )
    return found
