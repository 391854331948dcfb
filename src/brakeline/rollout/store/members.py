"""Targets of a rollout page by page, in the order of their host names, each with the subject that tells of it.

The database sorts and filters, and gives a page's own rows: it goes on after the host name and id of one endpoint. No
index by name: one that begins as the primary key does is taken for it where statistics are old. The treated subject
tells; without one the first control does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.platform.database import Connection
from brakeline.rollout.store.arms import SubjectRow, Target, as_subject, as_target

# Treated endpoints are put into an array, not joined: where statistics are old a join would walk over all pairs.
PAGE: Final = """
SELECT t.* FROM brakeline.rollout_target t
WHERE t.rollout_id = $1 AND (t.hostname, t.endpoint_id) > ($2, $3) AND ($4 = '' OR t.region = $4)
  AND ($5::int IS NULL OR t.endpoint_id = ANY (ARRAY(
    SELECT endpoint_id FROM brakeline.rollout_subject WHERE rollout_id = $1 AND arm = 'treated' AND ring = $5)))
  AND ($6::boolean IS NULL OR $6 = (t.endpoint_id = ANY (ARRAY(
    SELECT endpoint_id FROM brakeline.rollout_subject WHERE rollout_id = $1 AND arm = 'treated'))))
ORDER BY t.hostname, t.endpoint_id LIMIT $7
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """Of which targets; None and "" = whichever. `ring`: in which they were treated."""

    region: str = ""
    ring: int | None = None
    treated: bool | None = None


async def page(
    conn: Connection, rollout_id: str, asked: Asked, after: str, limit: int
) -> list[tuple[Target, SubjectRow | None]]:
    """The next targets that were asked for, after the one with this id ("" = from the first on)."""
    name: str | None = await conn.fetchval(
        "SELECT hostname FROM brakeline.rollout_target WHERE rollout_id = $1 AND endpoint_id = $2", rollout_id, after
    )
    rows = await conn.fetch(PAGE, rollout_id, name or "", after, asked.region, asked.ring, asked.treated, limit)
    found = [as_target(r) for r in rows]
    told = await conn.fetch(
        """SELECT DISTINCT ON (endpoint_id) * FROM brakeline.rollout_subject
           WHERE rollout_id = $1 AND endpoint_id = ANY($2)
           ORDER BY endpoint_id, (arm = 'treated') DESC, ready_at""",
        rollout_id, [t.endpoint_id for t in found],
    )  # fmt: skip
    by_id = {r["endpoint_id"]: as_subject(r) for r in told}
    return [(t, by_id.get(t.endpoint_id)) for t in found]


@dataclass(frozen=True, slots=True)
class Counted:
    """Of one rollout: endpoints, and of these treated, proven at some time, failed."""

    targets: int
    treated: int
    proven: int
    failed: int


async def counts(conn: Connection, rollout_ids: Sequence[str]) -> dict[str, Counted]:
    """Of each of these rollouts, counted by the database."""
    rows = await conn.fetch(
        """SELECT r.id, (SELECT count(*) FROM brakeline.rollout_target t WHERE t.rollout_id = r.id) AS targets, s.*
           FROM unnest($1::text[]) r(id) CROSS JOIN LATERAL (
             SELECT count(*) AS treated, count(proven_at) AS proven,
               count(*) FILTER (WHERE progress = 'failed') AS failed
             FROM brakeline.rollout_subject WHERE rollout_id = r.id AND arm = 'treated') s""",
        list(rollout_ids),
    )
    return {r["id"]: Counted(r["targets"], r["treated"], r["proven"], r["failed"]) for r in rows}
