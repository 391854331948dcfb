"""What a rollout would look like before it is started: when each ring opens at the earliest, and what it can see. Pure.

Times are the least that the policy allows: offers spread as it says, regions staggered, everybody ready at once and no
hold. What is seen is seen while no control falls silent; noise among the controls makes it coarser. `exposed`: how many
have the change by then if the harm is just large enough for this ring to halt it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.rollout import arms
from brakeline.rollout.model import DAY_S, Change, Policy
from brakeline.rollout.power import power

DAY_MS: Final = DAY_S * 1000
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FIRST_DAY: Final = 3  # of Unix time was a Thursday
SATURDAY: Final = 5
REHEARSAL_S: Final = 6 * 3600  # what is over sooner is a rehearsal
OFFICE_H: Final = 9  # UTC, roughly: when people's machines are on again after a weekend


@dataclass(frozen=True, slots=True)
class RingForecast:
    """One ring. `halts_at` None = statistics cannot halt it at this size; then failures and missing proof decide."""

    name: str
    upto: int
    treated: int
    controls: int
    halts_at: int | None
    smallest: float | None  # the share of treated endpoints that has to fall silent, 0..1
    exposed: int | None
    opens_s: int
    done_s: int  # earliest end of its bake


@dataclass(frozen=True, slots=True)
class Forecast:
    rings: tuple[RingForecast, ...]
    finish_s: int
    first_seeing: str  # the first ring in which statistics can halt; "" = none


def forecast(policy: Policy, change: Change, total: int, regions: int = 1) -> Forecast:
    """For `total` endpoints in `regions` regions, all of one class and all there: the best case."""
    seen = power(policy, change, total, regions)
    wait_s = policy.spread_s + policy.region_stagger_s * max(0, regions - 1)
    found: list[RingForecast] = []
    upto = opens_s = 0
    for (ring, _), p in zip(arms.rings_for(policy, change, total), seen.rings, strict=True):
        upto += p.treated
        done_s = opens_s + (wait_s if p.treated else 0) + ring.bake_s
        smallest = p.halts_at / p.treated if p.halts_at is not None and p.treated else None
        found.append(
            RingForecast(p.name, upto, p.treated, p.controls, p.halts_at, smallest, upto if smallest else None, opens_s,
                         done_s)
        )  # fmt: skip
        opens_s = done_s
    first = next((r.name for r in found if r.halts_at is not None), "")
    return Forecast(tuple(found), found[-1].done_s if found else 0, first)


@dataclass(frozen=True, slots=True)
class Weekend:
    """The ring that a weekend holds up, the day on which it opens, and when it rather ends."""

    ring: str
    opens: str
    ends: str
    ends_ms: int

    def says(self, when: str) -> str:
        """The same as a sentence; `when` is `ends_ms` as people read it."""
        return (
            f"Ring {self.ring} opens on a {self.opens}: machines that people switch off for the weekend get it on "
            "Monday and are watched from then on, so where these are more than a tenth it ends about "
            f"{self.ends}, {when}."
        )


def over_weekend(seen: Forecast, start_ms: int, enrolled: float) -> Weekend | None:
    """What a weekend adds for a start at that time; None = nothing.

    The ring that reaches `enrolled` of all passes only when so many have their offer and are watched. Earlier rings
    give their places to whoever is there; this one has nobody to give them to.
    """
    whole = seen.rings[-1].upto if seen.rings else 0
    ring = next((r for r in seen.rings if r.upto >= enrolled * whole and r.treated), None)
    if ring is None or seen.finish_s < REHEARSAL_S:
        return None
    day = (start_ms + ring.opens_s * 1000) // DAY_MS
    if _weekday(day) < SATURDAY:
        return None
    monday_ms = (day + len(DAYS) - _weekday(day)) * DAY_MS + OFFICE_H * 3_600_000
    ends_ms = monday_ms + (ring.done_s - ring.opens_s) * 1000
    return Weekend(ring.name, DAYS[_weekday(day)], DAYS[_weekday(ends_ms // DAY_MS)], ends_ms)


def _weekday(day: int) -> int:
    return (day + FIRST_DAY) % len(DAYS)
