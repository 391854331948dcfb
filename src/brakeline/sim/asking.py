"""Who may still be treated in a simulated region, and who of them is there: numbers of endpoints, by class.

Draws that came into range in one tick and were not ready yet are a `Waiting`; `come_and_go` moves them in and out with
the time of day. `SpreadPlaces` tells the planner where draws stand, as the product's own places do. Next: `cohorts`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brakeline.core.draw import U_END
from brakeline.rollout.arms import Draws
from brakeline.sim.draws import Segment, SpreadDraws

CHURN_H: Final = 0.05  # of those who are away while others of their class are there, come in an hour; own assumption
COHORTS_MAX: Final = 8  # of a region are told apart: more would cost time and tell nothing
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(slots=True)
class Waiting:
    """Draws that came into range in the same tick and were not ready since, by class."""

    tick: int
    ring: int
    low: float
    high: float
    treat: Ints  # away
    treat_here: Ints  # about to ask
    control: Ints
    control_here: Ints
    seen: Floats  # probability to be online when the others were last looked for

    def left(self) -> bool:
        return bool(self.treat.any() or self.treat_here.any() or self.control.any() or self.control_here.any())


@dataclass(slots=True)
class Region:
    """Where the draws of one region stand."""

    name: str
    index: int
    zone_h: float
    size: int
    below: int = 0  # draws below were in range for treatment
    treated: int = 0
    ring: int = -1
    ring_low: int = U_END  # lowest control range of this ring
    ring_high: int = 0
    low: int = U_END  # and of all rings
    here: float = 1.0  # share of its endpoints that are there now
    waiting: list[Waiting] = field(default_factory=list)

    def front(self) -> int:
        """Endpoints in range for treatment that were not ready yet."""
        return int(sum(w.treat.sum() + w.treat_here.sum() for w in self.waiting))

    def front_here(self) -> int:
        return int(sum(w.treat_here.sum() for w in self.waiting))


class SpreadPlaces:
    """`summary.Places` from numbers."""

    def __init__(self, regions: list[Region], reserve_low: int) -> None:
        self._regions = {r.name: r for r in regions}
        self._reserve_low = reserve_low

    def regions(self) -> list[str]:
        return sorted(self._regions)

    def eligible(self, region: str) -> int:
        r = self._regions[region]
        return r.size - r.treated

    def untreated(self, region: str) -> Draws:
        r = self._regions[region]
        front = r.front()
        return _here(r, [Segment(r.below, U_END, r.size - r.treated - front)])

    def fresh(self, region: str) -> Draws:
        r = self._regions[region]
        top = max(r.low, r.below) if r.low < U_END else self._reserve_low
        return _here(r, [
            Segment(r.below, top, share_of(r, r.below, top)),
            Segment(self._reserve_low, U_END, share_of(r, max(self._reserve_low, r.below), U_END)),
        ])  # fmt: skip

    def spare(self, region: str, ring: int) -> Draws:
        r = self._regions[region]
        if r.ring != ring or r.ring_low == U_END:
            return self.untreated(region)
        low, high = max(r.ring_low, r.below), max(r.ring_high, r.below)
        return _here(r, [
            Segment(r.below, low, share_of(r, r.below, low)), Segment(high, U_END, share_of(r, high, U_END)),
        ])  # fmt: skip


def _here(r: Region, segments: list[Segment]) -> SpreadDraws:
    """Those who wait in front and are here now, and of the others as many as are here at this time of day."""
    others = [Segment(s.low, s.high, round(s.count * r.here)) for s in segments]
    return SpreadDraws([Segment(0, r.below, r.front_here()), *others])


def share_of(r: Region, low: int, high: int) -> int:
    return max(0, round(r.size * (high - low) / U_END))


def come_and_go(rng: np.random.Generator, w: Waiting, there: Floats, hours: float) -> None:
    """As many as the time of day brings or takes, and a few who come at any time."""
    come = np.maximum((there - w.seen) / np.maximum(1 - w.seen, 1e-9), CHURN_H * hours * there).clip(0, 1)
    go = ((w.seen - there) / np.maximum(w.seen, 1e-9)).clip(0, 1)
    w.seen = there
    for away, here in (("treat", "treat_here"), ("control", "control_here")):
        came = rng.binomial(getattr(w, away), come)
        went = rng.binomial(getattr(w, here), go)
        setattr(w, away, getattr(w, away) - came + went)
        setattr(w, here, getattr(w, here) + came - went)


def split(rng: np.random.Generator, mix: Floats, n: int, here: int | None, there: Floats) -> tuple[Ints, Ints]:
    """(away, here) by class of `n` endpoints. A treated range holds as many who are here as its budget."""
    share = float(mix @ there)
    count = min(n, round(n * share)) if here is None else here
    on, off = mix * there, mix * (1 - there)
    there_now = rng.multinomial(count, on / on.sum())
    away = rng.multinomial(n - count, off / off.sum() if off.sum() else mix)
    return away, there_now


def few(waiting: list[Waiting]) -> list[Waiting]:
    """The same endpoints in fewer cohorts: the oldest two without controls become one, as nobody is compared there.

    Those that have controls are never mixed with others: who came into range at another time of day has another mix of
    classes, and that would look like harm.
    """
    while len(waiting) >= COHORTS_MAX:
        alone = [not (w.control.any() or w.control_here.any()) for w in waiting]
        i = next((i for i, pair in enumerate(itertools.pairwise(alone)) if all(pair)), None)
        if i is None:
            return waiting
        a, b = waiting[i : i + 2]
        one = Waiting(
            a.tick, a.ring, min(a.low, b.low), max(a.high, b.high), a.treat + b.treat, a.treat_here + b.treat_here,
            a.control + b.control, a.control_here + b.control_here, (a.seen + b.seen) / 2,
        )  # fmt: skip
        waiting = [*waiting[:i], one, *waiting[i + 2 :]]
    return waiting
