"""A lone fleet of 2,000 in which a change harms one in a hundred: what each cure would buy, `./dev bench brake_lone`.

    python -m bench.brake_lone [--json FILE] [--runs N] [--harm 0,0.01,0.03]

Endpoints that die at once, looked for at one checkpoint; rings of the ready-made plan, a draw of lots each, judged by
the rows that the alpha table has for silence there, all together, as the brake does. *Today*: nine controls a treated
endpoint, evidence goes on while they are fresh. *Everybody*: all who are not treated are controls. *Known size*: the
one bet that fits this very harm instead of the mean of six: the most that any knowledge of earlier rollouts could buy
without touching who is compared. *Three days*: the look after 72 h with all that the table gives it. *The past*: what
is usual is taken as known, so no controls; on an ordinary day, and on one that is bad for everybody.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.histories import interval
from brakeline.rollout import arms
from brakeline.rollout.alpha import questions
from brakeline.rollout.evidence import SILENT
from brakeline.rollout.model import CLASSES, Change, Pin
from brakeline.rollout.presets import policy_for
from brakeline.sim import bets
from brakeline.sim.rates import EVERYBODY
from brakeline.sim.telling import GROUPS, LAPTOP

SIZE: Final = 2000
POLICY: Final = policy_for(SIZE)
UPTOS: Final = tuple(upto for ring, upto in arms.rings_for(POLICY, Change((Pin("x", "1"),)), SIZE) if upto < SIZE)
MIX: Final = np.array([EVERYBODY.rates(c).share for c in CLASSES])
SHOCK: Final = 3.0  # times as many are silent on a day that is bad for everybody
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Of each run and ring, by class: treated, controls, and the silent of both."""

    n_t: Ints
    n_c: Ints
    x_t: Ints
    x_c: Ints


def draw(rng: np.random.Generator, runs: int, base: Floats, harm: float, everybody: bool) -> Drawn:
    """Whole rings at once; nobody is treated twice."""
    kinds = rng.multinomial(SIZE, MIX, runs)
    left, found = kinds.copy(), []
    for i, upto in enumerate(UPTOS):
        added = upto - (UPTOS[i - 1] if i else 0)
        n_t = np.stack([rng.multivariate_hypergeometric(row, min(added, int(row.sum()))) for row in left])
        left = left - n_t
        wanted = SIZE if everybody else POLICY.guard.controls_per_treated * added
        n_c = np.stack([rng.multivariate_hypergeometric(row, min(wanted, int(row.sum()))) for row in left])
        found.append((n_t, n_c, rng.binomial(n_t, base + (1 - base) * harm), rng.binomial(n_c, base)))
    return Drawn(*(np.stack(column, axis=1) for column in zip(*found, strict=True)))


def grouped(x: Ints) -> Ints:
    """By class -> by group, in the order of `GROUPS`."""
    return np.concatenate([x.sum(axis=2, keepdims=True), x, (x.sum(axis=2) - x[:, :, LAPTOP])[..., None]], axis=2)


def alphas(checkpoint: int) -> Floats:
    table = questions(POLICY, ())
    return np.array([table[(SILENT, checkpoint, g)].alpha for g in GROUPS])


def compared(d: Drawn, linked: frozenset[int], weigh: Floats, odds: Floats | None = None) -> NDArray[np.bool_]:
    """Run x ring: whether the brake has halted with the rings up to this one. `odds`: by group, the one bet."""
    n_t, n_c, x_t, x_c = d.n_t.sum(axis=2), d.n_c.sum(axis=2), grouped(d.x_t), grouped(d.x_c)
    each = []
    for i in range(len(UPTOS)):
        ring = slice(i, i + 1)
        if odds is None:
            each.append(bets.compared(n_t[:, ring], n_c[:, ring], x_t[:, ring], x_c[:, ring]))
        else:
            each.append(_one_bet(n_t[:, i], n_c[:, i], x_t[:, i], x_c[:, i], odds)[..., None])
    halted = []
    for i in range(len(UPTOS)):
        log_e = bets.over_rings({r: each[r] for r in range(i + 1)}, linked)
        halted.append(np.exp(np.minimum(log_e, bets.LOUD_MAX)) @ weigh >= 1)
    return np.maximum.accumulate(np.stack(halted, axis=1), axis=1)


