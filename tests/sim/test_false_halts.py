"""A harmless change is not halted: not by drift within a tick, not by nights, weekends and regional outages."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from bench.brake import ALPHA_TICKS, DRIFTS, RULES, Region, Rule, halts_falsely
from bench.histories import interval

from brakeline.rollout.model import Phase
from brakeline.sim import faults, scenarios, world
from brakeline.sim.fleet import HOUR_MS, Outage


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_drift_within_a_tick_is_harm_only_to_rules_that_close_it_for_one_arm(rule: Rule) -> None:
    bar = -math.log(ALPHA_TICKS)
    halted = sum(halts_falsely(random.Random(run), rule, DRIFTS["falls"], bar) for run in range(30))
    assert halted == 0 if rule.later == "closed" else halted >= 3


def test_intervals_are_those_of_the_books() -> None:
    assert interval(0, 100) == pytest.approx((0, 3.62), abs=0.01)
    assert interval(3, 100) == pytest.approx((0.62, 8.52), abs=0.01)
    assert interval(20, 20) == pytest.approx((83.16, 100), abs=0.01)


def benign(seed: int, size: int = 300) -> world.History:
    """A mixed fleet with people's habits and an outage of one region, under a change that does nothing."""
    rng = random.Random(10_000 + seed)
    scenario = scenarios.make(rng, f"benign {seed}", size, (0.3, 0.25, 0.45), faults.BENIGN)
    from_ms = scenario.start_ms + rng.randrange(24) * HOUR_MS
    outage = Outage(scenario.fleet[0].region, from_ms, from_ms + 8 * HOUR_MS)
    return world.run(replace(scenario, outages=(outage,)), seed)


@pytest.mark.long
def test_two_harmless_rollouts_with_nights_and_an_outage_complete() -> None:
    assert [benign(seed, 60).last.phase for seed in range(2)] == [Phase.COMPLETED] * 2


def test_endpoints_that_ask_late_are_compared_with_their_like() -> None:
    """40 % are always there, others rarely: comparing all who asked in a tick halts a large harmless rollout."""
    size, offers = 20_000, 500
    assert Region(random.Random(0), size, offers, cohorts=False).halts()
    assert not Region(random.Random(0), size, offers, cohorts=True).halts()


@pytest.mark.long
@pytest.mark.timeout(1800)  # 600 to 800 CPU-seconds, beside whatever else the machine does
def test_false_halts_stay_within_one_in_a_hundred() -> None:
    """150 histories; with a true rate of 1 % more than six halts come once in a thousand times."""
    phases = [benign(seed).last.phase for seed in range(150)]
    assert phases.count(Phase.HALTED) <= 6
    assert phases.count(Phase.COMPLETED) >= 143
