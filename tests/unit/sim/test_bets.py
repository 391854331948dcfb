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


@pytest.mark.parametrize("size", [3, 100, 5000, 400_000])
def test_they_are_those_of_the_brake(size: int) -> None:
    blocks = some_blocks(random.Random(size), size, 40)
    plain = np.array([(*b, b[0] // 2) for b in blocks], dtype=np.int64)
    assert bets.compare(plain) == pytest.approx(np.array([evalue.bets(Counts(*b)) for b in blocks]), rel=1e-7, abs=1e-6)
    margin = 0.002
    expected = np.array([evalue.bets_beyond(Counts(*b, b[0] // 2), margin) for b in blocks])
    assert bets.beyond(plain, margin) == pytest.approx(expected, rel=1e-9, abs=1e-9)


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
