"""Rows of a rollout that were written since a moment, and pages of them all: what lets a step read little.

A moment is a number of transactions (`platform.changed.horizon`): read it *before* the rows, and ask with it the next
time. Nothing that was committed in between is missed; what was on its way is given again.
"""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.platform.database import Connection
from brakeline.rollout.model import Progress
from brakeline.rollout.store.arms import SubjectRow, Target, as_subject, as_target


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one treated endpoint is, and where it was drawn: all that the check-in path asks."""

    endpoint_id: str
    progress: Progress
    region: str
    u: int
    aside: bool = False


async def targets(conn: Connection, rollout_id: str, since: int) -> list[Target]:
    """Targets written since."""
    rows = await conn.fetch(
        "SELECT * FROM brakeline.rollout_target WHERE rollout_id = $1 AND changed >= $2::text::xid8",
        rollout_id, str(since),
    )  # fmt: skip
    return [as_target(r) for r in rows]


async def subjects(conn: Connection, rollout_id: str, since: int) -> list[SubjectRow]:
    """Subjects written since, in the order in which they were ready."""
    rows = await conn.fetch(
        """SELECT * FROM brakeline.rollout_subject WHERE rollout_id = $1 AND changed >= $2::text::xid8
           ORDER BY ready_at, endpoint_id""",
        rollout_id, str(since),
    )  # fmt: skip
    return [as_subject(r) for r in rows]


async def page(conn: Connection, rollout_id: str, after: str, limit: int) -> tuple[list[Target], list[SubjectRow]]:
    """The next targets by id, whenever written, and every subject of these."""
    rows = await conn.fetch(
        """SELECT * FROM brakeline.rollout_target WHERE rollout_id = $1 AND endpoint_id > $2
           ORDER BY endpoint_id LIMIT $3""",
        rollout_id, after, limit,
    )  # fmt: skip
    found = [as_target(r) for r in rows]
    last = found[-1].endpoint_id if found else after
    mine = await conn.fetch(
        "SELECT * FROM brakeline.rollout_subject WHERE rollout_id = $1 AND endpoint_id > $2 AND endpoint_id <= $3",
        rollout_id, after, last,
    )  # fmt: skip
    return found, [as_subject(r) for r in mine]


async def standings(conn: Connection, rollout_id: str, since: int) -> list[Standing]:
    """Treated endpoints whose rows were written since; 0 = all of them."""
    rows = await conn.fetch(
        """SELECT endpoint_id, progress, region, u, set_aside_at IS NOT NULL AS aside FROM brakeline.rollout_subject
           WHERE rollout_id = $1 AND changed >= $2::text::xid8 AND arm = 'treated'""",
        rollout_id, str(since),
    )  # fmt: skip
    return [Standing(r["endpoint_id"], Progress(r["progress"]), r["region"], r["u"], r["aside"]) for r in rows]
