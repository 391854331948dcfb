"""Small fleets, alone and pooled: `./dev bench brake --tables small [--runs N]`.

*Fleets*: whole rollouts of 20, 200 and 2,000 endpoints, driven by the shipped planner and brake: each alone, and fifty
of them that share their bets (`rollout.pooling`). *Past*: what it would buy a fleet of 2,000 to add its own past as
controls, and what that costs when the day is not like the past: a rule that is not taken.
"""

from __future__ import annotations

import math
import random
from typing import Any

from bench.histories import interval
from brakeline.rollout import evalue
from brakeline.rollout.evidence import Counts
from brakeline.rollout.presets import for_release, policy_for
from brakeline.sim import cohorts, pools, replay
from brakeline.sim.cohorts import Case, End
from brakeline.sim.incidents import Fault, Immediate, Symptom

SIZES = (20, 200, 2000)
FLEETS = 50
FAULTS = {
    "none": None,
    "dead at once, 100 %": Fault(Symptom.SILENT, 1.0, None, Immediate()),
    "dead at once, 5 %": Fault(Symptom.SILENT, 0.05, None, Immediate()),
    "dead at once, 3 %": Fault(Symptom.SILENT, 0.03, None, Immediate()),
    "dead at once, 1 %": Fault(Symptom.SILENT, 0.01, None, Immediate()),
}
HORIZON_H = 14 * 24.0  # whoever stands then stands until a person comes
ALPHA = 0.001
TREATED, CONTROLS = (20, 80, 300, 800), (180, 720, 1600, 400)  # what rings of a fleet of 2,000 add
PAST = 9  # times as many endpoints of the past as there are controls
BASE, SHOCK = 0.02, 0.06  # share that is silent on an ordinary day, and on a bad one


def case(size: int, fault: Fault | None, seed: int) -> Case:
    """A vendor's update in one fleet of one region."""
    return Case(size, policy_for(size), fault, seed, regions=1, attributes=8, horizon_h=HORIZON_H)


def release(size: int, fault: Fault | None, seed: int) -> Case:
    """A release of our own: one endpoint that stays away halts a small ring."""
    return Case(size, for_release(policy_for(size)), fault, seed, regions=1, attributes=8, horizon_h=HORIZON_H)


def fleets(runs: int) -> list[dict[str, Any]]:
    rows = []
    for size in SIZES:
        for name, fault in FAULTS.items():
            alone = [cohorts.run(case(size, fault, seed)) for seed in range(max(50, runs))]
            rows.append(_row(size, name, "alone, an update", alone))
            ours = [cohorts.run(release(size, fault, seed)) for seed in range(max(50, runs))]
            rows.append(_row(size, name, "alone, a release", ours))
            starts = range(1000, 1000 * (max(1, runs // 10) + 1), 1000)
            pool = [pools.run([case(size, fault, first + i) for i in range(FLEETS)]) for first in starts]
            together = [end for ends in pool for end in ends]
            rows.append(_row(size, name, f"{FLEETS} pooled, an update", together))
    return rows


def _row(size: int, fault: str, how: str, ends: list[End]) -> dict[str, Any]:
    outcomes = [replay.OUTCOMES.get(e.phase, "held") for e in ends]
    harmed = replay.spread([e.harmed for e in ends])
    assert harmed is not None
    low, high = interval(outcomes.count("halted"), len(ends))
    return {
        "table": "small", "endpoints": size, "fault": fault, "how": how, "runs": len(ends),
        **{name: outcomes.count(name) for name in ("halted", "held", "completed")},
        "halted_low_pct": round(low, 1), "halted_high_pct": round(high, 1),
        "harmed_median": harmed["median"], "harmed_p95": harmed["p95"], "harmed_all": sum(e.harmed for e in ends),
    }  # fmt: skip


# --- its own past as controls ----------------------------------------------------------------------------------------


def halts(rng: random.Random, fault: float, today: float, past: int) -> bool:
    """One checkpoint over four rings; `past` times as many endpoints of ordinary days stand beside the controls."""
    blocks = []
    for n_t, n_c in zip(TREATED, CONTROLS, strict=True):
        more = past * n_c
        x_t = _draws(rng, n_t, today + (1 - today) * fault)
        x_c = _draws(rng, n_c, today) + _draws(rng, more, BASE)
        blocks.append(Counts(n_t, n_c + more, x_t, x_c))
        if evalue.compare(blocks) >= -math.log(ALPHA):
            return True
    return False


def _draws(rng: random.Random, n: int, p: float) -> int:
    return sum(rng.random() < p for _ in range(n))


def past(runs: int) -> list[dict[str, Any]]:
    rows = []
    for day, today in (("ordinary", BASE), ("a shared shock", SHOCK)):
        for fault in (0.0, 0.01, 0.03):
            for how, more in (("controls of today", 0), ("and its past", PAST)):
                hit = sum(halts(random.Random(f"{run} {fault}"), fault, today, more) for run in range(runs))
                low, high = interval(hit, runs)
                rows.append({
                    "table": "past", "day": day, "fault_pct": 100 * fault, "how": how, "runs": runs, "halted": hit,
                    "low_pct": round(low, 1), "high_pct": round(high, 1),
                })  # fmt: skip
    return rows


def table(runs: int) -> list[dict[str, Any]]:
    return [*fleets(runs), *past(10 * runs)]
