"""What blocks say at a checkpoint, as the bets that the brake judges: who is silent or unhealthy is drawn here.

A `Voice` keeps the sum of bets of every row and ring, and tells it as one number each: the log of the mean bet, which
stays what it is when the brake takes the mean over bets. Whoever was randomised together is one block, of all classes;
a group's row counts only its own bad ones. Next: `cohorts`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np

from brakeline.rollout.alpha import MARGINS
from brakeline.rollout.evidence import SIGNALS, STATIONARY, Row
from brakeline.rollout.model import CLASSES
from brakeline.rollout.summary import Bets
from brakeline.sim import bets
from brakeline.sim.blocks import Blocks, Floats, Ints
from brakeline.sim.harm import LOOP_HEARD, Shows

UNHEALTHY_BASE: Final = 0.001  # of healthy endpoints have a failed service at a checkpoint; own assumption
GROUPS: Final = ("all", *(f"class:{c}" for c in CLASSES), STATIONARY)
LAPTOP: Final = CLASSES.index("laptop")


@dataclass(frozen=True, slots=True)
class Due:
    """Rows that have come to a checkpoint, and what is true of them then."""

    rows: Ints
    checkpoint: int
    away: Floats  # probability that a healthy one is not heard
    uncrossed: Floats  # of its controls, the share whose turn to be treated has not come


class Voice:
    """The comparisons of one rollout so far."""

    def __init__(self, shows: Shows, attribute: str) -> None:
        self.table: dict[Row, dict[int, Bets]] = defaultdict(dict)
        self._shows, self._attribute = shows, attribute
        self._groups = (*GROUPS, *((attribute,) if attribute else ()))
        self._sums: dict[tuple[str, int, int], Floats] = {}
        self._loudest: dict[tuple[str, int, int], float] = {}

    def speak(self, rng: np.random.Generator, b: Blocks, due: Due) -> None:
        """Blocks at a checkpoint are compared, once."""
        ring, counts = self._counts(rng, b, due)
        for s, signal in enumerate(SIGNALS):
            told = (counts[:, s, 0, 0] > 0) & (counts[:, s, 0, 1] > 0)
            for one in np.unique(ring[told]):
                mine = counts[told & (ring == one), s].reshape(-1, 5)
                margin = MARGINS[signal]
                each = bets.beyond(mine, margin) if margin else bets.compare(mine)
                self._add(signal, due.checkpoint, int(one), each.reshape(-1, len(self._groups), each.shape[1]).sum(0))

    def loudest(self) -> float:
        """The largest log e-value of any row and ring. What the brake makes of several rings is never more."""
        return max(self._loudest.values(), default=0.0)

    def _add(self, signal: str, checkpoint: int, ring: int, total: Floats) -> None:
        key = (signal, checkpoint, ring)
        self._sums[key] = total = self._sums.get(key, 0.0) + total
        logs = bets.log_mean_exp(total).tolist()
        self._loudest[key] = max(logs)
        for group, log_e in zip(self._groups, logs, strict=True):
            self.table[(signal, checkpoint, group)][ring] = (log_e,)

    def _counts(self, rng: np.random.Generator, b: Blocks, due: Due) -> tuple[Ints, Ints]:
        """(the ring of each block; block x signal x group x (treated, controls, bad of both, treated of the group))."""
        rows = due.rows
        kind, block = b.ints["kind"][rows], b.ints["block"][rows]
        whole, marked = self._samples(rng, b, due)
        kinds = np.stack([np.ones(rows.size, bool), *(kind == k for k in range(len(CLASSES))), kind != LAPTOP])
        every = (whole + marked)[:, :, None, :] * kinds.T[:, None, :, None]
        if self._attribute:
            every = np.concatenate([every, marked[:, :, None, :]], axis=2)
        order = np.argsort(block, kind="stable")
        first = np.flatnonzero(np.diff(block[order], prepend=-1))
        sums = np.add.reduceat(every[order], first, axis=0)
        together = np.broadcast_to(sums[:, :, :1, :2], (*sums.shape[:3], 2))
        return b.ints["ring"][rows][order][first], np.concatenate([together, sums[..., 2:], sums[..., :1]], axis=3)

    def _samples(self, rng: np.random.Generator, b: Blocks, due: Due) -> tuple[Ints, Ints]:
        """Those without and with the fault's attribute: row x signal x (treated, controls, bad of both)."""
        i = {name: b.ints[name][due.rows] for name in ("n_t", "n_c", "m_t", "m_c", "bitten")}
        others, none = rng.binomial(i["n_c"] - i["m_c"], due.uncrossed), np.zeros_like(i["bitten"])
        m_c = rng.binomial(i["m_c"], due.uncrossed) if self._attribute else none
        lost = b.ints["lost"][due.rows], rng.binomial(b.ints["lost_c"][due.rows],
                                                      (others + m_c) / np.maximum(i["n_c"], 1))  # fmt: skip
        bitten = none if self._attribute else i["bitten"]
        whole = self._sample(rng, i["n_t"] - i["m_t"], others, bitten, lost, due.away)
        if not self._attribute:
            return whole, np.zeros_like(whole)
        return whole, self._sample(rng, i["m_t"], m_c, i["bitten"], (none, none), due.away)

    def _sample(self, rng: np.random.Generator, n_t: Ints, n_c: Ints, bitten: Ints, lost: tuple[Ints, Ints],
                away: Floats) -> Ints:  # fmt: skip
        """Silence, and bad health among those heard. `lost`: who of either arm did not come up from its restart."""
        well = n_t - bitten
        off_t, off_c = np.minimum(lost[0], well), np.minimum(lost[1], n_c)
        if self._shows is Shows.SILENCE:
            gone, ill = bitten, np.zeros_like(bitten)
        elif self._shows is Shows.LOOP:
            gone = rng.binomial(bitten, 1 - LOOP_HEARD)
            ill = bitten - gone
        else:
            gone = rng.binomial(bitten, away)
            ill = bitten - gone if self._shows is Shows.HEALTH else np.zeros_like(bitten)
        x_t = gone + off_t + rng.binomial(well - off_t, away)
        x_c = off_c + rng.binomial(n_c - off_c, away)
        heard_t, heard_c = n_t - x_t, n_c - x_c
        bad_t = ill + rng.binomial(np.maximum(heard_t - ill, 0), UNHEALTHY_BASE)
        bad_c = rng.binomial(heard_c, UNHEALTHY_BASE)
        silent = np.column_stack([n_t, n_c, x_t, x_c])
        return np.stack([silent, np.column_stack([heard_t, heard_c, bad_t, bad_c])], axis=1)
