"""How many endpoints harm reaches before the brake acts, and how often it acts on nothing: `./dev bench brake`.

    python -m bench.brake [--json FILE] [--runs N]

Three tables. *Ticks*: false halts when the change does nothing but the bad rate drifts within a tick, for three ways of
treating those who ask after the budget is spent. *Stream*: bad treated endpoints at the halt, one checkpoint, alpha
0.1 %, ten treated a tick. *Fleets*: whole rollouts in simulated fleets, driven by the real planner, brake and lint.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from pathlib import Path
from typing import Any

from brakeline.rollout import evalue
from brakeline.rollout.evidence import Counts
from brakeline.rollout.model import Phase
from brakeline.sim import faults, scenarios, world

ALPHA_TICKS = 0.0003
ALPHA_STREAM = 0.001
ASKERS = 300  # per tick: three times what the budget can take
BUDGET = 10
SHARE = 0.1  # of askers drawn for treatment
TICKS = 40


def draws(rng: random.Random, n: int, p: float) -> int:
    return sum(rng.random() < p for _ in range(n))


def tick(rng: random.Random, rule: str) -> Counts:
    """One tick without any effect: early askers are bad more often (22 % falling to 1 %)."""
    n = [0, 0]
    x = [0, 0]
    for i in range(ASKERS):
        bad = rng.random() < 0.22 - 0.21 * i / ASKERS
        treated = rng.random() < SHARE
        if n[0] >= BUDGET:
            if rule == "closed":
                break
            if treated and rule == "dropped":
                continue
            treated = False
        side = 0 if treated else 1
        n[side] += 1
        x[side] += bad
    return Counts(n[0], n[1], x[0], x[1])


def ticks_table(runs: int) -> list[dict[str, Any]]:
    bar = -math.log(ALPHA_TICKS)
    rows = []
    for rule in ("closed", "dropped", "counted"):
        halted = 0
        for run in range(runs):
            rng, blocks = random.Random(run), []
            for _ in range(TICKS):
                blocks.append(tick(rng, rule))
                if evalue.compare(blocks) >= bar:
                    halted += 1
                    break
        rows.append({"table": "ticks", "rule": rule, "runs": runs, "false_halts_pct": round(100 * halted / runs, 2)})
    return rows


def stream(rng: random.Random, p: float, base: float, controls: int) -> int | None:
    """Bad treated endpoints when the first checkpoint halts; None = not within 250 ticks."""
    blocks: list[Counts] = []
    harmed = 0
    for _ in range(250):
        x_t = draws(rng, 10, base + (1 - base) * p)
        blocks.append(Counts(10, controls, x_t, draws(rng, controls, base)))
        harmed += x_t
        if evalue.compare(blocks) >= -math.log(ALPHA_STREAM):
            return harmed
    return None


def stream_table(runs: int) -> list[dict[str, Any]]:
    rows = []
    for base in (0.0005, 0.02):
        for p in (1.0, 0.05, 0.01):
            found = [stream(random.Random(run), p, base, 90) for run in range(runs)]
            hit = sorted(x for x in found if x is not None)
            rows.append({
                "table": "stream", "baseline_pct": 100 * base, "fault_pct": 100 * p, "runs": runs, "halted": len(hit),
                "median": statistics.median(hit) if hit else None,
                "p95": hit[min(len(hit) - 1, int(0.95 * len(hit)))] if hit else None,
            })  # fmt: skip
    return rows


FLEETS = (
    (6, (1.0, 0.0, 0.0)), (60, (1.0, 0.0, 0.0)), (2000, (1.0, 0.0, 0.0)),
)  # fmt: skip
FAULTS = (faults.BENIGN, faults.DEAD_ALL, faults.DEAD_SOME, faults.POSTINST, faults.NETWORK, faults.LATE, faults.REBOOT)


def fleets_table(runs: int) -> list[dict[str, Any]]:
    rows = []
    for size, mix in FLEETS:
        for fault in FAULTS:
            count = max(3, runs // (5 if size > 100 else 1))
            ends = [world.run(scenarios.make(random.Random(r), "bench", size, mix, fault), r) for r in range(count)]
            harmed = sorted(h.harmed for h in ends)
            phases = [h.last.phase for h in ends]
            rows.append({
                "table": "fleets", "endpoints": size, "fault": fault.name, "runs": count,
                "halted": phases.count(Phase.HALTED), "held": phases.count(Phase.HOLDING),
                "completed": phases.count(Phase.COMPLETED), "harmed_median": statistics.median(harmed),
                "harmed_max": harmed[-1],
            })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    started = time.process_time()
    rows = [*ticks_table(options.runs * 5), *stream_table(options.runs), *fleets_table(options.runs)]
    for row in rows:
        print("  ".join(f"{k}={v}" for k, v in row.items()))
    print(f"cpu_s={time.process_time() - started:.1f}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
