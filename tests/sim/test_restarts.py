"""Faults that show at the next start, among canaries that are restarted and among such that are not."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import median

import numpy as np
import pytest

from brakeline.rollout.model import NO_RESTARTS, Phase
from brakeline.rollout.presets import for_release, policy_for
from brakeline.sim import batch, cohorts, faults, promises, scenarios, world
from brakeline.sim.asking import Ints
from brakeline.sim.cohorts import Case, End, World
from brakeline.sim.enrolling import Columns

ENDPOINTS = 100_000
POLICY = for_release(policy_for(ENDPOINTS))
SERVERS = (1.0, 0.0, 0.0)
ALL, SOME = batch.ROWS["dead at next restart, 100 %"], batch.ROWS["dead at next restart, 5 %"]


def test_who_dies_at_its_next_start_is_found_among_the_first_canaries() -> None:
    ends = [cohorts.run(Case(ENDPOINTS, POLICY, ALL, seed)) for seed in range(3)]
    assert {e.phase for e in ends} == {Phase.HALTED}
    assert max(e.ring for e in ends) == 0
    blind = replace(POLICY, restarts=NO_RESTARTS)
    later = [cohorts.run(Case(ENDPOINTS, blind, ALL, seed)) for seed in range(3)]
    assert median(e.harmed for e in ends) < median(e.harmed for e in later)


@pytest.mark.long
def test_a_partial_fault_at_the_next_start_is_found_ten_times_earlier() -> None:
    ends = [cohorts.run(Case(ENDPOINTS, POLICY, SOME, seed)) for seed in range(2)]
    blind = [cohorts.run(Case(ENDPOINTS, replace(POLICY, restarts=NO_RESTARTS), SOME, seed)) for seed in range(2)]
    assert {e.phase for e in ends} == {Phase.HALTED}
    assert 5 * median(e.harmed for e in ends) < median(e.harmed for e in blind)


@pytest.mark.long
def test_restarts_that_go_wrong_by_themselves_halt_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One in twenty machines never comes back from a restart: in both arms, so it is no harm of the change."""
    monkeypatch.setattr(cohorts, "RESTART_LOST", 0.05)
    ends = [cohorts.run(Case(10_000, policy_for(10_000), None, seed, consent=1.0)) for seed in range(5)]
    assert not [e.why for e in ends if e.phase is Phase.HALTED]


class OneSided(World):
    """A planted bug: only treated endpoints are restarted."""

    def _willing(self, rows: Columns, at_h: float) -> tuple[Ints, Ints]:
        treated, controls = super()._willing(rows, at_h)
        return treated, np.zeros_like(controls)


def test_restarting_the_treated_alone_would_halt_a_good_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohorts, "RESTART_LOST", 0.05)
    ends: list[End] = [OneSided(Case(10_000, policy_for(10_000), None, seed, consent=1.0)).run() for seed in range(3)]
    assert sum(e.phase is Phase.HALTED for e in ends) >= 2


@pytest.mark.parametrize("consent", [0.5, 1.0])
def test_single_endpoints_that_die_at_their_restart_stop_the_rollout(consent: float) -> None:
    stories = [scenarios.make(random.Random(s), "restarts", 160, SERVERS, faults.REBOOT) for s in range(2)]
    told = [world.run(replace(story, consent=consent), s) for s, story in enumerate(stories)]
    blind = [world.run(story, s) for s, story in enumerate(stories)]
    assert {h.last.phase for h in told} <= {Phase.HALTED, Phase.HOLDING}
    assert max(h.harmed for h in told) <= 16  # nobody beyond the second ring
    assert median(h.harmed for h in told) < median(h.harmed for h in blind)
    assert not [text for h in told for promise in promises.PROMISES for text in promise(h)]


def test_a_small_ring_waits_for_its_restarted_canary_and_goes_on_when_it_is_back() -> None:
    story = replace(scenarios.make(random.Random(3), "restarts", 6, SERVERS, faults.BENIGN), consent=1.0)
    end = world.run(story, 3)
    assert end.last.phase is Phase.COMPLETED, end.last.why
    early = {s.endpoint_id: s for m in _members(story) for s in ([m.treated] if m.treated else [])}
    assert {s.ring for s in early.values() if s.restarted_ms} == {0, 1}
    assert all(s.restarted_ms for s in early.values() if s.ring < 2)


def _members(story: world.Scenario) -> list[world.Member]:
    w = world.World(story, random.Random(3), world.Mind())
    w.run()
    return w.members


def test_who_said_goodbye_counts_nowhere_and_whom_a_fault_silenced_says_none() -> None:
    simulated = World(Case(1_000, policy_for(1_000), None, goodbye=0.9))
    whole = np.array([100_000])
    left_t, left_c, away = simulated.voice._awake(simulated.rng, whole, whole, np.array([20_000]), np.array([0.5]))
    assert left_t[0] == pytest.approx(20_000 + 80_000 * 0.55, rel=0.02)
    assert left_c[0] == pytest.approx(100_000 * 0.55, rel=0.02)
    assert away[0] == pytest.approx(0.05 / 0.55)
