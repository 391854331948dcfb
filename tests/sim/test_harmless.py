"""Many histories of a harmless change at once are what as many single ones are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.rollout.model import Guard, Phase
from brakeline.rollout.pooling import Told
from brakeline.rollout.presets import for_release, policy_for
from brakeline.sim import harmless
from brakeline.sim.batch import FAULTS, ROWS
from brakeline.sim.cohorts import Case, World, run

ENDPOINTS = 20_000
POLICY = for_release(policy_for(ENDPOINTS))
# Bars so low that chance reaches them: nobody would run this, but it shows that halts are found.
NERVOUS = replace(for_release(policy_for(ENDPOINTS, "fast")), guard=Guard(alpha=16.0))


@pytest.mark.long
def test_one_draw_is_the_single_history() -> None:
    case = Case(ENDPOINTS, POLICY, seed=3, regions=2)
    assert harmless.run(case, 1) == [run(case)]


class Attentive(World):
    """The brake is shown every comparison at every look."""

    def _table(self) -> Told:
        return self.voice.table


@pytest.mark.parametrize("name", ["dead at once, 5 %", "blocks, 5 %", "agent crashes, launcher reverts, 5 %"])
def test_a_comparison_far_from_what_halts_changes_nothing_so_it_need_not_be_shown(name: str) -> None:
    case = Case(ENDPOINTS, POLICY, FAULTS[name], seed=3, regions=2)
    assert run(case) == Attentive(case).run()


@pytest.mark.long
def test_a_brake_with_bars_that_low_halts_about_as_often_in_either() -> None:
    alone = [run(Case(ENDPOINTS, NERVOUS, seed=seed, regions=2)).phase for seed in range(10)]
    together = [e.phase for e in harmless.run(Case(ENDPOINTS, NERVOUS, seed=99, regions=2), 40)]
    rates = [phases.count(Phase.HALTED) / len(phases) for phases in (alone, together)]
    assert min(rates) > 0
    assert rates[0] == pytest.approx(rates[1], abs=0.45)  # three standard errors


def test_only_a_harmless_change_can_be_drawn_in_several_ways() -> None:
    with pytest.raises(AssertionError, match="depend"):
        harmless.run(Case(ENDPOINTS, POLICY, ROWS["dead at once, 5 %"]), 2)
