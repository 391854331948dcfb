"""200 histories in which every promise holds, and planted bugs that each break one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from brakeline.rollout.model import Phase
from brakeline.sim import faults, mutants, promises, scenarios, world
from brakeline.sim.fleet import DAY_MS

SEEDS = range(200)
CORPUS = Path(__file__).with_name("corpus.txt")
MUTANT_SEEDS = range(60)


def corpus() -> list[int]:
    lines = CORPUS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def history(seed: int, mind: world.Mind | None = None) -> world.History:
    return world.run(scenarios.scenario_for(seed), seed, mind)


def late(mind: world.Mind | None = None) -> world.History:
    """Servers that die five hours after the update, under a bake time of four: only earlier rings can tell."""
    scenario = scenarios.make(random.Random(5), "late", 60, (1.0, 0.0, 0.0), faults.LATE)
    rings = tuple(replace(r, bake_s=4 * 3600) for r in scenario.policy.rings)
    return world.run(replace(scenario, policy=replace(scenario.policy, rings=rings)), 5, mind)


def test_a_defect_that_shows_later_than_the_bake_time_is_stopped_by_the_rings_before() -> None:
    assert promises.broken(late()) == []


@pytest.mark.parametrize("part", range(8))
def test_every_promise_holds_in_every_history(part: int) -> None:
    broken = {seed: b for seed in SEEDS[part::8] if (b := promises.broken(history(seed)))}
    assert broken == {}


def test_promises_hold_for_seeds_that_once_broke_them() -> None:
    broken = {seed: b for seed in corpus() if (b := promises.broken(history(seed)))}
    assert broken == {}


def test_a_seed_gives_the_same_history_step_for_step() -> None:
    assert history(7).blueprints == history(7).blueprints
    assert history(7).offers == history(7).offers


def stories(mind: world.Mind) -> Iterator[world.History]:
    """One after the other, so that the first that catches the bug is the last that runs."""
    yield late(mind)
    for seed in MUTANT_SEEDS:
        yield history(seed, mind)


@pytest.mark.parametrize("name", sorted(mutants.MUTANTS))
def test_planted_bugs_are_caught(name: str) -> None:
    mind = mutants.MUTANTS[name]
    for end in stories(mind):
        broken = [b for b in promises.broken(end) if not b.startswith("lint_is_silent")]
        if broken:
            return
    pytest.fail(f"the planted bug {name} broke no promise in {len(MUTANT_SEEDS)} histories")


def test_lint_refuses_what_a_hasty_planner_proposes() -> None:
    hasty = world.Mind(plan=mutants.MUTANTS["advanced_on_hope"].plan)
    starts = [replace(scenarios.scenario_for(seed), horizon_ms=3 * DAY_MS) for seed in range(12)]
    refused = [h for seed, start in enumerate(starts) if (h := world.run(start, seed, hasty)).lint]
    assert len(refused) >= 3
    assert [list(promises.rings_are_proven(h)) for h in refused] == [[] for _ in refused]


def test_a_large_fleet_halts_a_deadly_update_by_statistics_within_its_first_ring() -> None:
    rng = random.Random(3)
    scenario = scenarios.make(rng, "large", 3000, (1.0, 0.0, 0.0), faults.DEAD_ALL)
    end = world.run(scenario, 3)
    assert end.last.phase is Phase.HALTED
    assert "silent" in end.last.why
    assert {o.ring for o in end.offers} == {0}
