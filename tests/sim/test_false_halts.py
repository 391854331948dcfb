"""A harmless change is not halted: not by drift within a tick, not by nights, weekends and regional outages."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from bench.brake import ticks_table

from brakeline.rollout.model import Phase
from brakeline.sim import faults, scenarios, world
from brakeline.sim.fleet import HOUR_MS, Outage


def test_closed_ticks_do_not_take_drift_for_harm_and_counting_the_refused_does() -> None:
    halts = {row["rule"]: row["false_halts_pct"] for row in ticks_table(30)}
    assert halts["closed"] == 0
    assert halts["counted"] > 10


def benign(seed: int, size: int = 300) -> world.History:
    """A mixed fleet with people's habits and an outage of one region, under a change that does nothing."""
    rng = random.Random(10_000 + seed)
    scenario = scenarios.make(rng, f"benign {seed}", size, (0.3, 0.25, 0.45), faults.BENIGN)
    from_ms = scenario.start_ms + rng.randrange(24) * HOUR_MS
    outage = Outage(scenario.fleet[0].region, from_ms, from_ms + 8 * HOUR_MS)
    return world.run(replace(scenario, outages=(outage,)), seed)


def test_two_harmless_rollouts_with_nights_and_an_outage_complete() -> None:
    assert [benign(seed, 60).last.phase for seed in range(2)] == [Phase.COMPLETED] * 2


@pytest.mark.long
def test_false_halts_stay_within_one_in_a_hundred() -> None:
    """300 histories; with a true rate of 1 % more than nine halts would be seen once in a thousand times."""
    phases = [benign(seed).last.phase for seed in range(300)]
    assert phases.count(Phase.HALTED) <= 9
    assert phases.count(Phase.COMPLETED) >= 285
