"""Budgets and what is spent of them, as rows. Spending itself is done by a trigger: see migration 0060.

`state` holds a tenant's budgets for the caller's transaction; everything else only looks.
"""

from __future__ import annotations

from typing import Any

from brakeline.platform.database import Connection
from brakeline.rollout.budget import Budget, Group, Limit, Per, Usage
from brakeline.rollout.store.rollouts import at, ms

STATE = "SELECT * FROM brakeline.budget_state($1, $2)"
HOLD = "SELECT pg_advisory_xact_lock(hashtextextended('brakeline.budget:' || brakeline.current_tenant(), 0))"


def _usage(r: Any) -> Usage:
    spends = tuple(zip(r["slots"], r["spends"], strict=True))
    return Usage(Group(r["key"], r["value"]), Per(r["per"]), r["cap"], r["used"], r["size"], spends)


async def state(conn: Connection, endpoint_id: str, now_ms: int) -> tuple[Usage, ...]:
    """Every budget that an offer to this endpoint spends from, the fleet's first; held until the commit."""
    return tuple(map(_usage, await conn.fetch(STATE, endpoint_id, at(now_ms))))


async def of_the_fleet(conn: Connection, now_ms: int) -> Usage:
    """The budget of the whole fleet per hour."""
    return next(u for u in await state(conn, "", now_ms) if u.of_the_fleet)


async def usages(conn: Connection, now_ms: int) -> tuple[Usage, ...]:
    """Every budget in force, each group that a pattern stands for by itself."""
    return tuple(map(_usage, await conn.fetch("SELECT * FROM brakeline.budget_list($1)", at(now_ms))))


async def budgeted(conn: Connection) -> frozenset[str]:
    """Endpoints that have a budget besides the fleet's."""
    if not await conn.fetchval("SELECT EXISTS (SELECT FROM brakeline.budget WHERE group_key <> '')"):
        return frozenset()
    return frozenset(r[0] for r in await conn.fetch("SELECT * FROM brakeline.budgeted_endpoints()"))


async def budgets(conn: Connection) -> tuple[Budget, ...]:
    """What people have set."""
    rows = await conn.fetch("SELECT * FROM brakeline.budget ORDER BY group_key, group_value, per")
    return tuple(
        Budget(Group(r["group_key"], r["group_value"]), Per(r["per"]), Limit(r["endpoints"], r["permille"]),
               ms(r["set_at"]), r["set_by"])
        for r in rows
    )  # fmt: skip


async def get(conn: Connection, group: Group, per: Per) -> Budget | None:
    """One that people have set; nobody else sets or spends until the commit."""
    await conn.execute(HOLD)
    return next((b for b in await budgets(conn) if (b.group, b.per) == (group, per)), None)


async def put(conn: Connection, tenant_id: str, b: Budget) -> None:
    """Set, or set anew."""
    await conn.execute(
        """INSERT INTO brakeline.budget VALUES ($1,$2,$3,$4,$5,$6,$7,$8)
           ON CONFLICT (tenant_id, group_key, group_value, per) DO UPDATE
           SET endpoints = excluded.endpoints, permille = excluded.permille,
               set_at = excluded.set_at, set_by = excluded.set_by""",
        tenant_id, b.group.key, b.group.value, b.per.value, b.limit.endpoints, b.limit.permille, at(b.set_ms), b.set_by,
    )  # fmt: skip


async def remove(conn: Connection, group: Group, per: Per) -> None:
    await conn.execute(
        "DELETE FROM brakeline.budget WHERE (group_key, group_value, per) = ($1, $2, $3)",
        group.key, group.value, per.value,
    )  # fmt: skip


async def reserved(conn: Connection, rollout_id: str) -> int:
    """Offers that open ticks of other rollouts may still make."""
    found: int = await conn.fetchval(
        """SELECT coalesce(sum(t.budget - t.treated), 0) FROM brakeline.rollout_tick t
           JOIN brakeline.rollout r USING (tenant_id, rollout_id)
           WHERE t.closed_at IS NULL AND t.rollout_id <> $1 AND r.phase = 'rolling' AND r.wish = 'run'
             AND r.change ->> 'kind' IS DISTINCT FROM 'drill'""",
        rollout_id,
    )
    return found


async def sharers(conn: Connection) -> int:
    """Rollouts that go on now."""
    found: int = await conn.fetchval(
        """SELECT count(*) FROM brakeline.rollout WHERE phase IN ('draft', 'rolling') AND wish = 'run'
             AND change ->> 'kind' IS DISTINCT FROM 'drill'"""
    )
    return found
