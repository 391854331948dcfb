"""What the brake's bets are worth: false halts under nulls of many kinds, power by size of harm, gaps of the grid.

    ./dev bench brake --tables null,power,grid,exact [--runs N]

*Null*: nothing is done by the change, while nights, weekends, outages and shared shocks move everybody: how often does
a comparison at alpha 1 % ever halt? *Power*: how many treated are bad when it halts. *Grid*: of the growth of the one
bet that fits, how much the best of the grid keeps at the odds ratio where that is least, and what their mean
costs. *Exact*: what the hypergeometric price buys over its binomial bound. All in numpy, thousands of runs at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.histories import interval
from brakeline.rollout import evalue
from brakeline.sim import bets

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ALPHA: Final = 0.01
TREATED, CONTROLS = 10, 90  # a tick
TICKS: Final = 84  # of two hours: a week
CLASSES: Final = ("server", "desktop", "laptop")
MIX: Final = np.array([0.2, 0.25, 0.55])
QUIET: Final = np.array([0.0005, 0.01, 0.06])  # silent two hours after ready
WEEKEND: Final = np.array([0.002, 0.4, 0.55])
LAPTOP: Final = CLASSES.index("laptop")


# --- worlds in which the change does nothing --------------------------------------------------------------------------


def _hours() -> Floats:
    return 2.0 * np.arange(TICKS, dtype=np.float64)


def _night() -> NDArray[np.bool_]:
    return (_hours() % 24 < 7) | (_hours() % 24 >= 21)


def stationary(rng: np.random.Generator, runs: int) -> Floats:  # noqa: ARG001
    return np.broadcast_to(QUIET, (runs, TICKS, 3))


def diurnal(rng: np.random.Generator, runs: int) -> Floats:
    wave = 1 + 4 * np.sin((_hours()[None, :] + rng.uniform(0, 24, (runs, 1))) * math.pi / 12).clip(0)
    found: Floats = np.minimum(QUIET * wave[:, :, None], 1.0)
    return found


def weekend(rng: np.random.Generator, runs: int) -> Floats:
    free = ((_hours()[None, :] + rng.uniform(0, 168, (runs, 1))) % 168 >= 120)[:, :, None]
    return np.where(free, WEEKEND, QUIET)


def outage(rng: np.random.Generator, runs: int) -> Floats:
    since = np.arange(TICKS)[None, :] - rng.integers(0, TICKS, (runs, 1))
    return np.where(((since >= 0) & (since < 6))[:, :, None], 1.0, QUIET)


def shocks(rng: np.random.Generator, runs: int) -> Floats:
    """Every tick its own weather, the same for all."""
    return np.clip(QUIET + rng.beta(0.15, 1.5, (runs, TICKS, 1)), 0, 1)


def laptops_at_night(rng: np.random.Generator, runs: int) -> Floats:
    found = np.array(np.broadcast_to(QUIET, (runs, TICKS, 3)))
    found[:, _night(), LAPTOP] = rng.uniform(0.5, 0.95, (runs, 1))
    return found


NULLS: Final[dict[str, Callable[[np.random.Generator, int], Floats]]] = {
    "stationary": stationary, "day and night": diurnal, "weekend": weekend, "regional outage of 12 h": outage,
    "shared shocks": shocks, "laptops asleep at night": laptops_at_night,
}  # fmt: skip


def counts(rng: np.random.Generator, rates: Floats, late: int = 0) -> dict[str, Ints]:
    """Blocks of every run and tick, for everybody and for laptops alone. `late`: a planted bug, the treated of a tick
    are those of so many ticks later than their controls.
    """
    runs = rates.shape[0]
    kinds = [rng.multinomial(n, MIX, (runs, TICKS)) for n in (TREATED, CONTROLS)]
    bad = [rng.binomial(kinds[0], np.roll(rates, -late, axis=1)), rng.binomial(kinds[1], rates)]
    full = [np.full((runs, TICKS), n) for n in (TREATED, CONTROLS)]
    rows = {"all": [x.sum(axis=2) for x in bad], "laptop": [x[:, :, LAPTOP] for x in bad]}
    return {name: np.stack([*full, *x, full[0]], axis=2) for name, x in rows.items()}


def ever(blocks: Ints, alpha: float) -> NDArray[np.bool_]:
    """Which runs ever reach the bar, looked at after every tick."""
    runs, ticks = blocks.shape[:2]
    each = bets.compare(blocks.reshape(-1, 5)).reshape(runs, ticks, -1)
    loud = bets.log_mean_exp(np.cumsum(each, axis=1)).max(axis=1)
    found: NDArray[np.bool_] = loud >= -math.log(alpha)
    return found


def false_halts(name: str, runs: int, late: int = 0) -> dict[str, int]:
    """By row of the table: runs that halt although nothing is wrong."""
    rng = np.random.default_rng(sum(map(ord, name)))
    blocks = counts(rng, NULLS[name](rng, runs), late)
    return {row: int(ever(b, ALPHA).sum()) for row, b in blocks.items()}


def null_table(runs: int) -> Iterator[dict[str, Any]]:
    for name in NULLS:
        for row, halted in false_halts(name, runs).items():
            low, high = interval(halted, runs)
            yield {"table": "null", "world": name, "row": row, "runs": runs, "halted": halted,
                   "low_pct": round(low, 2), "high_pct": round(high, 2), "nominal_pct": 100 * ALPHA}  # fmt: skip


# --- power ------------------------------------------------------------------------------------------------------------

BASES: Final = {"servers, 0.05 %": 0.0005, "desktops, 1 %": 0.01, "laptops, 6 %": 0.06, "laptops, 12 %": 0.12}
EFFECTS: Final = (1.0, 0.05, 0.01)
POWER_TICKS: Final = 600


def bad_at_halt(base: float, effect: float, runs: int, exact: bool = True) -> tuple[int, list[int]]:
    """(halted, bad treated of each that halted), within `POWER_TICKS` ticks; `exact`: the price in use."""
    rng = np.random.default_rng(round(1e6 * (base + effect)))
    shape = (runs, POWER_TICKS)
    x_t, x_c = rng.binomial(TREATED, base + (1 - base) * effect, shape), rng.binomial(CONTROLS, base, shape)
    each = price_exact(x_t, x_c) if exact else price_bound(x_t, x_c)
    loud = bets.log_mean_exp(np.cumsum(each, axis=1)) >= -math.log(ALPHA / 10)
    first, bad = loud.argmax(axis=1), np.cumsum(x_t, axis=1)
    hit = np.flatnonzero(loud.any(axis=1))
    return len(hit), sorted(int(bad[i, first[i]]) for i in hit)


def price_exact(x_t: Ints, x_c: Ints) -> Floats:
    full = np.broadcast_to(np.array([TREATED, CONTROLS]), (*x_t.shape, 2))
    blocks = np.concatenate([full, x_t[..., None], x_c[..., None]], axis=-1).reshape(-1, 4)
    return bets.compare(blocks).reshape(*x_t.shape, -1)


def price_bound(x_t: Ints, x_c: Ints) -> Floats:
    """The binomial bound, valid as well and never more."""
    w = np.array(evalue.ODDS_RATIOS)
    found: Floats = x_t[..., None] * np.log(w) - (x_t + x_c)[..., None] * np.log1p(
        TREATED / (TREATED + CONTROLS) * (w - 1)
    )
    return found


def _spread(values: list[int]) -> str:
    return f"{values[len(values) // 2]}/{values[min(len(values) - 1, int(0.95 * len(values)))]}" if values else ""


def power_table(runs: int) -> Iterator[dict[str, Any]]:
    for name, base in BASES.items():
        for effect in EFFECTS:
            halted, bad = bad_at_halt(base, effect, runs)
            yield {"table": "power", "base": name, "harm_pct": 100 * effect, "runs": runs, "halted": halted,
                   "bad_median_p95": _spread(bad)}  # fmt: skip


def exact_table(runs: int) -> Iterator[dict[str, Any]]:
    for name, base in BASES.items():
        for effect in EFFECTS:
            (n, exact), (m, bound) = (bad_at_halt(base, effect, runs, exact=x) for x in (True, False))
            yield {
                "table": "exact", "base": name, "harm_pct": 100 * effect, "runs": runs, "exact_halted": n,
                "exact": _spread(exact), "binomial_halted": m, "binomial": _spread(bound),
            }  # fmt: skip


# --- the grid ---------------------------------------------------------------------------------------------------------


def growth(w: float, odds: float, p0: float) -> float:
    """What a bet on `w` earns by a bad endpoint, in logs, if the odds ratio is `odds`; `p0` of a block are treated."""
    q = p0 * odds / (1 - p0 + p0 * odds)
    return q * math.log(w) - math.log1p(p0 * (w - 1))


def kept(odds: float, p0: float) -> float:
    """Of the growth of the bet that fits, the share that the best of the grid has."""
    return max(growth(w, odds, p0) for w in evalue.ODDS_RATIOS) / growth(odds, odds, p0)


def odds_ratios(steps: int = 400) -> list[float]:
    low, high = math.log(evalue.ODDS_RATIOS[0]), math.log(evalue.ODDS_RATIOS[-1])
    return [math.exp(low + (high - low) * i / steps) for i in range(steps + 1)]


def grid_table() -> Iterator[dict[str, Any]]:
    for p0 in (0.01, 0.1, 0.5, 0.9):
        worst = min(odds_ratios(), key=lambda odds: kept(odds, p0))
        yield {
            "table": "grid", "treated_share": p0, "worst_odds_ratio": round(worst, 2),
            "kept": round(kept(worst, p0), 3), "mean_costs_log": round(math.log(len(evalue.ODDS_RATIOS)), 2),
        }  # fmt: skip