def _one_bet(n_t: Ints, n_c: Ints, x_t: Ints, x_c: Ints, odds: Floats) -> Floats:
    """The binomial price, which is hardly above the exact one at these rates; never below it."""
    m, p0 = x_t + x_c, (n_t / np.maximum(n_t + n_c, 1))[:, None]
    found: Floats = x_t * np.log(odds) - m * np.log1p(p0 * (odds - 1))
    return np.where((n_t > 0)[:, None] & (n_c > 0)[:, None], found, 0.0)


def by_the_past(d: Drawn, base: Floats, harm: float, weigh: Floats) -> NDArray[np.bool_]:
    """Treated against a rate that is taken as known."""
    mixed = np.array([MIX @ base, *base, (MIX @ base - MIX[LAPTOP] * base[LAPTOP]) / (1 - MIX[LAPTOP])])
    there = mixed + (1 - mixed) * harm
    n, x = np.cumsum(grouped(d.n_t), axis=1), np.cumsum(grouped(d.x_t), axis=1)
    log_e = x * np.log(there / mixed) + (n - x) * np.log((1 - there) / (1 - mixed))
    return np.maximum.accumulate(np.exp(np.minimum(log_e, bets.LOUD_MAX)) @ weigh >= 1, axis=1)


def table(runs: int, harms: list[float]) -> list[dict[str, Any]]:
    silent = np.array([EVERYBODY.rates(c).not_seen for c in CLASSES])
    first, last = silent[:, 0], silent[:, -1]
    fresh, every = frozenset({1}), frozenset(range(1, len(UPTOS)))
    weigh = alphas(0)
    later = weigh / weigh.sum() * sum(alphas(j).sum() for j in range(1, len(POLICY.checkpoints_s)))
    rows = []
    for harm in harms:
        sought = harm or 0.01  # a fitting bet has to be on something
        group = np.array([MIX @ first, *first, (MIX @ first - MIX[LAPTOP] * first[LAPTOP]) / (1 - MIX[LAPTOP])])
        odds = ((group + sought) / (1 - group - sought)) / (group / (1 - group))
        ways: dict[str, Callable[[np.random.Generator], NDArray[np.bool_]]] = {
            "today": lambda rng, h=harm: compared(draw(rng, runs, first, h, False), fresh, weigh),  # type: ignore[misc]
            "everybody a control": lambda rng, h=harm: compared(draw(rng, runs, first, h, True), every, weigh),  # type: ignore[misc]
            "and a known size": lambda rng, h=harm, o=odds: compared(draw(rng, runs, first, h, True), every, weigh, o),  # type: ignore[misc]
            "three days": lambda rng, h=harm: compared(draw(rng, runs, last, h, True), every, later),  # type: ignore[misc]
            "the past, an ordinary day": lambda rng, h=harm, s=sought: by_the_past(  # type: ignore[misc]
                draw(rng, runs, first, h, True), first, s, weigh),
            "the past, a bad day": lambda rng, h=harm, s=sought: by_the_past(  # type: ignore[misc]
                draw(rng, runs, SHOCK * first, h, True), first, s, weigh),
            "everybody a control, a bad day": lambda rng, h=harm: compared(  # type: ignore[misc]
                draw(rng, runs, SHOCK * first, h, True), every, weigh),
        }  # fmt: skip
        for name, halts in ways.items():
            halted = halts(np.random.default_rng((1, round(1000 * harm))))
            hits = int(halted[:, -1].sum())
            low, high = interval(hits, runs)
            rows.append({
                "table": "lone", "harm_pct": 100 * harm, "how": name, "runs": runs,
                "halted_pct": round(100 * hits / runs, 1), "low_pct": round(low, 1), "high_pct": round(high, 1),
                "by_ring_pct": "/".join(f"{100 * share:.0f}" for share in halted.mean(axis=0)),
            })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--harm", default="0,0.01,0.03")
    options = parser.parse_args()
    print(f"rings {UPTOS}, ways to halt spend {100 * math.fsum(alphas(0)):.2f} % at the first look")
    rows = table(options.runs, [float(x) for x in options.harm.split(",")])
    for row in rows:
        print("  ".join(f"{k}={v}" for k, v in row.items()))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
