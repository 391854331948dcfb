"""A population of one's own: what `fleet shape` has counted, and named defaults where its history is too short. Pure.

Shares are those of the inventory. The late afternoon (`dusk`) is never more than the default's: a line an hour says how
many are there, not who is leaving. One time zone for all, that of the shape. Next: `replay`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from brakeline.core.errors import BrakelineError, Invalid
from brakeline.fleet.shape import AGES_S, Habit, Shape, check
from brakeline.protocol.codec import from_plain
from brakeline.rollout.model import Policy
from brakeline.sim import rates
from brakeline.sim.rates import EVERYBODY, ClassRates, Population
from brakeline.sim.replay import Request

ATTRIBUTES_MAX: Final = 200
REGIONS_MAX: Final = 64
assert AGES_S == rates.AGES_S, "a shape counts at the checkpoints of the rates"


def parse(plain: Any) -> Shape:
    """A shape as `fleet shape --json` printed it. `Invalid` says what is wrong with it."""
    if not isinstance(plain, Mapping):
        raise Invalid("a shape is what `brakeline fleet shape --json` prints: a JSON object")
    known = {f.name for f in dataclasses.fields(Shape)}
    if missing := sorted(known - plain.keys()):
        raise Invalid(f"the shape has no {missing[0]!r}: it is not what `brakeline fleet shape --json` prints")
    try:
        found: Shape = from_plain(Shape, {k: v for k, v in plain.items() if k in known}, "shape")
    except BrakelineError as e:
        raise Invalid(f"the shape cannot be read: {e}") from None
    return check(found)


def population(shape: Shape) -> Population:
    """Who its endpoints are, and when they are there."""
    made = {h.machine_class: _class(h, shape.endpoints) for h in shape.habits}
    return Population(made["server"], made["desktop"], made["laptop"], (shape.zone_h,), (1.0,))


def regions(shape: Shape) -> int:
    """Regions of a simulated fleet; they are taken to be equally large."""
    return max(1, min(REGIONS_MAX, len(shape.regions), shape.endpoints))


def attributes(shape: Shape) -> int:
    """How many values its rollouts test one by one: systems and tags."""
    return max(1, min(ATTRIBUTES_MAX, len(shape.os) + len(shape.tags)))


def request(shape: Shape, seeds: int, policy: Policy | None = None) -> Request:
    """To replay with: this fleet, this plan."""
    return Request(shape.endpoints, seeds, policy, population(shape), regions(shape), attributes(shape))


def _class(h: Habit, endpoints: int) -> ClassRates:
    usual, share = EVERYBODY.rates(h.machine_class), h.endpoints / endpoints
    if h.rates is None:
        return dataclasses.replace(usual, share=share)
    r = h.rates
    return dataclasses.replace(
        usual, share=share, office=r.office, night=r.night, weekend=r.weekend, over_weekend=r.over_weekend,
        not_seen=(r.not_seen[0], r.not_seen[1], r.not_seen[2], r.not_seen[3], r.not_seen[4]),
        restarts_per_day=r.restarts_per_day, dark=r.dark, dusk=min(usual.dusk, r.dark),
    )  # fmt: skip
