"""Evidence that goes on from ring to ring: fair whenever lots alone still decide, and not otherwise.

All ways in which a draw can fall are added up, so these are proofs for small fleets, not samples.
"""

from __future__ import annotations

import itertools
import math

import pytest

from brakeline.rollout import arms, brake, evalue
from brakeline.rollout.evidence import Counts
from brakeline.rollout.model import Turn
from brakeline.rollout.presets import policy_for

SICK = (frozenset({0, 1}), frozenset({1, 2}))  # who is silent in the first ring and in the second, treated or not
PLACES = 6
Range = tuple[int, int]  # of places in the draw
Arms = tuple[Range, Range]  # treated and controls of one ring


def turn(ring: int, below: int, start: int, until: int, region: str = "eu", tick: int = 1) -> Turn:
    return Turn(region, ring, tick, below, start, until)


def ring_bets(order: tuple[int, ...], sick: frozenset[int], treated: Range, controls: Range) -> tuple[float, ...]:
    a, b = order[slice(*treated)], order[slice(*controls)]
    return evalue.bets(Counts(len(a), len(b), len(sick & set(a)), len(sick & set(b))))


def expected(first: Arms, second: Arms, linked: bool) -> float:
    """The mean e-value of two rings over all draws of six endpoints that the change does nothing to."""
    link, total, ways = frozenset({1} if linked else ()), 0.0, 0
    for order in itertools.permutations(range(PLACES)):
        rings = {0: ring_bets(order, SICK[0], *first), 1: ring_bets(order, SICK[1], *second)}
        total, ways = total + math.exp(brake.over_rings(rings, link)), ways + 1
    return total / ways


APART = ((0, 1), (4, 6)), ((1, 2), (2, 4))
EVERYBODY = ((0, 1), (1, 6)), ((1, 2), (2, 6))
SHARED = ((0, 1), (3, 6)), ((1, 2), (2, 6))


@pytest.mark.parametrize("plan", [APART, EVERYBODY], ids=["controls apart", "everybody else is a control"])
def test_bets_that_go_on_are_fair_where_controls_are_apart_or_everybody(plan: tuple[Arms, Arms]) -> None:
    assert expected(*plan, linked=True) == pytest.approx(1.0)


def test_they_are_not_where_some_were_controls_before_and_some_were_not() -> None:
    """Why rings that share controls are averaged: who was one is known to be treated last."""
    sick = frozenset({0, 1})
    total = ways = 0.0
    for order in itertools.permutations(range(PLACES)):
        rings = {0: ring_bets(order, sick, *SHARED[0]), 1: ring_bets(order, sick, *SHARED[1])}
        product = [a + b for a, b in zip(rings[0], rings[1], strict=True)]
        total, ways = total + math.exp(product[-1]), ways + 1
    assert total / ways > 1.01
    assert expected(*SHARED, linked=False) == pytest.approx(1.0)


def test_which_rings_go_on_is_read_off_the_ranges() -> None:
    first = turn(0, 10, 90, 100)
    assert arms.linked((first, turn(1, 20, 60, 90))) == {1}
    assert arms.linked((first, turn(1, 20, 60, 100))) == frozenset(), "some of its controls were controls before"
    assert arms.linked((turn(0, 10, 10, 100), turn(1, 20, 20, 100))) == {1}, "all of them were"
    assert arms.linked((turn(0, 10, 15, 100), turn(1, 20, 20, 100))) == frozenset(), "some of its treated were none"
    other = turn(0, 10, 90, 100, "us"), turn(1, 20, 60, 95, "us")
    assert arms.linked((first, turn(1, 20, 60, 90), *other)) == frozenset(), "one region is enough"
    assert arms.linked(()) == frozenset()


def test_a_ring_stays_what_it_began_as() -> None:
    first = turn(0, 10, 90, 100)
    assert arms.kept_apart((first,), 1) is None
    assert arms.kept_apart((first, turn(1, 20, 60, 90)), 1) is True
    assert arms.kept_apart((first, turn(1, 20, 60, 91)), 1) is False
    assert arms.kept_apart((turn(0, 10, 10, 10),), 0) is None, "no controls say nothing"


def test_controls_apart_are_fresh_and_below_the_bound() -> None:
    draws = arms.SortedDraws(range(100))
    fresh = arms.SortedDraws(range(10, 90))
    assert arms.thresholds(draws, fresh, draws, 10, 30, 0, apart=80) == (10, 50, 80)
    assert arms.thresholds(draws, fresh, draws, 10, 90, 0, apart=80) == (10, 10, 80), "as many as there are"
    assert arms.thresholds(draws, fresh, draws, 10, 90, 0) == (10, 10, arms.U_END)
    assert arms.thresholds(draws, fresh, draws, 10, 30, 0, apart=5) == (10, 10, 10), (
        "treated beyond it: no room is left"
    )


def test_bets_of_linked_rings_multiply_and_a_ring_that_shares_begins_anew() -> None:
    one = (math.log(30.0),)
    assert brake.over_rings({0: one, 1: one}, frozenset({1})) > math.log(0.5 * 900)
    assert brake.over_rings({0: one, 1: one}) < math.log(30.0)
    broken = brake.over_rings({0: one, 1: one, 2: one}, frozenset({2}))
    assert math.log(0.25 * 900) < broken < math.log(0.5 * 900)


def test_early_rings_have_more_controls_while_they_are_a_small_part_of_the_fleet() -> None:
    policy, uptos = policy_for(8_500_000), [100, 1_000, 10_000, 100_000, 850_000]
    wanted = [arms.controls_per_treated(policy, i, uptos, 8_500_000) for i in range(5)]
    assert wanted == [99, 99, 47, 9, 9]
    assert arms.controls_per_treated(policy, 0, [2, 20], 200) == 9, "never fewer than usual"
