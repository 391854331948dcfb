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
from numpy.typing import NDArray

from brakeline.rollout import evalue
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
KINDS: Final = len(CLASSES)
# Columns of a count: treated and controls, those of them heard, and by signal the bad ones among either.
ALL, HEARD, BAD_T, BAD_C = slice(0, 2), slice(2, 4), slice(4, 4 + len(SIGNALS)), slice(4 + len(SIGNALS), None)
COLUMNS: Final = 4 + 2 * len(SIGNALS)
# Signals of one margin have bets of one shape and are added up at once; silence, which has none, is its own family.
FAMILIES: Final = tuple(tuple(s for s in SIGNALS if MARGINS[s] == margin) for margin in sorted(set(MARGINS.values())))
PLACES: Final = {family: [SIGNALS.index(s) for s in family] for family in FAMILIES}
BETS: Final = {s: len(evalue.odds_beyond(MARGINS[s]) if MARGINS[s] else evalue.ODDS_RATIOS) for s in SIGNALS}
MOST: Final = max(BETS.values())
UNUSED: Final = np.log([MOST / BETS[s] for s in SIGNALS])[:, None, None]
FAR: Final = 0.9  # of what halts: below, nobody needs to know how much exactly


Bools = NDArray[np.bool_]
Spend = Callable[[str, int, str], float]  # alpha of a question: signal, checkpoint, group
Sums = dict[tuple[str, int, int], Floats]  # by signal, checkpoint and ring: group x bet


@dataclass(frozen=True, slots=True)
class Due:
    """Rows that have come to a checkpoint, and what is true of them then."""

    rows: Ints
    checkpoint: int
    away: Floats  # probability that a healthy one is not heard
    uncrossed: Floats  # of its controls, the share whose turn to be treated has not come
    due: Bools  # whether one that is dead since ready is silent by now: its grace is over


def _sum_up(log_es: Floats, alphas: Floats) -> Floats:
    """Over questions, by draw. Both signal x (draw x) group."""
    found: Floats = np.einsum("sdg,sg->d", np.exp(np.minimum(log_es, bets.LOUD_MAX)), alphas)
    return found


