"""How a group of endpoints takes a change over time, and on how many of them a fault has shown: expected shares.

Invariants: curves hold one value for every `STEP_H` since the group was opened, as shares of the group, never falling;
what has shown is never more than what was taken. Who is online is drawn anew each local day, so a group is reached
little by little; offers to who is online are spread evenly. No randomness, no I/O. Rates are those of `rates`. Next:
`peers`, which decides on these curves as other systems do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import exp
from typing import Final

from brakeline.rollout.model import CLASSES
from brakeline.sim.incidents import (
    After,
    AtDate,
    AtLocalMidnight,
    AtReboot,
    AtUtcWindow,
    Creep,
    Immediate,
    Onset,
)
from brakeline.sim.rates import HOURS_A_DAY, START_H, Population, local, online

STEP_H: Final = 0.25  # hours: finer than anybody reacts
CACHED: Final = 96  # curves kept, some 0.3 MB each: groups that open at the same time take alike whatever the fault is

Curve = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """When a group was opened, in hours after time zero, and how its offers go out."""

    at_h: float
    spread_h: float  # hours over which the offers to those online are spread
    steps: int  # how long the group is followed
    first_h: float = START_H  # when the change was first offered to anybody

    def hour(self, step: int) -> float:
        return self.at_h + step * STEP_H


@lru_cache(CACHED)
def taken(population: Population, machine_class: str, opening: Opening) -> tuple[Curve, ...]:
    """For each time zone: the share of the group that has this class, is there, and has taken the change."""
    rates, over = population.rates(machine_class), max(1, steps_of(opening.spread_h))
    curves = []
    for zone_h, weight in zip(population.zones_h, population.zone_weights, strict=True):
        sums = [0.0, *accumulate(_reached(population, machine_class, zone_h, opening))]
        part = rates.share * weight / over
        curves.append(tuple((sums[t] - sums[max(0, t - over)]) * part for t in range(opening.steps)))
    return tuple(curves)


@lru_cache(CACHED)
def shown(population: Population, machine_class: str, opening: Opening, onset: Onset) -> Curve:
    """The share of the group that has this class and on which the fault has shown, if it hits everybody who takes."""
    zones = taken(population, machine_class, opening)
    curve = together(zones)
    match onset:
        case AtLocalMidnight():
            parts = zip(population.zones_h, zones, strict=True)
            return together(tuple(_at_midnight(population, machine_class, z, opening, c)) for z, c in parts)
        case Immediate():
            return curve
        case After(hours):
            late = min(steps_of(hours), len(curve))
            return (0.0,) * late + curve[: len(curve) - late]
        case Creep(hours):
            return tuple(_creeping(curve, max(1, steps_of(hours))))
        case AtReboot():
            stays = exp(-population.rates(machine_class).restarts_per_day * STEP_H / HOURS_A_DAY)
            return tuple(_leaving(curve, stays))
        case AtDate(hours):
            return tuple(x if opening.hour(t) >= opening.first_h + hours else 0.0 for t, x in enumerate(curve))
        case AtUtcWindow(from_h, until_h):
            return tuple(_in_window(curve, opening, from_h, until_h))


def everybody(population: Population, opening: Opening, onset: Onset | None = None) -> Curve:
    """The share of the group that has taken the change; with an onset, the share on which it has shown."""
    if onset is None:
        return together(together(taken(population, c, opening)) for c in CLASSES)
    return together(shown(population, c, opening, onset) for c in CLASSES)


def together(curves: Iterable[Curve]) -> Curve:
    """The sum of curves, step by step."""
    return tuple(map(sum, zip(*curves, strict=True)))


def steps_of(hours: float) -> int:
    return round(hours / STEP_H)


def _reached(population: Population, machine_class: str, zone_h: float, opening: Opening) -> Iterator[float]:
    """Share that was online at least once since the group was opened; who is online is drawn anew each local day."""
    before = best = 0.0
    today = local(opening.at_h, zone_h)[0]
    for step in range(opening.steps):
        weekday, hour = local(opening.hour(step), zone_h)
        if weekday != today:
            before, best, today = before + (1 - before) * best, 0.0, weekday
        best = max(best, online(population, machine_class, hour, weekday))
        yield before + (1 - before) * best


def _creeping(curve: Curve, steps: int) -> Iterator[float]:
    """Each one is bitten at some time within so many steps, all times alike."""
    sums = [0.0, *accumulate(curve)]
    for t in range(len(curve)):
        yield (sums[t] - sums[max(0, t - steps)]) / steps


def _leaving(curve: Curve, stays: float) -> Iterator[float]:
    """Of those who wait, a share of `stays` goes on waiting at each step."""
    waiting = before = 0.0
    for now in curve:
        waiting = (waiting + now - before) * stays
        before = now
        yield now - waiting


def _in_window(curve: Curve, opening: Opening, from_h: float, until_h: float) -> Iterator[float]:
    """All who have it while the window is open."""
    bitten = 0.0
    for t, now in enumerate(curve):
        hour = opening.hour(t) % HOURS_A_DAY
        inside = from_h <= hour < until_h if from_h < until_h else hour >= from_h or hour < until_h
        bitten = now if inside else bitten
        yield bitten


def _at_midnight(population: Population, machine_class: str, zone_h: float, opening: Opening,
                 curve: Curve) -> Iterator[float]:  # fmt: skip
    """At each local midnight, those of the waiting who are on."""
    bitten = 0.0
    today = local(opening.at_h, zone_h)[0]
    for t, now in enumerate(curve):
        weekday, hour = local(opening.hour(t), zone_h)
        if weekday != today:
            bitten += (now - bitten) * online(population, machine_class, hour, weekday)
            today = weekday
        yield bitten
