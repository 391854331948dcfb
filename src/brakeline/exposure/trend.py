"""Use cases of exposure over time: a line a day, and how long closing took. Over `service`, `store_times`, `following`.

Invariants: a day is written when somebody's fleet was looked at on it and is missing otherwise, never made up; without
closings there is no mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.core.clock import Clock
from brakeline.core.days import DAY_MS, day_of
from brakeline.events import outbox
from brakeline.exposure import store_following, store_times
from brakeline.exposure.following import Following
from brakeline.exposure.service import ExposureService
from brakeline.exposure.times import EMPTY, ExposureDay, Key, Span, Spread, Way
from brakeline.platform.database import Database
from brakeline.tenancy.model import Principal, system_principal

DAY: Final = "exposure.day"  # the event of a day that begins
DAYS_MAX: Final = 730
KEPT_DAYS: Final = 730
LOOK_MS: Final = 10 * 60_000  # how often the line of today is written anew


@dataclass(frozen=True, slots=True)
class TimeRow:
    """How long closing took, for one class and one ring. `ring` -1 = outside of rollouts; hours, None = no closing.

    `median_h` and `p90_h` are limits of buckets: at most so many hours, None also where they are beyond a year.
    """

    kind: str
    ring: int
    closed: int
    mean_h: float | None  # known here -> closed: time to remediate
    median_h: float | None
    p90_h: float | None
    published_known_h: float | None
    known_fixable_h: float | None
    fixable_closed_h: float | None
    removed: int  # not in `closed`: the package went away


class Trend:
    """See the module."""

    def __init__(self, db: Database, clock: Clock, exposure: ExposureService) -> None:
        self._db, self._clock, self._exposure = db, clock, exposure
        self.following = Following(db, clock, exposure)
        self._looked: dict[str, tuple[str, int]] = {}

    async def look(self, tenants: Sequence[str]) -> int:
        """Write today's line of each organisation, if it is time. Idempotent."""
        done = 0
        for tenant_id in tenants:
            now_ms = self._clock.now_ms()
            day, at_ms = self._looked.get(tenant_id, ("", 0))
            if day == day_of(now_ms) and now_ms - at_ms < LOOK_MS:
                continue
            s = await self._exposure.summary(system_principal(tenant_id, "exposure"))
            line = ExposureDay(
                day_of(now_ms), s.endpoints, s.assessed, s.vulnerable, s.cves, s.kev, s.overdue, s.accepted
            )  # fmt: skip
            async with self._db.tenant(tenant_id) as conn:
                if await store_times.set_day(conn, tenant_id, line, now_ms):
                    await outbox.emit(conn, tenant_id, DAY, line.day, line._asdict(), now_ms)
                for kept in (store_times, store_following):
                    await kept.forget_before(conn, day_of(now_ms - KEPT_DAYS * DAY_MS))
            await self.following.look(tenant_id, line.day)
            self._looked[tenant_id] = (line.day, now_ms)
            done += 1
        return done

    async def days(self, principal: Principal, days: int = 90, query: str = "") -> tuple[ExposureDay, ...]:
        """Lines of the last so many days, oldest first: of the fleet, or of a filter that is followed (`NotFound`)."""
        principal.require("exposure.read")
        if query.strip():
            return await self.following.days(principal, query, self._since(days))
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store_times.days(conn, self._since(days))

    async def times(self, principal: Principal, days: int = 90) -> tuple[TimeRow, ...]:
        """How long closing took, by class and ring, over the last so many days."""
        principal.require("exposure.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return rows(await store_times.closings(conn, self._since(days)))

    def _since(self, days: int) -> str:
        return day_of(self._clock.now_ms() - min(max(days, 1), DAYS_MAX) * DAY_MS)


def rows(found: dict[Key, Spread]) -> tuple[TimeRow, ...]:
    """One row a class and ring, the most urgent class first."""
    order = ("exploited", "critical", "high", "moderate", "low", "unscored")
    made = []
    for kind, ring in sorted({(k.kind, k.ring) for k in found}, key=lambda pair: (order.index(pair[0]), pair[1])):
        of = {span: found.get(Key(kind, ring, Way.PATCHED, span), EMPTY) for span in Span}
        here = of[Span.HERE]
        removed = found.get(Key(kind, ring, Way.REMOVED, Span.HERE), EMPTY).total
        made.append(TimeRow(
            kind, ring, here.total, here.mean_h, _finite(here.quantile_h(0.5)), _finite(here.quantile_h(0.9)),
            of[Span.KNOWN].mean_h, of[Span.FIXABLE].mean_h, of[Span.PATCHED].mean_h, removed,
        ))  # fmt: skip
    return tuple(made)


def _finite(hours: float | None) -> float | None:
    return None if hours is None or hours == float("inf") else hours
