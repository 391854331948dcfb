"""Treated endpoints that will never take the change, as rows."""

from __future__ import annotations

from collections.abc import Iterable

from brakeline.platform.database import Connection
from brakeline.rollout.giving_way import GAVE, Answered, Gives
from brakeline.rollout.model import Progress
from brakeline.rollout.one import STOPPED
from brakeline.rollout.store.rollouts import at


async def answered(conn: Connection, rollout_id: str, rings: Iterable[int]) -> list[Answered]:
    """Of these rings: those whose offer came to an end before anything began, and who still fill a place."""
    rows = await conn.fetch(
        """SELECT s.endpoint_id, s.ring, s.progress, s.detail, t.blocked_code, t.blocked_reason, t.retry,
             (SELECT count(*) FROM brakeline.rollout_offer o WHERE o.rollout_id = $1 AND o.endpoint_id = s.endpoint_id
                AND NOT EXISTS (SELECT FROM brakeline.rollout_result r WHERE r.offer_id = o.offer_id
                  AND r.endpoint_id = o.endpoint_id AND r.outcome = 'refused' AND r.code = 'halted')) AS offers
           FROM brakeline.rollout_subject s JOIN brakeline.rollout_target t USING (tenant_id, rollout_id, endpoint_id)
           WHERE s.rollout_id = $1 AND s.arm = 'treated' AND s.ring = ANY($2) AND s.set_aside_at IS NULL
             AND NOT s.explicit AND s.progress IN ('refused', 'expired')""",
        rollout_id, list(rings),
    )  # fmt: skip
    return [
        Answered(
            r["endpoint_id"], r["ring"], Progress(r["progress"]), r["detail"],
            r["blocked_reason"] or "stopped here" if r["blocked_code"] == STOPPED else "", r["retry"], r["offers"],
        )
        for r in rows
    ]  # fmt: skip


async def given(conn: Connection, rollout_id: str) -> dict[int, int]:
    """By ring: how many gave way."""
    rows = await conn.fetch(
        """SELECT ring, count(*) AS n FROM brakeline.rollout_subject
           WHERE rollout_id = $1 AND arm = 'treated' AND set_aside_at IS NOT NULL AND starts_with(detail, $2)
           GROUP BY ring""",
        rollout_id, GAVE,
    )  # fmt: skip
    return {r["ring"]: r["n"] for r in rows}


async def give(conn: Connection, rollout_id: str, one: Gives, now_ms: int) -> bool:
    """It stays treated and fills no place any more; False where a result was faster."""
    status: str = await conn.execute(
        """UPDATE brakeline.rollout_subject SET set_aside_at = $3, detail = $4
           WHERE rollout_id = $1 AND endpoint_id = $2 AND arm = 'treated' AND set_aside_at IS NULL
             AND NOT explicit AND progress IN ('refused', 'expired')""",
        rollout_id, one.endpoint_id, at(now_ms), f"{GAVE}{one.why}"[:500],
    )  # fmt: skip
    return status.endswith(" 1")
