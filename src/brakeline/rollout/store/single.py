"""One endpoint of a rollout, as rows: what a person asked for it."""

from __future__ import annotations

from brakeline.platform.database import Connection
from brakeline.rollout.one import STOPPED


async def target(conn: Connection, rollout_id: str, endpoint_id: str) -> str | None:
    """Its code of why it cannot start ("" = nothing is known against it), locked; None = no target."""
    code: str | None = await conn.fetchval(
        """SELECT blocked_code FROM brakeline.rollout_target WHERE rollout_id = $1 AND endpoint_id = $2
           FOR NO KEY UPDATE""",
        rollout_id, endpoint_id,
    )  # fmt: skip
    return code


async def stop(conn: Connection, rollout_id: str, endpoint_id: str, reason: str) -> None:
    await conn.execute(
        """UPDATE brakeline.rollout_target SET blocked_code = $3, blocked_reason = $4, retry = false
           WHERE rollout_id = $1 AND endpoint_id = $2""",
        rollout_id, endpoint_id, STOPPED, reason,
    )  # fmt: skip


async def again(conn: Connection, rollout_id: str, endpoint_id: str, *, retry: bool) -> None:
    """It takes part; `retry`: one more offer, whatever came of those before."""
    await conn.execute(
        """UPDATE brakeline.rollout_target SET retry = $3,
             blocked_code = CASE blocked_code WHEN $4 THEN '' ELSE blocked_code END,
             blocked_reason = CASE blocked_code WHEN $4 THEN '' ELSE blocked_reason END
           WHERE rollout_id = $1 AND endpoint_id = $2""",
        rollout_id, endpoint_id, retry, STOPPED,
    )  # fmt: skip


async def by_hand(conn: Connection, rollout_id: str) -> tuple[frozenset[str], frozenset[str]]:
    """Endpoints that were stopped, and those that may try once more."""
    rows = await conn.fetch(
        """SELECT endpoint_id, blocked_code FROM brakeline.rollout_target
           WHERE rollout_id = $1 AND (blocked_code = 'stopped' OR retry)""",
        rollout_id,
    )  # fmt: skip
    stopped = frozenset(r["endpoint_id"] for r in rows if r["blocked_code"] == STOPPED)
    return stopped, frozenset(r["endpoint_id"] for r in rows) - stopped


async def may_retry(conn: Connection, rollout_id: str, endpoint_id: str) -> bool:
    found: bool | None = await conn.fetchval(
        "SELECT retry FROM brakeline.rollout_target WHERE rollout_id = $1 AND endpoint_id = $2", rollout_id, endpoint_id
    )
    return bool(found)
