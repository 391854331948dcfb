"""A process that offers to some endpoints as fast as it can, through the shipped check: `python -m … DSN NOW_MS ID …`.

Prints how many it was let. Run twice at once by a test: what two cells' processes do to one tenant's budget.
"""

from __future__ import annotations

import asyncio
import sys

from brakeline.platform.database import Connection, Database
from brakeline.protocol.messages import Offer, SignedOrder
from brakeline.rollout import budget
from brakeline.rollout.store import budgets, offers


async def offered(db: Database, tenant_id: str, rollout_id: str, endpoint_id: str, now_ms: int) -> bool:
    """One endpoint that is ready: asked and spent in one transaction."""
    async with db.tenant(tenant_id) as conn:
        if budget.refusal(await budgets.state(conn, endpoint_id, now_ms), 1, now_ms) is not None:
            return False
        await insert(conn, tenant_id, rollout_id, endpoint_id, now_ms)
        return True


async def insert(conn: Connection, tenant_id: str, rollout_id: str, endpoint_id: str, now_ms: int) -> None:
    """An offer, whatever the budgets say in Python."""
    offer = Offer(f"of_{endpoint_id[3:]}_{now_ms}", endpoint_id, rollout_id, 1, "ab" * 32, (), now_ms, now_ms + 600_000)
    await offers.insert(conn, tenant_id, offer, SignedOrder("{}", "00"), 1)


async def spend(dsn: str, tenant_id: str, rollout_id: str, now_ms: int, endpoint_ids: list[str]) -> int:
    db = await Database.open(dsn, pool_max=4)
    try:
        return sum(await asyncio.gather(*(offered(db, tenant_id, rollout_id, e, now_ms) for e in endpoint_ids)))
    finally:
        await db.close()


if __name__ == "__main__":
    dsn, tenant, rollout, now = sys.argv[1:5]
    print(asyncio.run(spend(dsn, tenant, rollout, int(now), sys.argv[5:])))