class Voice:
    """The comparisons of one rollout so far; with several `draws`, of as many whose endpoints asked alike."""

    def __init__(self, shows: Shows, attribute: str, draws: int = 1,
                 harmless: Mapping[str, float] = MappingProxyType({}), goodbye: float = 0.0) -> None:  # fmt: skip
        """`harmless`: by signal, how much more of it there is among the treated. `goodbye`: share of those away who
        said it."""
        self.said = 0  # times that anything was added
        self._shows, self._attribute, self._draws = shows, attribute, draws
        self._harmless, self._goodbye = harmless, goodbye
        self.groups = (*GROUPS, *((attribute,) if attribute else ()))
        self._sums: dict[tuple[int, int], Floats] = {}  # by checkpoint and ring: signal x draw x group x bet
        self._alphas: dict[int, Floats] = {}  # by checkpoint: signal x group
        self._kept: dict[int, Floats] = {}  # what halts, by checkpoint and draw, if nothing has changed
        self._linked: frozenset[int] = frozenset()
        self._table: tuple[int, dict[Row, dict[int, Bets]]] = 0, {}
        self._apart: np.random.Generator | None = None  # for signals that came later: the draws of others stay

    def speak(self, rng: np.random.Generator, b: Blocks, due: Due) -> None:
        """Blocks at a checkpoint are compared, once."""
        if self._apart is None:
            self._apart = rng.spawn(1)[0]
        ring, counts = self._counts(rng, b, due)
        for one in sorted(set(ring.tolist())):
            mine = ring == one
            self._compare(due.checkpoint, one, counts if mine.all() else counts[:, :, mine])

    def _compare(self, checkpoint: int, ring: int, counts: Ints) -> None:
        """Sums of bets over the blocks of one ring, of which `_counts` tells."""
        bad_t, bad_c = counts[BAD_T], counts[BAD_C]
        n_t, n_c = counts[ALL][..., 0]
        heard_t, heard_c = counts[HEARD]
        if not ((n_t > 0) & (n_c > 0)).any():
            return
        total = self._sums.get((checkpoint, ring))
        if total is None:
            total = np.full((len(SIGNALS), self._draws, len(self.groups), MOST), -np.inf)
            for s, signal in enumerate(SIGNALS):
                total[s, ..., : BETS[signal]] = 0.0
            self._sums[checkpoint, ring] = total
        total[0, ..., : BETS[SILENT]] += bets.compared(n_t, n_c, bad_t[0], bad_c[0])
        for family in FAMILIES[1:]:
            mine = PLACES[family]
            more = bets.beyond(heard_t, heard_c[..., 0], bad_t[mine], bad_c[mine], MARGINS[family[0]])
            total[mine, ..., : BETS[family[0]]] += more
        self.said += 1
        self._kept.pop(checkpoint, None)

    def halting(self, spend: Spend, linked: frozenset[int]) -> Floats:
        """By draw, how much of what halts the loudest checkpoint has said: from 1 on the brake halts. What is far below
        is told too high."""
        if linked != self._linked:
            self._linked, self._kept = linked, {}
        for checkpoint in sorted({j for j, _ in self._sums} - set(self._kept)):
            self._kept[checkpoint] = self._weighed(checkpoint, spend)
        return np.max([np.zeros(self._draws), *self._kept.values()], axis=0)  # type: ignore[no-any-return]

    def _weighed(self, checkpoint: int, spend: Spend) -> Floats:
        """The sum of alpha x e-value over the questions of a checkpoint, by draw."""
        alphas = self._alphas.get(checkpoint)
        if alphas is None:
            alphas = np.array([[spend(signal, checkpoint, group) for group in self.groups] for signal in SIGNALS])
            self._alphas[checkpoint] = alphas
        rings = {ring: sums for (j, ring), sums in self._sums.items() if j == checkpoint}
        found = _sum_up(bets.over_rings(rings, self._linked, at_most=True), alphas)
        return found if found.max() < FAR else _sum_up(bets.over_rings(rings, self._linked, UNUSED), alphas)

    @property
    def sums(self) -> Sums:
        """Of the first draw."""
        return self._sums_of(0)

    def _sums_of(self, draw: int) -> Sums:
        return {(signal, checkpoint, ring): sums[s, draw, :, : BETS[signal]]
                for (checkpoint, ring), sums in self._sums.items() for s, signal in enumerate(SIGNALS)}  # fmt: skip

    @property
    def table(self) -> dict[Row, dict[int, Bets]]:
        """The table of the first draw, as the brake judges it."""
        if self._table[0] != self.said:
            self._table = self.said, self.in_words(0)
        return self._table[1]

    def in_words(self, draw: int) -> dict[Row, dict[int, Bets]]:
        """The table of one draw."""
        found: dict[Row, dict[int, Bets]] = defaultdict(dict)
        for (signal, checkpoint, ring), sums in self._sums_of(draw).items():
            for group, bets_ in zip(self.groups, sums.tolist(), strict=True):
                found[(signal, checkpoint, group)][ring] = tuple(bets_)
        return found

    def named(self, logs: Mapping[tuple[str, int, int], Floats]) -> dict[Row, dict[int, Bets]]:
        """A table of log e-values by group, for voices that know the same groups."""
        found: dict[Row, dict[int, Bets]] = defaultdict(dict)
        for (signal, checkpoint, ring), of_groups in logs.items():
            for group, log_e in zip(self.groups, of_groups.tolist(), strict=True):
                found[(signal, checkpoint, group)][ring] = (log_e,)
        return found

    def _counts(self, rng: np.random.Generator, b: Blocks, due: Due) -> tuple[Ints, Ints]:
        """The ring of each block, and column x draw x block x group; the first group is everybody."""
        count, rows = due.rows.size, np.tile(due.rows, self._draws)
        kind, block = b.ints["kind"][due.rows], b.ints["block"][due.rows]
        away, uncrossed = (np.tile(x, self._draws) for x in (due.away, due.uncrossed))
        over = np.tile(due.due, self._draws)
        whole, marked = self._samples(rng, b, Due(rows, due.checkpoint, away, uncrossed, over))
        order = np.lexsort((kind, block))
        kind, block = kind[order], block[order]
        start = np.flatnonzero(np.diff(block, prepend=-1))  # of each block
        first = np.flatnonzero(np.diff(block * KINDS + kind, prepend=-1))  # of each class of it
        both = whole if marked is None else whole + marked
        sums = np.add.reduceat(both.reshape(COLUMNS, self._draws, count)[:, :, order], first, axis=2)
        groups = np.zeros((COLUMNS, self._draws, start.size, len(self.groups)), np.int64)
        groups[:, :, np.searchsorted(block[start], block[first]), 1 + kind[first]] = sums
        np.sum(groups[..., 1 : 1 + KINDS], axis=3, out=groups[..., 0])
        np.subtract(groups[..., 0], groups[..., 1 + LAPTOP], out=groups[..., 1 + KINDS])
        if marked is not None:
            mine = marked.reshape(COLUMNS, self._draws, count)[:, :, order]
            groups[..., -1] = np.add.reduceat(mine, start, axis=2)
        return b.ints["ring"][due.rows][order][start], groups

    def _samples(self, rng: np.random.Generator, b: Blocks, due: Due) -> tuple[Ints, Ints | None]:
        """Those without and, if it is asked for, those with the fault's attribute: column x row."""
        i = {name: b.ints[name][due.rows] for name in ("n_t", "n_c", "m_t", "m_c", "bitten")}
        others, none = rng.binomial(i["n_c"] - i["m_c"], due.uncrossed), np.zeros_like(i["bitten"])
        m_c = rng.binomial(i["m_c"], due.uncrossed) if self._attribute else none
        lost = b.ints["lost"][due.rows], rng.binomial(b.ints["lost_c"][due.rows],
                                                      (others + m_c) / np.maximum(i["n_c"], 1))  # fmt: skip
        bitten = none if self._attribute else i["bitten"]
        whole = self._sample(rng, i["n_t"] - i["m_t"], others, bitten, lost, due)
        if not self._attribute:
            return whole, None
        return whole, self._sample(rng, i["m_t"], m_c, i["bitten"], (none, none), due)

    def _awake(self, rng: np.random.Generator, n_t: Ints, n_c: Ints, bitten: Ints,
               away: Floats) -> tuple[Ints, Ints, Floats]:  # fmt: skip
        """Without those who said goodbye, who count nowhere; nobody whom a fault has silenced says anything."""
        if not self._goodbye:
            return n_t, n_c, away
        said = away * self._goodbye
        rest = (away - said) / np.maximum(1 - said, 1e-12)
        return n_t - rng.binomial(n_t - bitten, said), rng.binomial(n_c, 1 - said), rest

    def _sample(self, rng: np.random.Generator, n_t: Ints, n_c: Ints, bitten: Ints, lost: tuple[Ints, Ints],
                due: Due) -> Ints:  # fmt: skip
        """Columns of numbers. `lost`: who of either arm did not come up from its restart."""
        n_t, n_c, away = self._awake(rng, n_t, n_c, bitten, np.where(due.due, due.away, 0.0))
        well = n_t - bitten
        off_t, off_c = np.minimum(lost[0], well) * due.due, np.minimum(lost[1], n_c) * due.due
        if self._shows is Shows.SILENCE:
            gone, ill = bitten * due.due, np.zeros_like(bitten)
        elif self._shows is Shows.LOOP:
            gone = rng.binomial(bitten, 1 - LOOP_HEARD) * due.due
            ill = bitten - gone
        else:
            gone = rng.binomial(bitten, away)
            ill = bitten - gone if self._shows in SHOWN_BY else np.zeros_like(bitten)
        x_t = gone + off_t + rng.binomial(well - off_t, away)
        x_c = off_c + rng.binomial(n_c - off_c, away)
        heard_t, heard_c = n_t - x_t, n_c - x_c
        found = np.empty((COLUMNS, n_t.size), np.int64)
        found[ALL], found[HEARD] = (n_t, n_c), (heard_t, heard_c)
        bad_t, bad_c = found[BAD_T], found[BAD_C]
        bad_t[0], bad_c[0] = x_t, x_c
        for signal, base in BASES.items():
            k, shown = SIGNALS.index(signal), ill if signal in SHOWN_BY.get(self._shows, ()) else np.zeros_like(ill)
            own = self._apart if signal in TOLD_BY_SOME and self._apart is not None else rng
            more = self._harmless.get(signal, 0.0) + UNFORESEEN.get(signal, 0.0)
            bad_t[k] = shown + own.binomial(np.maximum(heard_t - shown, 0), base + more)
            bad_c[k] = own.binomial(heard_c, base)
        return found
