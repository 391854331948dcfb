"""What a rollout would look like before it is started: when each ring opens at the earliest, and what it can see. Pure.

Times are the least that the policy allows: offers spread as it says, regions staggered, everybody ready at once and no
hold. What is seen is seen while no control falls silent; noise among the controls makes it coarser. `exposed`: how many
have the change by then if the harm is just large enough for this ring to halt it.
"""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.rollout import arms
from brakeline.rollout.model import Change, Policy
from brakeline.rollout.power import power


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
