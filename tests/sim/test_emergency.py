"""The emergency lane over millions, by the shipped planner and brake: done within two days, and what it costs."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from brakeline.rollout.model import Change, Phase, Pin
from brakeline.rollout.pace import Fault, Risk, weigh
from brakeline.rollout.presets import policy_for
from brakeline.rollout.timeline import timeline
from brakeline.sim import incidents
from brakeline.sim.cohorts import Case, run

MILLIONS = 8_500_000
CHANGE = Change((Pin("libssl3", "3.0.17"),), exploited=True)
FACTOR = 3  # within which expectation and simulation agree


@pytest.mark.parametrize("size", [2_000, 50_000, MILLIONS])
def test_a_harmless_change_is_done_within_two_days(size: int) -> None:
    end = run(Case(size, policy_for(size, "emergency"), None, seed=1))
    assert (end.phase, end.hours <= 48) == (Phase.COMPLETED, True), end
    assert end.held_h == 0


@pytest.mark.parametrize(("share", "factor"), [(1.0, FACTOR), (0.05, FACTOR), (0.001, 3 * FACTOR)])
def test_harm_is_as_expected(share: float, factor: float) -> None:
    """The rarest is found a ring later than expected in most histories: half of the second ring's servers are restarted
    on order, and one in a thousand of any arm does not come up, which is as much as the harm that is looked for.
    """
    policy = policy_for(MILLIONS, "emergency")
    fault = incidents.Fault(incidents.Symptom.SILENT, share, None, incidents.Immediate())
    ends = [run(Case(MILLIONS, policy, fault, seed=seed)) for seed in range(5)]
    assert {end.phase for end in ends} == {Phase.HALTED}
    harmed = statistics.median(end.harmed for end in ends)
    line = timeline(policy, CHANGE, MILLIONS, regions=8)
    found_h = line.found_h(share, 0.0)
    assert found_h is not None
    expected = share * line.taken_by(found_h)
    assert expected / factor <= harmed <= expected * factor


def test_what_shows_a_day_later_is_found_by_no_hurried_pace_and_the_table_says_so() -> None:
    fault = incidents.Fault(incidents.Symptom.SILENT, 1.0, None, incidents.After(24.0))
    assert run(Case(50_000, policy_for(50_000, "emergency"), fault, seed=1)).phase is Phase.COMPLETED
    careful, _, emergency = weigh(replace(Risk(True), exposed=50_000), CHANGE, 50_000)
    late = Fault("all, a day later", 1.0, 24.0).name
    told = [next(h for h in o.harms if h.fault == late).found for o in (careful, emergency)]
    assert told == [True, False]
