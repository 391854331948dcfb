"""How a policy goes over a fleet if nothing goes wrong: when which ring is open, who has the change, when harm shows.

Expectations for choosing a pace, not a simulation: `sim.cohorts` runs the planner itself, and the two are held against
each other in docs/measurements. Assumes that endpoints are there when their ring opens. Pure. Next: `pace`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from brakeline.rollout import arms
from brakeline.rollout.model import Change, Policy
from brakeline.rollout.power import halting_count, silence_bar

ORDINARY_SILENCE: Final = 0.0003  # of endpoints are not heard at an early checkpoint whatever was done to them


@dataclass(frozen=True, slots=True)
class RingTime:
    """One ring. `bad_needed`: how many of its endpoints a fault must hit before the brake acts; None = cannot tell."""

    name: str
    upto: int
    added: int
    opened_h: float
    spread_h: float
    ended_h: float
    bad_needed: int | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The rings one after another. Hours count from the start."""

    size: int
    rings: tuple[RingTime, ...]
    looks_h: tuple[float, ...]  # when an endpoint is looked at, from taking the change on

    @property
    def hours(self) -> float:
        """Until the last ring has baked."""
        return self.rings[-1].ended_h if self.rings else 0.0

    @property
    def mean_wait_h(self) -> float:
        """How long an endpoint waits for the change, on average."""
        waits = [r.added * (r.opened_h + r.spread_h * 2 / 3) for r in self.rings]
        return sum(waits) / self.size if self.size else 0.0

    def taken_by(self, at_h: float) -> float:
        """How many have the change by then."""
        return sum(r.added * share_offered(at_h - r.opened_h, r.spread_h) for r in self.rings)

    def found_h(self, share: float, after_h: float) -> float | None:
        """When a fault that takes down `share` of those who have the change, so long after they took it, is found.

        None = never, or only when the last ring is open: then nobody is left to compare with or to be spared.
        """
        found = [h for r in self.rings if (h := self._found_in(r, share, after_h)) is not None]
        return min(found, default=None)

    def _found_in(self, ring: RingTime, share: float, after_h: float) -> float | None:
        bad, look_h = share * ring.added, next((h for h in self.looks_h if h >= after_h), None)
        if ring.bad_needed is None or bad < ring.bad_needed or look_h is None:
            return None
        found = ring.opened_h + ring.spread_h * math.sqrt(ring.bad_needed / bad) + look_h
        last = self.rings[-1]
        return found if found <= last.opened_h or (ring is last and found <= last.opened_h + last.spread_h) else None


def timeline(policy: Policy, change: Change, size: int, regions: int = 1) -> Timeline:
    """For `size` endpoints in `regions` regions."""
    stagger_h = policy.region_stagger_s * max(0, regions - 1) / 3600
    bar = silence_bar(policy)
    rings: list[RingTime] = []
    before, opened_h, used = 0, 0.0, 0
    planned = arms.rings_for(policy, change, size)
    for i, (ring, upto) in enumerate(planned):
        added = upto - before
        wanted = added * arms.controls_per_treated(policy, i, [n for _, n in planned], size)
        controls = min(wanted, max(0, size - upto - used) or size - upto)
        used += controls
        spread_h = policy.spread_s / 3600 + stagger_h
        ended_h = opened_h + spread_h + ring.bake_s / 3600
        needed = _needed(policy, added, controls, bar)
        rings.append(RingTime(ring.name, upto, added, opened_h, spread_h, ended_h, needed))
        before, opened_h = upto, ended_h
    return Timeline(size, tuple(rings), tuple(c / 3600 for c in policy.checkpoints_s))


def _needed(policy: Policy, treated: int, controls: int, bar: float) -> int | None:
    """The least number of dead endpoints that stops this ring: by comparison, or because too few are proven."""
    unproven = math.floor((1 - policy.quorum) * treated + 1e-9) + 1
    ordinary = round(ORDINARY_SILENCE * treated)
    halts = halting_count(treated, controls, round(ORDINARY_SILENCE * controls), bar)
    by_statistics = None if halts is None else max(1, halts - ordinary)
    known = [n for n in (unproven, by_statistics) if n is not None and n <= treated]
    return min(known, default=None)


def share_offered(age_h: float, spread_h: float) -> float:
    """Of a ring, so long after it was opened: the square of the time, as `planner` has it."""
    if age_h <= 0:  # the brake is asked before a ring opens
        return 0.0
    return min(1.0, age_h / spread_h) ** 2 if spread_h > 0 else 1.0
