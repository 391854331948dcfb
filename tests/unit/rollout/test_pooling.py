"""Bets of several fleets: sums of logs; a fleet that listens stays within its own alpha."""

from __future__ import annotations

import itertools
import math

import pytest

from brakeline.rollout import brake, evalue
from brakeline.rollout.evidence import SILENT, Counts
from brakeline.rollout.pooling import listening, pooled

ROW = (SILENT, 0, "all")
OTHER = (SILENT, 1, "all")


def told(*blocks: Counts, ring: int = 0) -> dict[tuple[str, int, str], dict[int, tuple[float, ...]]]:
    return {ROW: {ring: evalue.add(map(evalue.bets, blocks))}}


def test_together_they_say_what_one_fleet_with_all_blocks_would() -> None:
    a, b, c = Counts(2, 18, 1, 0), Counts(2, 18, 0, 1), Counts(4, 30, 2, 0)
    assert pooled([told(a), told(b, c)])[ROW][0] == pytest.approx(told(a, b, c)[ROW][0])
    assert pooled([]) == {}
    apart = pooled([told(a), told(b, ring=1)])[ROW]
    assert set(apart) == {0, 1}, "rings are added ring by ring"


def test_six_numbers_a_signal_leave_a_fleet_and_nobody_s_name() -> None:
    assert len(told(Counts(2, 18, 1, 0))[ROW][0]) == 6


def test_what_no_fleet_sees_alone_all_of_them_see() -> None:
    one = told(Counts(1, 9, 1, 0))
    alone = evalue.log_mean_exp(one[ROW][0])
    together = listening(one, pooled([one] * 10))[ROW][0]
    assert alone < -math.log(0.001) < evalue.log_mean_exp(together)


def test_a_pool_that_has_nothing_to_tell_costs_at_most_log_two() -> None:
    own = told(*[Counts(5, 45, 5, 0)] * 4)
    heard = listening(own, {OTHER: {0: (1.0,)}})
    assert heard[ROW][0][0] >= evalue.log_mean_exp(own[ROW][0]) - math.log(2) - 1e-9
    assert heard[OTHER][0][0] == pytest.approx(math.log((1 + math.e) / 2))


def test_to_listen_is_a_fair_bet() -> None:
    """Two fleets of three with one silent endpoint each, lots drawn in all ways: the mean e-value is 1."""
    total, ways = 0.0, list(itertools.product((1, 0, 0), repeat=2))
    for mine, theirs in ways:
        own, other = told(Counts(1, 2, mine, 1 - mine)), told(Counts(1, 2, theirs, 1 - theirs))
        heard = listening(own, pooled([own, other]))[ROW]
        total += math.exp(brake.over_rings(heard))
    assert total / len(ways) == pytest.approx(1.0)
