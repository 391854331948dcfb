"""A careful rollout in one fleet of 2,000: what kills at once is seen after a handful, and what is good goes on."""

from __future__ import annotations

import pytest

from brakeline.rollout.model import Phase
from brakeline.rollout.presets import policy_for
from brakeline.sim import batch
from brakeline.sim.cohorts import Case, run

SIZE = 2_000
PAGE_P95 = 11  # what the design's own plan was found to cost such a fleet
AT_ONCE = ("dead at once, 100 %", "network lost, 100 %", "agent crashes, launcher reverts, 100 %")


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_hits_everybody_at_once_harms_a_handful_and_not_all_canaries(name: str) -> None:
    ends = [run(Case(SIZE, policy_for(SIZE), batch.ROWS[name], seed, regions=1, attributes=8)) for seed in range(10)]
    assert max(e.harmed for e in ends) <= PAGE_P95
    assert {e.phase for e in ends} == {Phase.HALTED}, "and nobody has to press anything"


def test_a_harmless_change_is_done_in_time_all_the_same() -> None:
    end = run(Case(SIZE, policy_for(SIZE), None, 1, regions=1, attributes=8, horizon_h=10.3 * 24))
    assert (end.phase, end.harmed) == (Phase.COMPLETED, 0), end.why
