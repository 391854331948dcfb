"""The simulation in cohorts against the one of single endpoints: servers alone, where both assume the same habits."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import median

import pytest

from brakeline.rollout.model import Phase
from brakeline.sim import cohorts, faults, scenarios, world
from brakeline.sim.incidents import After, Fault, Symptom
from brakeline.sim.rates import SERVER, Population

SEEDS = range(2)
NOBODY = replace(SERVER, share=1e-9)
SERVERS = Population(server=replace(SERVER, share=1.0), desktop=NOBODY, laptop=NOBODY)


def both(of_one: faults.Fault, of_all: Fault | None) -> tuple[list[world.History], list[cohorts.End]]:
    """The same plan and fault, a history a seed, in either simulation."""
    stories = [scenarios.make(random.Random(s), "compared", 2000, (1.0, 0.0, 0.0), of_one) for s in SEEDS]
    ends = [
        cohorts.run(cohorts.Case(2000, story.policy, of_all, seed, regions=len({e.region for e in story.fleet}),
                                 population=SERVERS, attributes=3))
        for seed, story in zip(SEEDS, stories, strict=True)
    ]  # fmt: skip
    return [world.run(story, seed) for seed, story in zip(SEEDS, stories, strict=True)], ends


def dies_after(hours: float, share: float = 1.0) -> Fault:
    return Fault(Symptom.SILENT, share, None, After(hours))


@pytest.mark.parametrize(("of_one", "hours"), [(faults.DEAD_ALL, 10 / 60), (faults.LATE, 5.0)])
def test_what_hits_everybody_is_stopped_in_the_same_ring(of_one: faults.Fault, hours: float) -> None:
    single, cohort = both(of_one, dies_after(hours))
    stopped = (Phase.HALTED, Phase.HOLDING)
    assert {h.last.phase in stopped for h in single} == {e.phase in stopped for e in cohort} == {True}
    assert median(e.harmed for e in cohort) == pytest.approx(median(h.harmed for h in single), rel=0.5)


def test_what_hits_one_in_twenty_harms_about_as_many() -> None:
    single, cohort = both(faults.DEAD_SOME, dies_after(10 / 60, 0.05))
    assert {h.last.phase for h in single} == {e.phase for e in cohort} == {Phase.HALTED}
    assert median(e.harmed for e in cohort) == pytest.approx(median(h.harmed for h in single), rel=1.0)


@pytest.mark.long
def test_a_harmless_change_takes_about_as_long() -> None:
    single, cohort = both(faults.BENIGN, None)
    assert {h.last.phase for h in single} == {e.phase for e in cohort} == {Phase.COMPLETED}
    took = [(h.last.made_ms - h.scenario.start_ms) / 3_600_000 for h in single]
    assert median(e.hours for e in cohort) == pytest.approx(median(took), rel=0.5)
