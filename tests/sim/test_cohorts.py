"""Rollouts among many endpoints, decided by the shipped planner: what must hold in every history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from brakeline.rollout.model import CLASSES, Phase
from brakeline.rollout.presets import for_release, policy_for
from brakeline.sim import batch, replay
from brakeline.sim.cohorts import Case, Outage, World, run
from brakeline.sim.incidents import Fault
from brakeline.sim.replay import Request

ENDPOINTS = 100_000
POLICY = for_release(policy_for(ENDPOINTS))


def case(fault: Fault | None, seed: int = 1, **fields: Any) -> Case:
    return replace(Case(ENDPOINTS, POLICY, fault, seed), **fields)


@pytest.mark.long
def test_a_harmless_change_reaches_everybody_and_nobody_is_harmed() -> None:
    end = run(case(None))
    assert end.phase is Phase.COMPLETED, end.why
    assert end.harmed == 0
    assert end.exposed >= 0.9 * ENDPOINTS


def test_the_same_case_gives_the_same_history() -> None:
    fault = batch.ROWS["dead at once, 5 %"]
    once = run(case(fault, 7))
    assert run(case(fault, 7)) == once
    assert run(case(fault, 8)) != once


@pytest.mark.parametrize("name", [n for n in batch.ROWS if "100 %" in n or "midnight" in n])
def test_what_hits_everybody_goes_no_further_than_the_second_ring(name: str) -> None:
    end = run(case(batch.ROWS[name]))
    assert end.phase in (Phase.HALTED, Phase.HOLDING), end.why
    assert end.ring <= 1
    assert end.exposed <= 1_000


def test_a_fault_at_once_shows_on_all_whom_it_hits_whether_they_are_to_be_restarted_or_not() -> None:
    world = World(case(batch.ROWS["dead at once, 5 %"], 3, consent=1.0))
    for _ in range(8):
        world.step()
    rows = world.blocks.ints
    assert rows["willing"].sum() > 0
    assert (rows["bitten"] == rows["prone"]).all()


def test_no_laptop_is_silent_before_its_grace_is_over() -> None:
    world = World(case(None))
    for _ in range(8):
        world.step()
    rows = np.arange(len(world.blocks))
    laptops = world.blocks.ints["kind"] == CLASSES.index("laptop")
    assert laptops.any()
    for checkpoint_s, due in ((600, ~laptops), (1800, ~laptops), (8100, np.ones_like(laptops))):
        assert (world._due(rows, checkpoint_s) == due).all()


@pytest.mark.long
def test_a_region_of_which_nothing_is_heard_waits_and_the_rollout_ends_all_the_same() -> None:
    end = run(case(None, outages=(Outage(2, 20.0, 34.0),)))
    assert end.phase is Phase.COMPLETED, end.why
    assert end.harmed == 0


def test_a_replay_tells_each_incident_beside_other_rules() -> None:
    told = replay.rules_on(batch.ROWS["dead at once, 100 %"], ENDPOINTS)
    assert told["naive"]["harmed"] > 0.5 * ENDPOINTS
    assert {"naive", "hawkbit", "action1", "fixed_rings"} <= set(told)
    good = replay.benign(Request(2_000, 2))
    assert (good["runs"], good["false_halts"]) == (2, 0)
