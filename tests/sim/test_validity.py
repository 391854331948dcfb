"""The brake's bets are worth what they say: fair under nulls of every kind, sharp by size of harm, without gaps."""

from __future__ import annotations

import math

import pytest
from bench import brake_validity as bv

from brakeline.rollout import evalue
from brakeline.rollout.evidence import Counts

RUNS = 500
MOST = 13  # of 500 at 1 %: more come once in a thousand times


@pytest.mark.parametrize("world", bv.NULLS)
def test_what_moves_everybody_halts_no_harmless_change(world: str) -> None:
    assert max(bv.false_halts(world, RUNS).values()) <= MOST


@pytest.mark.parametrize("world", ["day and night", "weekend", "regional outage of 12 h", "shared shocks"])
def test_the_same_worlds_would_halt_it_if_arms_were_not_asked_together(world: str) -> None:
    """A planted bug: the treated are asked six hours after their controls."""
    assert max(bv.false_halts(world, RUNS, late=3).values()) > 2 * MOST


@pytest.mark.parametrize(
    ("n_t", "n_c", "m"), [(1, 9, 1), (10, 90, 7), (10, 90, 60), (30, 30, 45), (5, 2, 6), (80, 720, 9)]
)
def test_a_bet_is_worth_exactly_its_price_when_lots_alone_decide(n_t: int, n_c: int, m: int) -> None:
    """All ways in which the bad can fall on the arms, each with its chance."""
    total, bound = [0.0] * len(evalue.ODDS_RATIOS), [0.0] * len(evalue.ODDS_RATIOS)
    for x_t in range(max(0, m - n_c), min(n_t, m) + 1):
        chance = math.comb(n_t, x_t) * math.comb(n_c, m - x_t) / math.comb(n_t + n_c, m)
        for i, (bet, w) in enumerate(zip(evalue.bets(Counts(n_t, n_c, x_t, m - x_t)), evalue.ODDS_RATIOS, strict=True)):
            total[i] += chance * math.exp(bet)
            bound[i] += chance * math.exp(x_t * math.log(w) - m * math.log1p(n_t / (n_t + n_c) * (w - 1)))
    assert total == pytest.approx([1.0] * len(total))
    assert max(bound) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("base", "harm", "bad"),
    [
        ("servers, 0.05 %", 1.0, 10), ("servers, 0.05 %", 0.05, 6), ("servers, 0.05 %", 0.01, 8),
        ("desktops, 1 %", 0.05, 14), ("desktops, 1 %", 0.01, 70), ("laptops, 6 %", 1.0, 10),
        ("laptops, 6 %", 0.05, 90),
    ],
)  # fmt: skip
def test_harm_of_each_size_is_stopped_after_so_many(base: str, harm: float, bad: int) -> None:
    halted, found = bv.bad_at_halt(bv.BASES[base], harm, 40)
    assert halted >= 30
    assert found[len(found) // 2] <= bad


@pytest.mark.parametrize("p0", [0.001, 0.01, 0.1, 0.5, 0.9])
def test_no_odds_ratio_from_the_smallest_to_the_largest_falls_between_two_bets(p0: float) -> None:
    assert min(bv.kept(odds, p0) for odds in bv.odds_ratios()) >= 0.75


def test_a_grid_with_a_hole_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evalue, "ODDS_RATIOS", (1.15, 400.0))
    assert min(bv.kept(odds, 0.1) for odds in bv.odds_ratios()) < 0.5


def test_the_exact_price_never_needs_more_victims_and_saves_some_where_many_are_away() -> None:
    for base in ("servers, 0.05 %", "laptops, 12 %"):
        (n, exact), (m, bound) = (bv.bad_at_halt(bv.BASES[base], 0.05, 60, exact=x) for x in (True, False))
        assert n >= m
        assert exact[len(exact) // 2] <= bound[len(bound) // 2]
    assert exact[len(exact) // 2] < 0.9 * bound[len(bound) // 2]
