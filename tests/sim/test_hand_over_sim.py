"""Two conductors of one lead, the old one not dead: what holds however late, doubled and lost their grants are."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from brakeline.rollout.model import Guard, Policy, Ring
from brakeline.rollout.presets import rehearsal
from brakeline.sim.cells import Scenario
from brakeline.sim.handover import Found, HandOver, World

RINGS = (Ring("one", 60, count=4), Ring("two", 60, count=20), Ring("all", 60, share=1.0))
POLICY = rehearsal(Policy(RINGS, guard=Guard(holdout=0.0)), interval_s=10)
NAMES = ("a1", "a2", "b1")


def planned(seed: int) -> HandOver:
    """Cells move within five minutes of each other; the old conductor is cut off for a while around it, or never."""
    rng = random.Random(seed)
    begin = rng.randrange(6, 60)
    moves = {n: begin + rng.randrange(0, 30) for n in NAMES}
    cut_from = rng.choice((begin - 5, begin + 2, 10_000))
    sizes = tuple(rng.randint(3, 30) for _ in NAMES)
    return HandOver(Scenario(POLICY, sizes, steps=500), moves, max(moves.values()) + rng.randrange(1, 20),
                    (cut_from, cut_from + rng.randrange(5, 80)))  # fmt: skip


def run(seed: int) -> Found:
    return World(planned(seed), random.Random(seed)).run()


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2, 3))])
def test_no_two_conductors_can_both_open_and_the_new_one_ends_what_was_begun(part: int) -> None:
    wrong, refused = {}, 0
    for seed in range(part, 24, 4):
        end = run(seed)
        refused += end.refused
        if end.broken or not end.completed or tuple(end.treated.values()) != planned(seed).scenario.sizes:
            wrong[seed] = (end.broken[:3], end.completed, end.treated)
    assert wrong == {}
    assert refused, "some late grant of the old conductor must have come to a cell that had moved"


def test_who_comes_back_says_that_it_no_longer_leads() -> None:
    plan = planned(3)
    end = World(replace(plan, cut=(4, plan.taken + 5)), random.Random(3)).run()
    assert end.broken == []
    assert "this cell no longer leads" in end.says


@pytest.mark.long
def test_a_cell_that_never_moves_keeps_to_what_it_had() -> None:
    plan = planned(5)
    stays = replace(plan, moves=plan.moves | {"b1": 10_000}, taken=120, cut=(0, 0))
    end = World(stays, random.Random(5)).run()
    assert end.broken == []
    assert end.treated["b1"] < plan.scenario.sizes[2] or end.completed


@pytest.mark.long
def test_a_seed_gives_the_same_history() -> None:
    assert run(7) == run(7)
