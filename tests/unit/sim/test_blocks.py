"""Short cuts of the simulation in numbers change no number: rows added up, bites drawn at once, rows told together."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from brakeline.rollout import brake, evalue
from brakeline.rollout.model import CLASSES
from brakeline.sim import bets
from brakeline.sim.blocks import Blocks
from brakeline.sim.harm import Crowded, Exposure, bitten_share, bitten_shares
from brakeline.sim.incidents import (
    After,
    AtDate,
    AtLocalMidnight,
    AtReboot,
    AtUtcWindow,
    Creep,
    Fault,
    Immediate,
    Onset,
    Symptom,
)
from brakeline.sim.rates import EVERYBODY, ZONES_H


def some_rows(rng: np.random.Generator, count: int) -> dict[str, NDArray[Any]]:
    rows: dict[str, NDArray[Any]] = {name: rng.integers(0, 50, count) for name in ("n_t", "n_c", "failed", "late")}
    rows |= {"ring": rng.integers(0, 3, count), "region": rng.integers(0, 2, count), "kind": rng.integers(0, 3, count)}
    rows |= {"prone": rng.integers(0, 3, count), "ready_h": rng.uniform(0, 100, count)}
    rows["bitten"] = np.minimum(rows["prone"], rng.integers(0, 3, count))
    return rows | {"point": np.where(rows["ready_h"] < 70, 4, 1)}


def test_rows_that_are_settled_keep_every_sum_and_the_youngest() -> None:
    b, before = Blocks(), Blocks()
    for blocks in (b, before):
        blocks.grow(some_rows(np.random.default_rng(7), 400))
    b.settle(60.0, 4)
    assert len(b) < len(before)
    for name in Blocks.SUMS:
        for by in ("ring", "region", "kind"):
            sums = [np.bincount(x.ints[by], x.ints[name]).tolist() for x in (b, before)]
            assert sums[0] == sums[1], (name, by)
    assert b.floats["ready_h"].max() == before.floats["ready_h"].max()
    young = [np.count_nonzero(x.floats["ready_h"] >= 60) for x in (b, before)]
    assert young[0] == young[1], "nobody who can still speak was added up"
    left = [x.ints["prone"] > x.ints["bitten"] for x in (b, before)]
    assert left[0].sum() == left[1].sum(), "nor who will still be bitten"


@pytest.mark.parametrize(
    "onset",
    [
        Immediate(),
        After(3.0),
        AtReboot(),
        AtLocalMidnight(),
        Creep(48.0),
        Creep(0.0),
        AtUtcWindow(22.0, 2.0),
        AtDate(30.0),
    ],
    ids=str,
)
def test_many_are_bitten_as_each_alone_would_be(onset: Onset) -> None:
    fault, rng = Fault(Symptom.SILENT, 1.0, None, onset), random.Random(3)
    who = [(rng.randrange(3), rng.randrange(8), 9 + rng.randrange(200) / 4) for _ in range(60)]
    kind, region, ready = (np.array(column) for column in zip(*who, strict=True))
    found = bitten_shares(fault, EVERYBODY, ZONES_H, Crowded(kind, region, ready), 9.0, 40.0)
    alone = [bitten_share(fault, EVERYBODY, Exposure(CLASSES[k], ZONES_H[r], h), 9.0, 40.0) for k, r, h in who]
    assert found == pytest.approx(np.array(alone), abs=1e-12)


def test_the_log_of_a_mean_bet_is_the_brakes() -> None:
    sums = np.random.default_rng(2).normal(0, 20, (30, 6))
    assert bets.log_mean_exp(sums) == pytest.approx(np.array([evalue.log_mean_exp(tuple(x)) for x in sums]))
    assert evalue.log_mean_exp((3.25,)) == 3.25


def test_rings_together_say_what_the_brake_makes_of_them() -> None:
    """The simulation asks the brake only where it would halt, so it must know as exactly as the brake does."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        rings = {int(i): rng.normal(0, 8, (2, 3, 6)) for i in rng.permutation(8)[: rng.integers(1, 9)]}
        linked = frozenset(int(i) for i in rng.permutation(8)[: rng.integers(0, 9)])
        found = bets.over_rings(rings, linked)
        for draw, group in itertools.product(range(2), range(3)):
            told = {ring: tuple(x[draw, group]) for ring, x in rings.items()}
            assert found[draw, group] == pytest.approx(brake.over_rings(told, linked))
