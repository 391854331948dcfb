"""The bets of `rollout.evalue` for many blocks at once, in numpy. Same figures, tested against it; no policy.

Blocks come as columns: treated, controls, and of each group and signal the bad ones of both. Bets of blocks of one draw
are summed up before they are kept, so only sums are ever laid out bet by bet. Next: `cohorts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brakeline.rollout import evalue

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
LOUD_MAX: Final = 600.0  # far above every bar
FEW: Final = 64  # blocks: to look for those that are alike costs more than it saves
ODDS: Final = np.array(evalue.ODDS_RATIOS)
TERMS_AT_ONCE: Final = 1 << 20  # each is eight bytes in each of some ten arrays: 80 MB, and not gigabytes
WIDTHS: Final = (
    8,
    32,
    128,
    evalue.EXACT_MAX + 1,
)  # sums of so many terms are made together: few are as long as the longest


def compare(blocks: Ints) -> Floats:
    """`evalue.bets` of each block: one row a block (treated, controls, bad treated, bad controls), one column a bet."""
    n_t, n_c, x_t, x_c = (blocks[:, i] for i in range(4))
    found: Floats = x_t[:, None] * np.log(ODDS) - priced(n_t, n_c, x_t + x_c)
    return found


def compared(n_t: Ints, n_c: Ints, x_t: Ints, x_c: Ints) -> Floats:
    """The same, summed over blocks. Numbers of arms: draw x block, 0 = of no block; bad ones: draw x block x group."""
    whole = [np.broadcast_to(n[..., None], x_t.shape) for n in (n_t, n_c)]
    told = ((n_t > 0) & (n_c > 0))[..., None]
    x_t, x_c = x_t * told, x_c * told
    price = np.zeros((*x_t.shape, ODDS.size))
    which = np.nonzero(x_t + x_c)
    price[which] = priced(whole[0][which], whole[1][which], (x_t + x_c)[which])
    found: Floats = x_t.sum(axis=1)[..., None] * np.log(ODDS) - price.sum(axis=1)
    return found


def priced(n_t: Ints, n_c: Ints, m: Ints) -> Floats:
    """What a bet on so many bad ones among treated and controls costs: log E[w^X], a column an odds ratio."""
    if n_t.size < FEW:
        return _log_expected(n_t, n_c, m)
    _, pair = np.unique(n_t * (int(n_c.max()) + 1) + n_c, return_inverse=True)
    _, first, place = np.unique(pair * (int(m.max()) + 1) + m, return_index=True, return_inverse=True)
    return _log_expected(n_t[first], n_c[first], m[first])[place]


def _log_expected(n_t: Ints, n_c: Ints, m: Ints) -> Floats:
    """As `evalue` has it: of all alike nothing can be learnt, and very long sums are bounded by the binomial's."""
    out: Floats = m[:, None] * np.log1p((n_t / (n_t + n_c))[:, None] * (ODDS - 1))
    alike = m == n_t + n_c
    out[alike] = n_t[alike, None] * np.log(ODDS)
    width = np.minimum(n_t, m) - np.maximum(0, m - n_c) + 1
    least = 1
    for most in WIDTHS if n_t.size >= FEW else WIDTHS[-1:]:
        which = np.flatnonzero((width > least) & (width <= most))
        if which.size:
            out[which] = _exact(n_t[which], n_c[which], m[which], int(width[which].max()))
        least = most
    return out


def _exact(n_t: Ints, n_c: Ints, m: Ints, width: int) -> Floats:
    """The hypergeometric's sum, each term from the one before it; so many blocks at once as `TERMS_AT_ONCE` allows."""
    some = max(TERMS_AT_ONCE // width, 1)
    if n_t.size > some:
        pieces = (slice(begun, begun + some) for begun in range(0, n_t.size, some))
        return np.concatenate([_exact(n_t[piece], n_c[piece], m[piece], width) for piece in pieces])
    low = np.maximum(0, m - n_c)
    k = low[:, None] + np.arange(width - 1)
    up = np.maximum(n_t[:, None] - k, 0) * np.maximum(m[:, None] - k, 0).astype(np.float64)
    with np.errstate(divide="ignore"):  # beyond the last term: log 0
        steps = np.log(up / ((k + 1.0) * (n_c[:, None] - m[:, None] + k + 1)))
    logs = np.concatenate([np.zeros((low.size, 1)), np.cumsum(steps, axis=1)], axis=1)
    total = _log_sum(logs)
    places = np.arange(width)
    return np.stack([low * w + _log_sum(logs + places * w) - total for w in np.log(ODDS)], axis=1)


def _log_sum(logs: Floats) -> Floats:
    top = logs.max(axis=1)
    found: Floats = top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
    return found


def beyond(n_t: Ints, n_c: Ints, x_t: Ints, x_c: Ints, margin: float) -> Floats:
    """`evalue.bets_beyond`, summed over blocks: signal x draw x group x bet.

    Treated: draw x block x group, the first group being all of them; controls: draw x block; bad ones: signal x draw x
    block x group.
    """
    told = (n_t[..., 0] > 0) & (n_c > 0)
    odds = np.array(evalue.odds_beyond(margin))
    price = np.log1p((n_t[..., 0] * told / np.maximum(n_t[..., 0] + n_c, 1))[..., None] * (odds - 1))
    gain = np.log(odds) - price  # draw x block x bet
    allowed = np.log1p(margin * np.expm1(gain))
    ill, same = ((x * told[..., None]).swapaxes(2, 3).astype(np.float64) for x in (x_t, x_c))
    at_risk = (n_t * told[..., None]).swapaxes(1, 2).astype(np.float64)
    logs: Floats = ill @ gain - same @ price - at_risk @ allowed
    return logs


def over_rings(rings: Mapping[int, Floats], linked: frozenset[int], unused: Floats | float = 0.0,
               at_most: bool = False) -> Floats:  # fmt: skip
    """`brake.over_rings` of many tables at once: of each ring an array whose last axis is the bets.

    Where tables have fewer bets than the axis has places, the others are -inf, and `unused` is the log of places over
    bets. `at_most`: never less than that, for a fraction of the work: the best bet instead of their mean.
    """
    total: Floats = np.zeros(())
    rest = 1.0
    carried: Floats | None = None
    for ring in sorted(rings, reverse=True):
        going: Floats = rings[ring] if carried is None else rings[ring] + carried
        log_e = going.max(axis=-1) if at_most else log_mean_exp(going) + unused
        total = total + np.exp(np.minimum(log_e, LOUD_MAX)) * 0.5 ** (ring + 1)
        rest -= 0.5 ** (ring + 1)
        carried = going if ring in linked else None
    found: Floats = np.log(total + max(rest, 0.0))
    return found


def log_mean_exp(bets: Floats) -> Floats:
    """`evalue.log_mean_exp` over the last axis."""
    top = bets.max(axis=-1)
    found: Floats = top + np.log(np.exp(bets - top[..., None]).mean(axis=-1))
    return found
