"""What became of a rollout's updates on each treated endpoint, and who a rollback leaves out, as rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from brakeline.platform.database import Connection
from brakeline.protocol.managers import update_name
from brakeline.rollout.model import Pin, Progress
from brakeline.rollout.undo import Exposed, Told

# Of several results of one endpoint the newest tells whether a way back is kept: it holds what earlier ones changed.
TOLD: Final = """
SELECT s.endpoint_id, t.hostname, s.region, s.progress, s.explicit, s.unhealthy, s.detail,
       r.body->'way_back'->>'stored' AS kept, (r.body->'way_back'->>'packages')::int AS packages,
       r.body->'way_back'->>'code' AS code, r.body->'way_back'->>'reason' AS reason, r.body IS NOT NULL AS told,
       EXISTS (SELECT FROM brakeline.rollout_result c WHERE c.rollout_id = $1 AND c.endpoint_id = s.endpoint_id
               AND jsonb_array_length(c.body->'changes') > 0) AS changed,
       EXISTS (SELECT FROM brakeline.rollout_subject b JOIN brakeline.rollout u USING (tenant_id, rollout_id)
               WHERE b.endpoint_id = s.endpoint_id AND b.arm = 'treated' AND b.progress = 'installed'
               AND u.change->>'undoes' = $1) AS back
FROM brakeline.rollout_subject s
JOIN brakeline.rollout_target t ON t.rollout_id = s.rollout_id AND t.endpoint_id = s.endpoint_id
LEFT JOIN LATERAL (
    SELECT r.body FROM brakeline.rollout_result r
    WHERE r.rollout_id = $1 AND r.endpoint_id = s.endpoint_id AND r.outcome NOT IN ('refused', 'expired')
    ORDER BY r.received_at DESC, r.transaction_id DESC LIMIT 1) r ON true
WHERE s.rollout_id = $1 AND s.arm = 'treated' ORDER BY t.hostname, s.endpoint_id
"""
CHANGES: Final = """
SELECT DISTINCT c->>'name' AS name, c->>'architecture' AS architecture, c->>'before' AS before, c->>'after' AS after
FROM brakeline.rollout_result r, jsonb_array_elements(r.body->'changes') c
WHERE r.rollout_id = $1 AND r.endpoint_id = $2
"""
LEADS_TO: Final = """
SELECT DISTINCT r.endpoint_id, c->>'name' AS name, c->>'architecture' AS architecture, c->>'before' AS before
FROM brakeline.rollout_result r, jsonb_array_elements(r.body->'changes') c
WHERE r.rollout_id = $1 AND ($2 = '' OR r.endpoint_id = $2) AND c->>'before' = ANY($3)
ORDER BY r.endpoint_id, name, before
"""


async def told(conn: Connection, rollout_id: str) -> list[Told]:
    """Every treated endpoint, by host name."""
    return [
        Told(
            r["endpoint_id"], r["hostname"], r["region"], Progress(r["progress"]), r["explicit"], r["unhealthy"],
            r["detail"], r["told"], r["changed"], r["back"], None if r["kept"] is None else r["kept"] == "true",
            r["packages"] or 0, r["code"] or "", r["reason"] or "",
        )
        for r in await conn.fetch(TOLD, rollout_id)
    ]  # fmt: skip


async def undone_by(conn: Connection, rollout_id: str) -> str:
    """The rollback of this rollout that is drafted or under way; "" = none."""
    found: str | None = await conn.fetchval(
        """SELECT rollout_id FROM brakeline.rollout WHERE change->>'undoes' = $1
           AND phase IN ('draft', 'rolling', 'holding') AND wish NOT IN ('brake', 'withdraw') LIMIT 1""",
        rollout_id,
    )
    return found or ""


async def changes(conn: Connection, rollout_id: str, endpoint_id: str) -> frozenset[tuple[str, str, str, str]]:
    """(name, architecture, before, after) of whatever this rollout has changed there, by its own results."""
    rows = await conn.fetch(CHANGES, rollout_id, endpoint_id)
    return frozenset((r["name"], r["architecture"], r["before"], r["after"]) for r in rows)


async def leads_to(conn: Connection, rollout_id: str, pins: Collection[Pin], endpoint_id: str = "") -> dict[str, Pin]:
    """Endpoints (or one) whose way back from this rollout would install one of these updates, and which."""
    if not pins:
        return {}
    rows = await conn.fetch(LEADS_TO, rollout_id, endpoint_id, sorted({p.version for p in pins}))
    found = ((r["endpoint_id"], Pin(update_name(r["name"], r["architecture"]), r["before"])) for r in rows)
    return {endpoint: pin for endpoint, pin in found if pin in pins}


async def leave_out(conn: Connection, tenant_id: str, rollout_id: str, exposed: Iterable[Exposed]) -> None:
    """Who has no way back, by name, for as long as the rollback is known."""
    await conn.executemany(
        """INSERT INTO brakeline.rollout_left_out (tenant_id, rollout_id, endpoint_id, hostname, region, harm, code,
             reason) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)""",
        [(tenant_id, rollout_id, x.endpoint_id, x.hostname, x.region, x.harm, x.code, x.reason) for x in exposed],
    )


async def left_out(conn: Connection, rollout_id: str) -> list[Exposed]:
    """The same again."""
    rows = await conn.fetch(
        "SELECT * FROM brakeline.rollout_left_out WHERE rollout_id = $1 ORDER BY hostname, endpoint_id", rollout_id
    )
    return [Exposed(r["endpoint_id"], r["hostname"], r["region"], r["harm"], r["code"], r["reason"]) for r in rows]
