"""Small fleets that share their bets halt what none of them would halt alone, and nothing else."""

from __future__ import annotations

import pytest
from bench.brake_small import FAULTS, case

from brakeline.rollout.model import Phase
from brakeline.sim import cohorts, pools

FLEETS = 20


@pytest.mark.long
def test_twenty_fleets_halt_together_what_they_hardly_halt_alone() -> None:
    cases = [case(200, FAULTS["dead at once, 5 %"], seed) for seed in range(FLEETS)]
    alone = [cohorts.run(c).phase for c in cases[:8]]
    together = [end.phase for end in pools.run(cases)]
    assert together.count(Phase.HALTED) > FLEETS / 2
    assert alone.count(Phase.HALTED) / len(alone) < together.count(Phase.HALTED) / len(together)


@pytest.mark.long
def test_a_harmless_change_is_halted_by_none_of_them() -> None:
    ends = pools.run([case(200, None, seed) for seed in range(6)])
    assert not [e.why for e in ends if e.phase is Phase.HALTED]


def test_a_pool_of_one_is_that_fleet() -> None:
    """It listens to itself: the mean of an e-value and itself is that e-value."""
    one = case(2000, FAULTS["dead at once, 5 %"], 4)
    (end,) = pools.run([one])
    assert end == cohorts.run(one)
