"""From a seed to a scenario: a fleet of some size and mix, a fault, perhaps an outage, a start in the week.

Sizes are mostly small, as real first fleets are (six endpoints!), sometimes hundreds, rarely thousands.
"""

from __future__ import annotations

import random
from typing import Final

from brakeline.rollout.model import Policy, Ring
from brakeline.sim import faults
from brakeline.sim.faults import Fault
from brakeline.sim.fleet import DAY_MS, HOUR_MS, Outage, make_fleet
from brakeline.sim.world import Scenario

HOUR_S: Final = 3600
SIZES: Final = (6, 6, 9, 20, 40, 80, 160)
LARGE: Final = 1200
LARGE_EVERY: Final = 40  # one seed in so many is a large fleet
MIXES: Final = ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.6, 0.2, 0.2), (0.2, 0.25, 0.55))
HORIZON_DAYS: Final = 21


def policy_for(size: int, bake_h: float) -> Policy:
    """Rings that a sensible operator would choose for a fleet of this size, with a short bake."""
    bake_s = round(bake_h * HOUR_S)
    rings: tuple[Ring, ...]
    if size <= 20:
        rings = (Ring("canary", bake_s, count=1), Ring("early", bake_s, count=3), Ring("all", bake_s, share=1.0))
    else:
        rings = (
            Ring("canary", bake_s, count=max(2, size // 100)),
            Ring("early", bake_s, share=0.1),
            Ring("wide", bake_s, share=0.4),
            Ring("all", bake_s, share=1.0),
        )
    return Policy(rings, checkpoints_s=(1_800, 8_100, 22_500), tick_s=HOUR_S)


def scenario_for(seed: int) -> Scenario:
    """The scenario of a seed, always the same."""
    rng = random.Random(seed)  # noqa: S311  simulation, not secrets
    size = LARGE if seed % LARGE_EVERY == LARGE_EVERY - 1 else rng.choice(SIZES)
    fault = rng.choice(faults.ALL)
    return make(rng, f"seed {seed}", size, rng.choice(MIXES), fault)


def make(rng: random.Random, name: str, size: int, mix: tuple[float, float, float], fault: Fault) -> Scenario:
    """A scenario with everything else drawn from `rng`."""
    fleet = make_fleet(rng, size, mix, rng.randbytes(32))
    start_ms = 5000 * 7 * DAY_MS + rng.randrange(5) * DAY_MS + rng.randrange(24) * HOUR_MS
    bake_h = 6.5 if mix[0] == 1.0 else 26.5  # people's machines: a night and the next morning
    outages: tuple[Outage, ...] = ()
    if rng.random() < 0.4:
        from_ms = start_ms + rng.randrange(1, 30) * HOUR_MS
        outages = (Outage(fleet[0].region, from_ms, from_ms + rng.randrange(1, 12) * HOUR_MS),)
    return Scenario(name, policy_for(size, bake_h), fleet, fault, outages, start_ms, HORIZON_DAYS * DAY_MS)
