"""The bets of `rollout.evalue` for many blocks at once, in numpy. Same figures, tested against it; no policy.

A block is a row of five whole numbers: treated, controls, bad treated, bad controls, treated of the group. Next:
`cohorts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brakeline.rollout import evalue

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
LOUD_MAX: Final = 600.0  # far above every bar
TABLE = 100_000  # log-factorials that are kept; above, Stirling's series is exact to twelve digits


@cache
def _table() -> Floats:
    logs = np.log(np.arange(1, TABLE, dtype=np.float64))
    return np.concatenate([[0.0], np.cumsum(logs)])


def log_factorial(n: NDArray[Any]) -> Floats:
    """log(n!) of whole numbers."""
    if n.size and n.max() < TABLE:
        found: Floats = _table()[np.maximum(n, 0).astype(np.int64)]
        return found
    x = np.maximum(n, 1).astype(np.float64)
    series = x * np.log(x) - x + 0.5 * np.log(2 * np.pi * x) + 1 / (12 * x) - 1 / (360 * x**3)
    exact: Floats = _table()[np.clip(n, 0, TABLE - 1).astype(np.int64)]
    return np.where(n < TABLE, exact, series)


def _log_choose(n: NDArray[Any], k: NDArray[Any]) -> Floats:
    return log_factorial(n) - log_factorial(k) - log_factorial(n - k)


def compare(blocks: Ints) -> Floats:
    """`evalue.bets` of each block: one row a block, one column an odds ratio."""
    n_t, n_c, x_t, x_c = (blocks[:, i] for i in range(4))
    m, n = x_t + x_c, n_t + n_c
    log_w = np.log(np.array(evalue.ODDS_RATIOS))
    out: Floats = x_t[:, None] * log_w - m[:, None] * np.log1p((n_t / n)[:, None] * (np.array(evalue.ODDS_RATIOS) - 1))
    low, high = np.maximum(0, m - n_c), np.minimum(n_t, m)
    dull = (m == 0) | (m == n)
    out[dull] = 0.0
    exact = np.flatnonzero(~dull & (high - low <= evalue.EXACT_MAX))
    if exact.size:
        alike, place = np.unique(np.column_stack([n_t, n_c, m])[exact], axis=0, return_inverse=True)
        expected = _log_expected(alike[:, 0], alike[:, 1], alike[:, 2], log_w)
        out[exact] = x_t[exact, None] * log_w - expected[place.ravel()]
    return out


def _log_expected(n_t: Ints, n_c: Ints, m: Ints, log_w: Floats) -> Floats:
    low, high = np.maximum(0, m - n_c), np.minimum(n_t, m)
    k = low[:, None] + np.arange(int((high - low).max()) + 1)
    there = k <= high[:, None]
    k = np.where(there, k, low[:, None])
    logs = _log_choose(n_t[:, None], k) + _log_choose(n_c[:, None], m[:, None] - k)
    logs = np.where(there, logs, -np.inf)
    each = logs[:, :, None] + k[:, :, None] * log_w
    top = each.max(axis=1, keepdims=True)
    total: Floats = top[:, 0, :] + np.log(np.exp(each - top).sum(axis=1)) - _log_choose(n_t + n_c, m)[:, None]
    return total


def beyond(blocks: Ints, margin: float) -> Floats:
    """`evalue.bets_beyond` of each block: one row a block, one column a bet."""
    n_t, n_c, x_t, x_c, m_t = (blocks[:, i].astype(np.float64)[:, None, None] for i in range(5))
    w = np.array(evalue.ODDS_RATIOS)[:, None]
    r = np.array(evalue.rates(margin))
    price = np.log1p(n_t / (n_t + n_c) * (w - 1))  # block x odds ratio x 1
    as_shift = np.log(r) + np.log1p(-margin) - np.log(margin) - np.log1p(-r)
    quiet = m_t * (np.log1p(-r) - np.log1p(-margin))
    logs = quiet + x_t * np.minimum(np.log(w) - price, as_shift) - x_c * price
    found: Floats = logs.reshape(len(blocks), -1)
    return found


def over_rings(rings: Mapping[int, Floats], linked: frozenset[int]) -> Floats:
    """`brake.over_rings` of many tables at once: of each ring an array whose last axis is the bets."""
    total: Floats = np.zeros(())
    rest = 1.0
    carried: Floats | None = None
    for ring in sorted(rings, reverse=True):
        going: Floats = rings[ring] if carried is None else rings[ring] + carried
        total = total + np.exp(np.minimum(log_mean_exp(going), LOUD_MAX)) * 0.5 ** (ring + 1)
        rest -= 0.5 ** (ring + 1)
        carried = going if ring in linked else None
    found: Floats = np.log(total + max(rest, 0.0))
    return found


def log_mean_exp(bets: Floats) -> Floats:
    """`evalue.log_mean_exp` over the last axis."""
    top = bets.max(axis=-1)
    found: Floats = top + np.log(np.exp(bets - top[..., None]).mean(axis=-1))
    return found
