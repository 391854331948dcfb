"""Use cases of the shape: count each hour once, and say what shape the fleet has.

Invariants: an hour is one question to the database, whatever the number of processes; it is counted only by a server
that has been up for a while, because right after a start nobody has been heard yet; what is kept are counts.
"""

from __future__ import annotations

from typing import Final

from brakeline.core.clock import Clock
from brakeline.core.limits import CHECK_IN_INTERVAL_S, SILENCE_GRACE_INTERVALS
from brakeline.fleet.parts import FleetParts
from brakeline.fleet.shape import HOUR_MS, Shape, shape
from brakeline.fleet.store import hours, lists
from brakeline.platform.database import Database
from brakeline.tenancy.model import Principal

SETTLE_S: Final = 600.0  # after a start: by then whoever is there was heard
LAPTOP_GRACE_S: Final = 7_200.0  # as `rollout.model.Policy`
KEPT_MS: Final = 35 * 86_400_000  # five weeks
LOOK_S: Final = 60.0
KINDS: Final = ("class", "region", "os", "tag")


class HourCount:
    """Counts hours; see the module."""

    def __init__(self, db: Database, clock: Clock, settle_s: float = SETTLE_S) -> None:
        self._db, self._clock, self._settle_s = db, clock, settle_s
        self._up_since_s = clock.monotonic_s()
        self._counted: dict[str, int] = {}  # hour by organisation; saves the question, the database decides

    async def count(self, tenants: list[str]) -> str:
        """For `platform.driver.Reconciler`, every `LOOK_S`: the present hour of every organisation."""
        if self._clock.monotonic_s() - self._up_since_s < self._settle_s:
            return "waiting for everybody to be heard"
        now_ms, made = self._clock.now_ms(), 0
        hour_ms, grace_s = now_ms - now_ms % HOUR_MS, float(CHECK_IN_INTERVAL_S * SILENCE_GRACE_INTERVALS)
        for tenant_id in tenants:
            if self._counted.get(tenant_id) == hour_ms:
                continue
            async with self._db.tenant(tenant_id) as conn:
                made += await hours.sample(conn, tenant_id, hour_ms, now_ms, grace_s, LAPTOP_GRACE_S, KEPT_MS)
            self._counted[tenant_id] = hour_ms
        return f"{made} lines of this hour"


class ShapeUse(FleetParts):
    """What people ask."""

    async def shape(self, principal: Principal) -> Shape:
        """How many endpoints of which kind there are, and when they are there. Counts alone."""
        principal.require("endpoint.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            counts = {kind: await lists.values(conn, kind) for kind in KINDS}
            return shape(self.clock.now_ms(), counts, await hours.hours(conn))
