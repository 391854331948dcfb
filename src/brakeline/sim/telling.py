"""What blocks say at a checkpoint, as the bets that the brake judges: who is silent or unhealthy is drawn here.

A `Voice` keeps the sum of bets of every row and ring. Whoever was randomised together is one block, of all classes;
a group's row counts only its own bad ones. Next: `cohorts`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from brakeline.rollout.alpha import MARGINS
from brakeline.rollout.evidence import SIGNALS, SILENT, STATIONARY, TOLD_BY_SOME, UNHEALTHY, Row
from brakeline.rollout.model import CLASSES
from brakeline.rollout.signals import ACTIONS, BLOCKS, DELETIONS, ERRORS, PATCHES, RESOURCES, STARTS
from brakeline.rollout.summary import Bets
from brakeline.sim import bets
from brakeline.sim.blocks import Blocks, Floats, Ints
from brakeline.sim.harm import LOOP_HEARD, Shows

# Of healthy endpoints, at a checkpoint, by signal: a failed service, a machine short for other reasons, packages
# that people removed, repeated starts; a dry run that fails, a machine that refuses much, files deleted by people, a
# journal that complains by itself. Own assumptions.
BASES: Final = {
    UNHEALTHY: 0.001, RESOURCES: 0.002, ACTIONS: 0.0005, STARTS: 0.002, PATCHES: 0.002, BLOCKS: 0.01, DELETIONS: 0.001,
    ERRORS: 0.01,
}  # fmt: skip
UNFORESEEN: Final = {PATCHES: 0.003}  # of the treated: what no dry run sees, as a package manager fails on any day
SHOWN_BY: Final = {  # what an endpoint that is hit and heard tells
    Shows.HEALTH: (UNHEALTHY,), Shows.RESOURCES: (RESOURCES,), Shows.ACTIONS: (ACTIONS, BLOCKS, DELETIONS),
    Shows.BLOCKS: (BLOCKS,), Shows.DELETIONS: (DELETIONS,), Shows.PATCHES: (PATCHES,),
    Shows.ERRORS: (ERRORS,),
    Shows.LOOP: (UNHEALTHY, STARTS),
}  # fmt: skip
GROUPS: Final = ("all", *(f"class:{c}" for c in CLASSES), STATIONARY)
LAPTOP: Final = CLASSES.index("laptop")


Spend = Callable[[str, int, str], float]  # alpha of a question: signal, checkpoint, group
Sums = dict[tuple[str, int, int], Floats]  # by signal, checkpoint and ring: group x bet


@dataclass(frozen=True, slots=True)
class Due:
    """Rows that have come to a checkpoint, and what is true of them then."""

    rows: Ints
    checkpoint: int
    away: Floats  # probability that a healthy one is not heard
    uncrossed: Floats  # of its controls, the share whose turn to be treated has not come


class Voice:
    """The comparisons of one rollout so far; with several `draws`, of as many whose endpoints asked alike."""

    def __init__(self, shows: Shows, attribute: str, draws: int = 1,
                 harmless: Mapping[str, float] = MappingProxyType({}), goodbye: float = 0.0) -> None:  # fmt: skip
        """`harmless`: by signal, how much more of it there is among the treated. `goodbye`: share of those away who
        said it."""
        self.table: dict[Row, dict[int, Bets]] = defaultdict(dict)  # of the first draw
        self.sums: Sums = {}
        self.said = 0  # times that anything was added
        self._shows, self._attribute, self._draws = shows, attribute, draws
        self._harmless, self._goodbye = harmless, goodbye
        self.groups = (*GROUPS, *((attribute,) if attribute else ()))
        self._kept: dict[tuple[str, int], Floats] = {}  # log e-values by signal and checkpoint: draw x group
        self._linked: frozenset[int] = frozenset()
        self._apart: np.random.Generator | None = None  # for signals that came later: the draws of others stay

    def speak(self, rng: np.random.Generator, b: Blocks, due: Due) -> None:
        """Blocks at a checkpoint are compared, once."""
        if self._apart is None:
            self._apart = rng.spawn(1)[0]
        ring, draw, counts = self._counts(rng, b, due)
        for s, signal in enumerate(SIGNALS):
            told = (counts[:, s, 0, 0] > 0) & (counts[:, s, 0, 1] > 0)
            for one in np.unique(ring[told]):
                which = told & (ring == one)
                mine = counts[which, s].reshape(-1, 5)
                margin = MARGINS[signal]
                each = bets.beyond(mine, margin) if margin else bets.compare(mine)
                total = np.zeros((self._draws, len(self.groups), each.shape[1]))
                np.add.at(total, draw[which], each.reshape(-1, *total.shape[1:]))
                self._add((signal, due.checkpoint, int(one)), total)

    def halting(self, spend: Spend, linked: frozenset[int]) -> Floats:
        """By draw, how much of what halts the loudest checkpoint has said: from 1 on the brake halts."""
        found = np.zeros((max((j for _, j, _ in self.sums), default=0) + 1, self._draws))
        for (signal, checkpoint), of_groups in self._evidence(linked).items():
            alphas = np.array([spend(signal, checkpoint, group) for group in self.groups])
            found[checkpoint] += np.exp(np.minimum(of_groups, bets.LOUD_MAX)) @ alphas
        loudest: Floats = found.max(axis=0)
        return loudest

    def _evidence(self, linked: frozenset[int]) -> dict[tuple[str, int], Floats]:
        """By signal and checkpoint, log e-values of draw x group. Only what has changed is added up again."""
        if linked != self._linked:
            self._linked, self._kept = linked, {}
        rings: dict[tuple[str, int], dict[int, Floats]] = defaultdict(dict)
        for (signal, checkpoint, ring), sums in self.sums.items():
            if (signal, checkpoint) not in self._kept:
                rings[signal, checkpoint][ring] = sums
        self._kept |= {row: bets.over_rings(of_rings, linked) for row, of_rings in rings.items()}
        return self._kept

    def in_words(self, draw: int) -> dict[Row, dict[int, Bets]]:
        """The table of one draw."""
        found: dict[Row, dict[int, Bets]] = defaultdict(dict)
        for (signal, checkpoint, ring), sums in self.sums.items():
            for group, bets_ in zip(self.groups, sums[draw].tolist(), strict=True):
                found[(signal, checkpoint, group)][ring] = tuple(bets_)
        return found

    def named(self, logs: Mapping[tuple[str, int, int], Floats]) -> dict[Row, dict[int, Bets]]:
        """A table of log e-values by group, for voices that know the same groups."""
        found: dict[Row, dict[int, Bets]] = defaultdict(dict)
        for (signal, checkpoint, ring), of_groups in logs.items():
            for group, log_e in zip(self.groups, of_groups.tolist(), strict=True):
                found[(signal, checkpoint, group)][ring] = (log_e,)
        return found

    def _add(self, key: tuple[str, int, int], total: Floats) -> None:
        self.said += 1
        self.sums[key] = total = self.sums.get(key, 0.0) + total
        signal, checkpoint, ring = key
        self._kept.pop((signal, checkpoint), None)
        for group, sums in zip(self.groups, total[0].tolist(), strict=True):
            self.table[(signal, checkpoint, group)][ring] = tuple(sums)

    def _counts(self, rng: np.random.Generator, b: Blocks, due: Due) -> tuple[Ints, Ints, Ints]:
        """The ring of each block, its draw, and
        block x signal x group x (treated, controls, bad of both, treated of the group).
        """
        draw = np.repeat(np.arange(self._draws), due.rows.size)
        rows = np.tile(due.rows, self._draws)
        due = Due(rows, due.checkpoint, np.tile(due.away, self._draws), np.tile(due.uncrossed, self._draws))
        kind, block = b.ints["kind"][rows], b.ints["block"][rows]
        whole, marked = self._samples(rng, b, due)
        kinds = np.stack([np.ones(rows.size, bool), *(kind == k for k in range(len(CLASSES))), kind != LAPTOP])
        every = (whole + marked)[:, :, None, :] * kinds.T[:, None, :, None]
        if self._attribute:
            every = np.concatenate([every, marked[:, :, None, :]], axis=2)
        block = block + draw * (int(block.max()) + 1)
        order = np.argsort(block, kind="stable")
        first = np.flatnonzero(np.diff(block[order], prepend=-1))
        sums = np.add.reduceat(every[order], first, axis=0)
        together = np.broadcast_to(sums[:, :, :1, :2], (*sums.shape[:3], 2))
        counts = np.concatenate([together, sums[..., 2:], sums[..., :1]], axis=3)
        return b.ints["ring"][rows][order][first], draw[order][first], counts

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

    def _awake(self, rng: np.random.Generator, n_t: Ints, n_c: Ints, bitten: Ints,
               away: Floats) -> tuple[Ints, Ints, Floats]:  # fmt: skip
        """Without those who said goodbye, who count nowhere; nobody whom a fault has silenced says anything."""
        if not self._goodbye:
            return n_t, n_c, away
        said = away * self._goodbye
        rest = (away - said) / np.maximum(1 - said, 1e-12)
        return n_t - rng.binomial(n_t - bitten, said), rng.binomial(n_c, 1 - said), rest

    def _sample(self, rng: np.random.Generator, n_t: Ints, n_c: Ints, bitten: Ints, lost: tuple[Ints, Ints],
                away: Floats) -> Ints:  # fmt: skip
        """By signal: all of them for silence, those heard for others. `lost`: who of either arm did not come up from
        its restart."""
        n_t, n_c, away = self._awake(rng, n_t, n_c, bitten, away)
        well = n_t - bitten
        off_t, off_c = np.minimum(lost[0], well), np.minimum(lost[1], n_c)
        if self._shows is Shows.SILENCE:
            gone, ill = bitten, np.zeros_like(bitten)
        elif self._shows is Shows.LOOP:
            gone = rng.binomial(bitten, 1 - LOOP_HEARD)
            ill = bitten - gone
        else:
            gone = rng.binomial(bitten, away)
            ill = bitten - gone if self._shows in SHOWN_BY else np.zeros_like(bitten)
        x_t = gone + off_t + rng.binomial(well - off_t, away)
        x_c = off_c + rng.binomial(n_c - off_c, away)
        heard_t, heard_c = n_t - x_t, n_c - x_c
        found = {SILENT: np.column_stack([n_t, n_c, x_t, x_c])}
        for signal, base in BASES.items():
            shown = ill if signal in SHOWN_BY.get(self._shows, ()) else np.zeros_like(ill)
            own = self._apart if signal in TOLD_BY_SOME and self._apart is not None else rng
            more = self._harmless.get(signal, 0.0) + UNFORESEEN.get(signal, 0.0)
            bad_t = shown + own.binomial(np.maximum(heard_t - shown, 0), base + more)
            found[signal] = np.column_stack([heard_t, heard_c, bad_t, own.binomial(heard_c, base)])
        return np.stack([found[signal] for signal in SIGNALS], axis=1)
