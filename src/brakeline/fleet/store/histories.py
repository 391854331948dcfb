"""Steps of installed software: written with the inventory that shows them, read by time, pruned by age and number."""

from __future__ import annotations

from typing import Final

from brakeline.fleet.history import STEPS_MAX, Changed, Step
from brakeline.fleet.store.rows import Connection, millis, stamp

PRUNED_AT_ONCE: Final = 1_000  # steps in one statement: a few thousand rows, well within its time-out


async def add(conn: Connection, tenant_id: str, endpoint_id: str, step: Step) -> None:
    """A sequence begins anew with a new state of the agent: what had its number before gives way."""
    await conn.execute(
        "DELETE FROM brakeline.package_step WHERE endpoint_id = $1 AND sequence = $2", endpoint_id, step.sequence
    )
    await conn.execute(
        "INSERT INTO brakeline.package_step VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        tenant_id, endpoint_id, step.sequence, stamp(step.at_ms), step.packages, step.total,
        step.total - len(step.changes), step.first,
    )  # fmt: skip
    if step.changes:
        await conn.execute(
            "INSERT INTO brakeline.package_change SELECT $1, $2, $3, u.* FROM"
            " unnest($4::text[], $5::text[], $6::text[], $7::text[]) AS u",
            tenant_id, endpoint_id, step.sequence, [c.name for c in step.changes],
            [c.architecture for c in step.changes], [c.before for c in step.changes], [c.after for c in step.changes],
        )  # fmt: skip


async def steps(conn: Connection, endpoint_id: str, since_ms: int, until_ms: int, limit: int) -> tuple[Step, ...]:
    """After `since_ms` until `until_ms`, the newest so many, newest first."""
    rows = await conn.fetch(
        """SELECT * FROM brakeline.package_step WHERE endpoint_id = $1 AND at > $2 AND at <= $3
           ORDER BY at DESC, sequence DESC LIMIT $4""",
        endpoint_id, stamp(since_ms), stamp(until_ms), limit,
    )  # fmt: skip
    found = await conn.fetch(
        """SELECT sequence, name, architecture, before, after FROM brakeline.package_change
           WHERE endpoint_id = $1 AND sequence = ANY($2) ORDER BY name, architecture""",
        endpoint_id, [r["sequence"] for r in rows],
    )  # fmt: skip
    by: dict[int, list[Changed]] = {r["sequence"]: [] for r in rows}
    for r in found:
        by[r["sequence"]].append(Changed(r["name"], r["architecture"], r["before"], r["after"]))
    return tuple(
        Step(r["sequence"], millis(r["at"]), r["packages"], tuple(by[r["sequence"]]), r["changes"], r["first"])
        for r in rows
    )


async def begins(conn: Connection, endpoint_id: str) -> int:
    """When the oldest step that is kept was committed; 0 = none is."""
    return millis(await conn.fetchval("SELECT min(at) FROM brakeline.package_step WHERE endpoint_id = $1", endpoint_id))


async def prune(conn: Connection, before_ms: int) -> int:
    """Drop some of what is too old, and of what one endpoint has too much of; how many steps went."""
    gone: int = await conn.fetchval(
        """WITH old AS (
             SELECT endpoint_id, sequence FROM brakeline.package_step WHERE at < $1 LIMIT $3
           ), many AS (
             SELECT endpoint_id FROM brakeline.package_step GROUP BY endpoint_id HAVING count(*) > $2
           ), beyond AS (
             SELECT s.endpoint_id, s.sequence FROM many m CROSS JOIN LATERAL (
               SELECT endpoint_id, sequence FROM brakeline.package_step x WHERE x.endpoint_id = m.endpoint_id
               ORDER BY at DESC, sequence DESC OFFSET $2 LIMIT $3) s
           ), gone AS (
             DELETE FROM brakeline.package_step d USING (TABLE old UNION TABLE beyond) g
             WHERE d.endpoint_id = g.endpoint_id AND d.sequence = g.sequence RETURNING 1
           ) SELECT count(*) FROM gone""",
        stamp(before_ms), STEPS_MAX, PRUNED_AT_ONCE,
    )  # fmt: skip
    return gone
