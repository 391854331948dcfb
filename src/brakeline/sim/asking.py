"""Who may still be treated in a simulated region, and who of them is there: numbers of endpoints, by class.

Draws that came into range in one tick and were not ready yet are a row of the `Crowd`, which comes and goes with the
time of day. `SpreadPlaces` tells the planner where draws stand, as the product's own places do. Next: `enrolling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brakeline.core.draw import U_END
from brakeline.rollout.arms import Draws
from brakeline.sim.draws import Segment, SpreadDraws

CHURN_H: Final = 0.05  # of those who are away while others of their class are there, come in an hour; own assumption
COHORTS_MAX: Final = 8  # of a region are told apart: more would cost time and tell nothing
TREAT, CONTROL = 0, 1  # arms, and
AWAY, HERE = 0, 1  # places, of `Crowd.people`
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
    front: int = 0  # in range for treatment and not ready yet
    front_here: int = 0  # of them here now


class Crowd:
    """Those who wait, all regions together, a row for draws of a region that came into range in the same tick.

    `people`: row x arm (treated, control) x (away, about to ask) x class. `seen`: probability to be online when the
    others were last looked for. `low`, `high`: the range of the controls' draws.
    """

    def __init__(self, kinds: int) -> None:
        self.region, self.ring = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.low, self.high = np.zeros(0), np.zeros(0)
        self.people, self.seen = np.zeros((0, 2, 2, kinds), np.int64), np.zeros((0, kinds))

    def add(self, region: int, ring: int, low: float, high: float, people: Ints, seen: Floats) -> None:
        self.region, self.ring = np.append(self.region, region), np.append(self.ring, ring)
        self.low, self.high = np.append(self.low, low), np.append(self.high, high)
        self.people, self.seen = np.append(self.people, people[None], 0), np.append(self.seen, seen[None], 0)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        self.region, self.ring = self.region[rows], self.ring[rows]
        self.low, self.high = self.low[rows], self.high[rows]
        self.people, self.seen = self.people[rows], self.seen[rows]

    def drop_empty(self) -> None:
        left = self.people.sum(axis=(1, 2, 3)) > 0
        if not left.all():
            self.keep(left)

    def tell(self, regions: Sequence[Region]) -> None:
        """Let each region know how many wait in front."""
        treat = self.people[:, TREAT].sum(axis=2)
        here = np.bincount(self.region, treat[:, HERE], minlength=len(regions))
        away = np.bincount(self.region, treat[:, AWAY], minlength=len(regions))
        for r in regions:
            r.front_here = int(here[r.index])
            r.front = r.front_here + int(away[r.index])

    def come_and_go(self, rng: np.random.Generator, of_regions: Floats, hours: float) -> None:
        """As many as the time of day brings or takes, and a few who come at any time."""
        there = of_regions[self.region]
        come = np.maximum((there - self.seen) / np.maximum(1 - self.seen, 1e-9), CHURN_H * hours * there).clip(0, 1)
        go = ((self.seen - there) / np.maximum(self.seen, 1e-9)).clip(0, 1)
        came = rng.binomial(self.people[:, :, AWAY], come[:, None])
        went = rng.binomial(self.people[:, :, HERE], go[:, None])
        self.people[:, :, AWAY] += went - came
        self.people[:, :, HERE] += came - went
        self.seen = there

    def make_room(self, region: int) -> None:
        """The same endpoints of a region in fewer rows: the oldest two without controls, as nobody is compared there.

        Those that have controls are never mixed with others: who came into range at another time of day has another mix
        of classes, and that would look like harm.
        """
        while True:
            mine = np.flatnonzero(self.region == region)
            alone = self.people[mine, CONTROL].sum(axis=(1, 2)) == 0
            pairs = np.flatnonzero(alone[:-1] & alone[1:])
            if mine.size < COHORTS_MAX or not pairs.size:
                return
            a, b = mine[pairs[0] : pairs[0] + 2]
            self.people[a] += self.people[b]
            self.seen[a] = (self.seen[a] + self.seen[b]) / 2
            self.low[a], self.high[a] = min(self.low[a], self.low[b]), max(self.high[a], self.high[b])
            self.keep(np.arange(self.region.size) != b)


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
        return _here(r, [Segment(r.below, U_END, r.size - r.treated - r.front)])

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
    return SpreadDraws([Segment(0, r.below, r.front_here), *others])


def share_of(r: Region, low: int, high: int) -> int:
    return max(0, round(r.size * (high - low) / U_END))


def split(rng: np.random.Generator, mix: Floats, n: int, here: int | None, there: Floats) -> tuple[Ints, Ints]:
    """(away, here) by class of `n` endpoints. A treated range holds as many who are here as its budget."""
    share = float(mix @ there)
    count = min(n, round(n * share)) if here is None else here
    on, off = mix * there, mix * (1 - there)
    there_now = rng.multinomial(count, on / on.sum())
    away = rng.multinomial(n - count, off / off.sum() if off.sum() else mix)
    return away, there_now
