"""The bets in numpy are those of the brake; draws by numbers answer as draws one by one."""

from __future__ import annotations

import random

import numpy as np
import pytest

from brakeline.core.draw import U_END
from brakeline.rollout import evalue
from brakeline.rollout.arms import SortedDraws
from brakeline.rollout.evidence import Counts
from brakeline.sim import bets
from brakeline.sim.draws import Segment, SpreadDraws


def some_blocks(rng: random.Random, size: int, count: int) -> list[tuple[int, int, int, int]]:
    found = []
    for _ in range(count):
        n_t, n_c = rng.randint(1, size), rng.randint(1, 9 * size)
        share = rng.choice((0.0, 0.02, 0.5, 1.0))
        found.append((n_t, n_c, round(n_t * share * rng.random()), round(n_c * share * rng.random())))
    return [*found, (5, 45, 5, 45), (5, 45, 0, 0), (size, 9 * size, size, 0)]


def columns(blocks: list[tuple[int, int, int, int]]) -> tuple[bets.Ints, ...]:
    """Treated and controls, draw x block, and bad ones of both, draw x block x group, of one draw and two groups."""
    n_t, n_c, x_t, x_c = np.array(blocks, dtype=np.int64).T[:, None]
    return n_t, n_c, np.stack([x_t, x_t // 2], axis=2), np.stack([x_c, x_c // 3], axis=2)


@pytest.mark.parametrize("size", [3, 100, 5000, 400_000])
def test_they_are_those_of_the_brake(size: int) -> None:
    blocks = some_blocks(random.Random(size), size, 40)
    plain = np.array(blocks, dtype=np.int64)
    expected = np.array([evalue.bets(Counts(*b)) for b in blocks])
    assert bets.compare(plain) == pytest.approx(expected, rel=1e-7, abs=1e-6)
    halves = evalue.add(evalue.bets(Counts(n_t, n_c, x_t // 2, x_c // 3)) for n_t, n_c, x_t, x_c in blocks)
    found = bets.compared(*columns(blocks))
    assert found[0] == pytest.approx(np.array([expected.sum(axis=0), halves]), rel=1e-7, abs=1e-5)


@pytest.mark.parametrize("margin", [0.002, 0.01])
def test_those_with_a_margin_are_the_brakes_by_signal_and_group(margin: float) -> None:
    blocks = some_blocks(random.Random(7), 5000, 40)
    n_t, n_c, x_t, x_c = columns(blocks)
    arms = np.stack([n_t, n_t // 2], axis=2)
    found = bets.beyond(arms, n_c, np.stack([x_t, 0 * x_t]), np.stack([x_c, x_c]), margin)
    for signal, bad in enumerate((1, 0)):
        whole = evalue.add(evalue.bets_beyond(Counts(t, c, bad * x, y), margin) for t, c, x, y in blocks)
        half = evalue.add(
            evalue.bets_beyond(Counts(t, c, bad * (x // 2), y // 3, t // 2), margin) for t, c, x, y in blocks
        )
        assert found[signal, 0] == pytest.approx(np.array([whole, half]), rel=1e-9, abs=1e-7)


def test_a_block_of_which_an_arm_is_empty_says_nothing() -> None:
    lone = columns([(10, 90, 3, 2), (0, 5, 0, 2), (5, 0, 4, 0)])
    told = columns([(10, 90, 3, 2)])
    assert bets.compared(*lone) == pytest.approx(bets.compared(*told))
    n_t, n_c, x_t, x_c = lone
    some = bets.beyond(np.stack([n_t, n_t], axis=2), n_c, x_t[None], x_c[None], 0.002)
    n_t, n_c, x_t, x_c = told
    assert some == pytest.approx(bets.beyond(np.stack([n_t, n_t], axis=2), n_c, x_t[None], x_c[None], 0.002))


def test_draws_by_numbers_answer_as_draws_one_by_one() -> None:
    rng = random.Random(1)
    for _ in range(200):
        cut = rng.randint(1, U_END - 1)
        draws = SpreadDraws([Segment(0, cut, rng.randint(0, 5)), Segment(cut, U_END, rng.randint(1, 40))])
        known = SortedDraws([draws.at(k) for k in range(len(draws))])
        assert draws.at(len(draws)) == known.at(len(draws)) == U_END
        for k in range(len(draws)):
            assert draws.below(draws.at(k)) == k
            assert draws.between(0, draws.at(k) + 1) == known.between(0, draws.at(k) + 1)
        assert draws.from_top(U_END, 1) == known.from_top(U_END, 1)
