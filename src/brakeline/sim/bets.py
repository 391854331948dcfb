"""The bets of `rollout.evalue` for many blocks at once, in numpy. Same figures, tested against it; no policy.

A block is a row of five whole numbers: treated, controls, bad treated, bad controls, treated of the group. Next:
`cohorts`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brakeline.rollout import evalue

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
TABLE = 100_000  # log-factorials that are kept; above, Stirling's series is exact to twelve digits


@cache
def _table() -> Floats:
    logs = np.log(np.arange(1, TABLE, dtype=np.float64))
    return np.concatenate([[0.0], np.cumsum(logs)])


def log_factorial(n: NDArray[Any]) -> Floats:
    """log(n!) of whole numbers."""
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
    alike = (m == 0) | (m == n)
    out[alike] = 0.0
    exact = np.flatnonzero(~alike & (high - low <= evalue.EXACT_MAX))
    if exact.size:
        out[exact] = x_t[exact, None] * log_w - _log_expected(n_t[exact], n_c[exact], m[exact], log_w)
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
    n_t, n_c, x_t, x_c, m_t = (blocks[:, i].astype(np.float64) for i in range(5))
    w, r = np.array(evalue.ODDS_RATIOS), np.array(evalue.rates(margin))
    price = np.log1p((n_t / (n_t + n_c))[:, None] * (w - 1))
    as_shift = np.log(r) + np.log1p(-margin) - np.log(margin) - np.log1p(-r)
    quiet = np.log1p(-r) - np.log1p(-margin)
    cheaper = np.minimum((np.log(w) - price)[:, :, None], as_shift)
    each: Floats = (
        m_t[:, None, None] * quiet + x_t[:, None, None] * cheaper - (x_c[:, None] * price)[:, :, None]
    )  # by block, odds ratio, rate
    return each.reshape(len(blocks), -1)
