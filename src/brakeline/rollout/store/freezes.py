"""Freezes of a tenant, as rows."""

from __future__ import annotations

from typing import Any

from brakeline.platform.database import Connection
from brakeline.rollout.journal import Freeze
from brakeline.rollout.store.rollouts import at, ms


def _freeze(r: Any) -> Freeze:
    return Freeze(
        r["freeze_id"], r["pressed_by"], r["pressed_by_id"], ms(r["pressed_at"]), r["reason"], r["presses"],
        frozenset({r["pressed_by_id"]}),
    )  # fmt: skip


async def open_one(conn: Connection) -> Freeze | None:
    """The freeze that nobody has lifted, if any; the oldest of several."""
    row = await conn.fetchrow("SELECT * FROM brakeline.freeze WHERE lifted_at IS NULL ORDER BY freeze_id LIMIT 1")
    return _freeze(row) if row else None


async def lifted(conn: Connection, freeze_id: str) -> bool:
    """Whether this one was lifted."""
    found: bool | None = await conn.fetchval(
        "SELECT lifted_at IS NOT NULL FROM brakeline.freeze WHERE freeze_id = $1", freeze_id
    )
    return found is True


async def press(conn: Connection, tenant_id: str, freeze: Freeze) -> bool:
    """Write down what the journal says; False when that is known already."""
    status: str = await conn.execute(
        """INSERT INTO brakeline.freeze AS f
             (tenant_id, freeze_id, pressed_at, pressed_by, pressed_by_id, reason, presses)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (tenant_id, freeze_id) DO UPDATE SET reason = excluded.reason, presses = excluded.presses
           WHERE f.lifted_at IS NULL AND (f.presses < excluded.presses OR f.reason <> excluded.reason)""",
        tenant_id, freeze.freeze_id, at(freeze.since_ms), freeze.by, freeze.by_id, freeze.reason, freeze.presses,
    )  # fmt: skip
    return status.endswith(" 1")


async def lift(conn: Connection, freeze_id: str, by: str, reason: str, now_ms: int) -> bool:
    """False when it was lifted before."""
    status: str = await conn.execute(
        """UPDATE brakeline.freeze SET lifted_at = $4, lifted_by = $2, lifted_reason = $3
           WHERE freeze_id = $1 AND lifted_at IS NULL""",
        freeze_id, by, reason, at(now_ms),
    )  # fmt: skip
    return status.endswith(" 1")
