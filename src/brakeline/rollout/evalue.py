"""The statistics: e-values that may be looked at as often as one likes. Pure arithmetic, no policy.

An e-value is a bet against "no effect" whose fair price is 1: if the change is harmless, the chance that it *ever*
reaches 1/a is at most a (Ville). `compare` bets on treated against concurrent randomised controls: given how many of a
block are bad, how many of those are treated is hypergeometric whatever the cause they share (night, outage). `excess`
is the same with a margin: harmless extra up to `margin` is explained away at its best. `one_sample` is for events that
controls cannot have. Each bets on several sizes of harm at once and takes the mean, so none must be guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from brakeline.rollout.evidence import Counts

ODDS_RATIOS: Final = (1.15, 1.5, 2.5, 6.0, 25.0, 400.0)
RATE_FACTORS: Final = (1.3, 2.0, 4.0, 10.0, 50.0, 300.0)  # a grid that began at 5 missed a fault of 2.5 times the rate
RATE_MAX: Final = 0.999
NOTHING: Final = (0.0,) * len(ODDS_RATIOS)
EXACT_MAX: Final = 400  # terms; above, the binomial bound (never more than the exact value: Hoeffding) is used


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def log_mean_exp(logs: Sequence[float]) -> float:
    """log of the mean of exp(logs), safely."""
    if len(logs) == 1:
        return logs[0]
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs) / len(logs))


@lru_cache(maxsize=65_536)
def _log_expected(n_t: int, n_c: int, m: int, w: float) -> float:
    """log E[w^X] where X of m bad endpoints are treated by a fair draw (hypergeometric), or its binomial bound."""
    low, high = max(0, m - n_c), min(n_t, m)
    if high - low > EXACT_MAX:
        return m * math.log1p(n_t / (n_t + n_c) * (w - 1))
    logs = [_log_choose(n_t, k) + _log_choose(n_c, m - k) + k * math.log(w) for k in range(low, high + 1)]
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs)) - _log_choose(n_t + n_c, m)


@lru_cache(maxsize=65_536)
def bets(block: Counts) -> tuple[float, ...]:
    """What one block adds to the log of each bet (one per odds ratio). Blocks are independent: sum them up."""
    m = block.x_t + block.x_c
    if m == 0 or m == block.n_t + block.n_c:
        return NOTHING  # all alike: no information, e-value exactly 1
    return tuple(block.x_t * math.log(w) - _log_expected(block.n_t, block.n_c, m, w) for w in ODDS_RATIOS)


def compare(blocks: Sequence[Counts]) -> float:
    """log e-value of "treated are worse than their controls" over independent blocks."""
    return log_mean_exp(add(map(bets, blocks))) if blocks else 0.0


def excess(blocks: Sequence[Counts], margin: float) -> float:
    """log e-value of "treated are worse than their controls by more than `margin`"."""
    return log_mean_exp(add(bets_beyond(b, margin) for b in blocks)) if blocks else 0.0


def add(vectors: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """The bets of several independent blocks together. A cell tells no more than such a sum."""
    known = list(vectors)
    return tuple(known[0]) if len(known) == 1 else tuple(map(sum, zip(*known, strict=True)))


def carried(rings: Mapping[int, Sequence[float]], linked: frozenset[int]) -> dict[int, Sequence[float]]:
    """The bets that begin with each ring, through the rings after it while these are `linked`. The last ring first."""
    found: dict[int, Sequence[float]] = {}
    on: Sequence[float] | None = None
    for ring in sorted(rings, reverse=True):
        on = found[ring] = rings[ring] if on is None else add((rings[ring], on))
        if ring not in linked:
            on = None
    return found


@lru_cache
def rates(baseline: float) -> tuple[float, ...]:
    """The rates that are bet on, given the ordinary one."""
    return (*sorted({min(RATE_MAX, baseline * f) for f in RATE_FACTORS} | {RATE_MAX}),)


@lru_cache
def odds_beyond(margin: float) -> tuple[float, ...]:
    """The odds that are bet on where `margin` is harmless, from the least to the largest at even distances. As many as
    an older cell or conductor, which bets on pairs of an odds ratio and a rate, tells and adds up."""
    last = len(ODDS_RATIOS) * len(rates(margin)) - 1
    low, high = ODDS_RATIOS[0], ODDS_RATIOS[-1]
    return tuple(low * (high / low) ** (k / last) for k in range(last + 1))


@lru_cache(maxsize=65_536)
def bets_beyond(block: Counts, margin: float) -> tuple[float, ...]:
    """What one block adds to the log of each bet on more than a harmless excess of `margin`.

    Under H0 the treated bad are x0 + extra: x0 as exchangeable as without effect, extra at most Binomial(n_t, margin).
    A bet on odds w multiplies by w/c for each bad treated endpoint and by 1/c for each bad control, c = 1 + p0(w - 1).
    Of the exchangeable ones that has a mean of at most 1; each that is extra brings w/c, at most as often as the margin
    allows, which 1 + margin(w/c - 1) a treated endpoint pays for. Whatever the true split, no bet has a mean above 1.
    """
    p0 = block.n_t / (block.n_t + block.n_c)
    logs = []
    for w in odds_beyond(margin):
        price = math.log1p(p0 * (w - 1))
        gain = math.log(w) - price
        allowed = math.log1p(margin * math.expm1(gain))
        logs.append(block.x_t * gain - block.x_c * price - block.at_risk * allowed)
    return tuple(logs)


def one_sample(n: int, x: int, baseline: float) -> float:
    """log e-value of "the rate of x in n is above `baseline`"."""
    if n == 0:
        return 0.0
    logs = [
        x * (math.log(r) - math.log(baseline)) + (n - x) * (math.log1p(-r) - math.log1p(-baseline))
        for r in rates(baseline)
    ]
    return log_mean_exp(logs)
