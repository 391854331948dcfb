"""The ready-made policies at every size of fleet: the first ring opens, and lint agrees."""

from __future__ import annotations

import itertools

import pytest

from brakeline.core.draw import U_END
from brakeline.rollout import arms, lint, planner
from brakeline.rollout.model import Change, Observed, Phase, Pin
from brakeline.rollout.presets import PACES, policy_for

CHANGE = Change((Pin("libexample1", "2.0-1"),))
SIZES = (1, 2, 6, 20, 21, 50, 99, 1000, 1001, 2000, 4999, 5000, 9999, 10_000, 20_000, 99_999, 100_000, 300_000)


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("size", SIZES)
def test_the_first_ring_opens(size: int, pace: str) -> None:
    policy = policy_for(size, pace)
    us = tuple(range(0, size * 1000, 1000))
    observed = Observed(CHANGE, size, (), {"eu": us}, {"eu": us})
    first = planner.first_blueprint("ro_1", 0)
    proposed, report = planner.plan(policy, first, observed, 1)
    assert proposed.phase is Phase.ROLLING, report
    assert lint.check(policy, first, proposed, observed) == ()


@pytest.mark.parametrize("size", SIZES)
def test_no_ring_adds_nobody(size: int) -> None:
    policy = policy_for(size)
    uptos = [upto for _, upto in arms.rings_for(policy, CHANGE, size)]
    assert uptos == sorted(set(uptos))
    assert uptos[-1] == size
    if size >= 10_000:
        assert len(uptos) >= len(policy.rings)


@pytest.mark.parametrize("size", [1000, 2000, 5000, 20_000, 99_999])
def test_a_careful_ring_of_a_middle_fleet_begins_with_few(size: int) -> None:
    """Before the first look at half an hour two more ticks open: so many may be lost to what kills at once."""
    policy = policy_for(size)
    us = tuple(range(0, size * 1000, 1000))
    observed = Observed(CHANGE, size, (), {"eu": us}, {"eu": us})
    proposed, _ = planner.plan(policy, planner.first_blueprint("ro_1", 0), observed, 1)
    (_, canaries), *_ = arms.rings_for(policy, CHANGE, size)
    assert sum(g.budget for g in proposed.gates) <= max(1, canaries / 20)


@pytest.mark.parametrize("size", [100_000, 8_500_000])
def test_no_two_looks_of_a_large_emergency_ring_are_further_apart_than_it_is_offered(size: int) -> None:
    policy = policy_for(size, "emergency")
    until_it_is_passed = [s for s in policy.checkpoints_s[policy.early :] if s <= policy.rings[0].bake_s]
    apart = [b - a for a, b in itertools.pairwise(until_it_is_passed)]
    assert max(apart) <= policy.spread_s, "what one midnight has done is seen before the next"


def test_draws_end_where_lists_do() -> None:
    assert arms.SortedDraws((1, 2)).at(2) == U_END
