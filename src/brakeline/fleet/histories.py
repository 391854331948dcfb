"""Use cases of the history of installed software: what changed on one endpoint, and when; what is too old goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Invalid, NotFound
from brakeline.fleet.history import Step
from brakeline.fleet.parts import FleetParts
from brakeline.fleet.store import histories, lists
from brakeline.platform.database import Connection
from brakeline.tenancy.model import Principal

STEPS_READ_MAX: Final = 1000
ROUNDS_MAX: Final = 50  # of pruning in one go


@dataclass(frozen=True, slots=True)
class History:
    """Steps of one endpoint, newest first. `begins_ms`: of what came before nothing is known; 0 = nothing at all is."""

    steps: tuple[Step, ...]
    begins_ms: int
    more: bool = False  # older ones of the span were left out


class HistoryUse(FleetParts):
    """See the module."""

    async def history(
        self, principal: Principal, endpoint_id: str, since_ms: int = 0, until_ms: int = 0, limit: int = 200
    ) -> History:
        """Steps after `since_ms` until `until_ms` (0 = now)."""
        principal.require("endpoint.read")
        until_ms = until_ms or self.clock.now_ms()
        if not 0 <= since_ms <= until_ms or not 1 <= limit <= STEPS_READ_MAX:
            raise Invalid(f"a span begins before it ends, and limit is 1 to {STEPS_READ_MAX}")
        await self.require_endpoint(principal, endpoint_id)
        async with self.db.tenant(principal.tenant_id) as conn:
            found = await histories.steps(conn, endpoint_id, since_ms, until_ms, limit + 1)
            begins_ms = await histories.begins(conn, endpoint_id)
        return History(found[:limit], begins_ms, len(found) > limit)

    async def require_endpoint(self, principal: Principal, endpoint_id: str) -> None:
        """Raises `NotFound` where this organisation has, and had, no such endpoint."""
        principal.require("endpoint.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            if not await lists.exists(conn, endpoint_id):
                raise NotFound("no such endpoint", id=endpoint_id[:40])

    async def forget_history(self, tenant_id: str, before_ms: int) -> int:
        """What is older, and what one endpoint has too much of; how many steps went."""
        gone = 0
        for _ in range(ROUNDS_MAX):
            async with self.db.tenant(tenant_id) as conn:
                now = await histories.prune(conn, before_ms)
            gone += now
            if not now:
                break
        return gone


async def note(conn: Connection, tenant_id: str, endpoint_id: str, step: Step | None) -> None:
    """In the transaction of the inventory."""
    if step is not None:
        await histories.add(conn, tenant_id, endpoint_id, step)
