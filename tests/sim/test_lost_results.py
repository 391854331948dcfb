"""An endpoint of a small ring that dies before it tells its result: the rollout holds in bounded time and names it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from brakeline.rollout.model import Phase, State
from brakeline.sim import faults, scenarios, world
from brakeline.sim.fleet import DAY_MS, HOUR_MS

ONE_DIES = faults.Fault("dies without a word", share=0.06, dies_after_ms=0)
SEEDS = (1, 2, 3, 4, 6, 7, 10, 11)  # in these a ring whose quorum is met all the same has one
HOURS_MAX = 3  # servers: the second checkpoint, 2 h 15, and a step


@pytest.mark.parametrize("seed", SEEDS)
def test_waiting_for_its_result_ends_in_a_hold_that_names_it(seed: int) -> None:
    start = scenarios.make(random.Random(seed), "lost", 40, (1.0, 0.0, 0.0), ONE_DIES)
    end = world.run(replace(start, outages=(), horizon_ms=7 * DAY_MS), seed)
    assert end.last.phase is Phase.HOLDING
    assert end.last.why.startswith("holding: taken for lost: ep_")
    line = next(x for x in end.report.lines if x.gate == "lost")
    assert line.state is State.HOLD
    assert all(name in line.text for name in line.data["lost"])
    assert len(line.data["lost"]) == end.harmed
    assert end.last.made_ms - end.last.ring_opened_ms[-1] <= HOURS_MAX * HOUR_MS
