"""What a fault does to those who took the change, in numbers: who is bitten by when, and what can be seen of it. Pure.

`bitten_share` gives, of the endpoints that the fault will hit, the share on which it shows by a time; `SHOWS` says
by which signal: silence, a failed service, resources, actions, starts, blocks, deletions, patches, errors, or an
explicit report. Next: `cohorts`, which draws from both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from brakeline.rollout.model import CLASSES
from brakeline.sim import rates
from brakeline.sim.incidents import (
    After,
    AtDate,
    AtLocalMidnight,
    AtReboot,
    AtUtcWindow,
    Creep,
    Fault,
    Immediate,
    Symptom,
)
from brakeline.sim.rates import DAYS_A_WEEK, HOURS_A_DAY, Population

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
LOOP_HEARD: Final = 0.5  # an endpoint that starts again and again is heard at every other checkpoint; own assumption


class Shows(StrEnum):
    """How the brake can learn of it."""

    SILENCE = "silence"
    HEALTH = "health"  # a service that failed
    RESOURCES = "resources"
    ACTIONS = "actions"
    BLOCKS = "blocks"
    DELETIONS = "deletions"
    PATCHES = "patches"  # the transaction fails for a reason that could be the endpoint's own
    ERRORS = "errors"  # in the journal
    REPORT = "report"
    LOOP = "loop"  # heard now and then, and then unhealthy
    UNTAKEN = "not taken"  # it answers, and takes nothing of its offer
    NOTHING = "nothing"


SHOWS: Final = {
    Symptom.SILENT: Shows.SILENCE,
    Symptom.NETWORK_LOST: Shows.SILENCE,
    Symptom.REBOOT_LOOP: Shows.LOOP,
    Symptom.CRASH_REVERTS: Shows.REPORT,  # the launcher has reverted, the last good agent tells it
    Symptom.UPDATE_PATH_BROKEN: Shows.REPORT,  # its own offer is the probe: it comes to no end
    Symptom.CPU_SATURATED: Shows.RESOURCES,
    Symptom.MEMORY_CREEP: Shows.RESOURCES,
    Symptom.SERVICE_FAILED: Shows.HEALTH,
    Symptom.ACTION_STORM: Shows.ACTIONS,
    Symptom.BLOCKS: Shows.BLOCKS,
    Symptom.DELETES: Shows.DELETIONS,
    Symptom.PATCH_FAILURE: Shows.PATCHES,
    Symptom.JOURNAL_ERRORS: Shows.ERRORS,
    Symptom.PROBE_FAILS: Shows.HEALTH,
    Symptom.TAKES_NOTHING: Shows.UNTAKEN,
    Symptom.TELEMETRY_OUTAGE: Shows.NOTHING,
}


@dataclass(frozen=True, slots=True)
class Exposure:
    """Endpoints of one class and zone that were ready at the same time; hours since simulated time zero."""

    machine_class: str
    zone_h: float
    ready_h: float


@dataclass(frozen=True, slots=True)
class Crowded:
    """Many exposures: indices of class and region, hours since simulated time zero."""

    kind: Ints
    region: Ints
    ready_h: Floats


def bitten_share(fault: Fault, population: Population, who: Exposure, start_h: float, at_h: float) -> float:
    """Of those whom the fault will hit, the share on which it shows by `at_h`. Never falls with time."""
    age_h = at_h - who.ready_h
    if age_h < 0:
        return 0.0
    match fault.onset:
        case Immediate():
            return 1.0
        case After(hours=hours):
            return float(age_h >= hours)
        case AtReboot():
            return rates.restarted(population, who.machine_class, age_h)
        case AtLocalMidnight():
            return _midnights(population, who, at_h)
        case Creep(hours=hours):
            return min(1.0, age_h / hours) if hours else 1.0
        case AtUtcWindow(from_h=from_h, until_h=until_h):
            return float(_meets(who.ready_h, at_h, from_h, until_h))
        case AtDate(hours=hours):
            return float(at_h >= start_h + hours)
        case _:
            assert_never(fault.onset)


def bitten_shares(fault: Fault, population: Population, zones_h: Sequence[float], who: Crowded, start_h: float,
                  at_h: float) -> Floats:  # fmt: skip
    """`bitten_share` of many at once."""
    age_h = at_h - who.ready_h
    match fault.onset:
        case Immediate():
            return np.where(age_h < 0, 0.0, 1.0)
        case After(hours=hours):
            return np.where((age_h < 0) | (age_h < hours), 0.0, 1.0)
        case AtReboot():
            a_day = np.array([population.rates(c).restarts_per_day for c in CLASSES])[who.kind]
            return np.where(age_h < 0, 0.0, -np.expm1(-a_day * age_h / HOURS_A_DAY))
        case Creep(hours=hours) if hours:
            return np.clip(age_h / hours, 0.0, 1.0)
    keys, place = np.unique(np.column_stack([who.kind, who.region, who.ready_h]), axis=0, return_inverse=True)
    each = [
        bitten_share(fault, population, Exposure(CLASSES[int(k)], zones_h[int(r)], float(ready_h)), start_h, at_h)
        for k, r, ready_h in keys
    ]
    return np.array(each)[place.ravel()]


def _midnights(population: Population, who: Exposure, at_h: float) -> float:
    """Each local midnight finds those who are on then."""
    first = math.floor((who.ready_h + who.zone_h) / HOURS_A_DAY) + 1
    last = math.floor((at_h + who.zone_h) / HOURS_A_DAY)
    spared = 1.0
    for day in range(first, min(last, first + DAYS_A_WEEK) + 1):
        spared *= 1 - rates.online(population, who.machine_class, 0.0, day % DAYS_A_WEEK)
    return 1 - spared


def _meets(from_h: float, to_h: float, begin: float, end: float) -> bool:
    """Whether any time in [from_h, to_h] lies between two hours of a day, UTC."""
    length = (end - begin) % HOURS_A_DAY or HOURS_A_DAY
    since = (from_h - begin) % HOURS_A_DAY
    return since < length or to_h >= from_h + HOURS_A_DAY - since
