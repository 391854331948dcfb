"""How many endpoints harm reaches before the brake acts, and how often it acts on nothing: `./dev bench brake`.

    python -m bench.brake [--json FILE] [--tables A,B,...] [--runs N] [--right N]
                          [--endpoints N] [--seeds N] [--harmless N] [--paces careful,fast] [--only WORDS]
                          [--lines FILE]

*Batch*: the rows of the design page among millions of endpoints, ours (as `brakeline drill run` has it) beside the
page's plan and peers' rules, and how often a harmless change is halted (`histories`). *Small*: fleets alone and pooled
(`brake_small`). *Null, power, grid, exact*: what the bets are worth (`brake_validity`). *Ticks*: false halts when the
change does nothing but the bad rate drifts within a tick, for several ways of treating those who ask after the budget
is spent. *Habits*: false halts of whole rollouts where those who ask late are worse anyway. *Stream*: bad treated
endpoints at the halt, one checkpoint, alpha 0.1 %, ten treated a tick. *Fleets*: whole rollouts in simulated fleets,
driven by the real planner, brake and lint.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import brake_small, brake_validity, histories
from bench.histories import interval
from brakeline.rollout import arms, evalue
from brakeline.rollout.evidence import Counts
from brakeline.rollout.model import Arm, Gate, Phase, Turn
from brakeline.sim import faults, scenarios, world

TABLES = ("null", "power", "grid", "exact", "ticks", "habits", "stream", "fleets", "small", "batch")
ALPHA_TICKS = 0.0003
ALPHA_STREAM = 0.001
ASKERS = 300  # per tick: three times what the budget can take
BUDGET = 10
SHARE = 0.1  # of askers drawn for treatment
TICKS = 40


def draws(rng: random.Random, n: int, p: float) -> int:
    return sum(rng.random() < p for _ in range(n))


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to those who ask after a tick's budget is spent."""

    name: str
    known: bool = False  # the range holds as many endpoints as the budget; only `RETURNED` of a hundred are not in it
    strict: bool = False  # the last offer closes the tick; else the first asker who would overdraw the budget does
    later: str = "closed"  # what becomes of them: closed (both arms), dropped (treated only), counted (as controls)


RULES = (
    Rule("product: open for its time, closed by the first who would overdraw; two thirds unknown when it opened"),
    Rule("product: the same, the range holds as many as the budget, 3 of 300 unknown", known=True),
    Rule("strict: closed by the last offer", strict=True),
    Rule("wrong: treated ones dropped, controls still taken", later="dropped"),
    Rule("wrong: counted as controls", later="counted"),
)
DRIFTS = {"falls": (0.22, 0.01), "rises": (0.01, 0.22)}  # bad rate of the first and of the last asker of a tick
RETURNED = 0.01


def below(rng: random.Random, rule: Rule) -> list[bool]:
    """For each asker of a tick, in order: is it drawn for treatment?"""
    if not rule.known:
        return [rng.random() < SHARE for _ in range(ASKERS)]
    drawn = [rng.random() < RETURNED and rng.random() < SHARE for _ in range(ASKERS)]
    for i in rng.sample(range(ASKERS), BUDGET):
        drawn[i] = True
    return drawn


def tick(rng: random.Random, rule: Rule, drift: tuple[float, float]) -> Counts:
    """One tick without any effect: how often askers are bad depends on when they ask."""
    n = [0, 0]
    x = [0, 0]
    first, slope = drift[0], (drift[1] - drift[0]) / ASKERS
    for i, drawn in enumerate(below(rng, rule)):
        if n[0] >= BUDGET:
            if rule.later == "closed" and (drawn or rule.strict):
                break
            if drawn and rule.later == "dropped":
                continue
        side = 0 if drawn and n[0] < BUDGET else 1
        n[side] += 1
        x[side] += rng.random() < first + slope * i
    return Counts(n[0], n[1], x[0], x[1])


def halts_falsely(rng: random.Random, rule: Rule, drift: tuple[float, float], bar: float) -> bool:
    """Whether one checkpoint's comparison ever halts within `TICKS` ticks, looked at after each."""
    sums = [0.0] * len(evalue.ODDS_RATIOS)
    for _ in range(TICKS):
        block = tick(rng, rule, drift)
        sums = [a + b for a, b in zip(sums, evalue.bets(block), strict=True)]
        if evalue.log_mean_exp(sums) >= bar:
            return True
    return False


def ticks_table(runs: int, right: int = 1) -> list[dict[str, Any]]:
    """False halts per rule and drift; `right` times as many runs for the rules that should have none."""
    bar = -math.log(ALPHA_TICKS)
    rows = []
    for rule in RULES:
        for name, drift in DRIFTS.items():
            count = runs * right if rule.later == "closed" else runs
            halted = sum(halts_falsely(random.Random(run), rule, drift, bar) for run in range(count))
            low, high = interval(halted, count)
            rows.append({
                "table": "ticks", "rule": rule.name, "bad_rate": name, "runs": count, "halted": halted,
                "false_halts_pct": round(100 * halted / count, 3), "low_pct": round(low, 3), "high_pct": round(high, 3),
            })  # fmt: skip
    return rows


# --- habits -----------------------------------------------------------------------------------------------------------

HABITS = (
    ("2,000, 500 offers a tick", 2000, 500),
    ("2,000, 50 offers a tick", 2000, 50),
    ("20,000, 500 a tick", 20_000, 500),
)
RING_SHARES = (0.01, 0.1, 0.4, 0.99)
RING_TICKS = 30


class Region:
    """Endpoints of which some are always there and others rarely, under a change that does nothing.

    How often an endpoint asks is also how often it is heard at its checkpoint: the worst case for whoever compares
    endpoints that asked at once with endpoints that asked late. No goodbyes, no nights.
    """

    def __init__(self, rng: random.Random, size: int, offers: int, cohorts: bool) -> None:
        self.rng, self.offers, self.cohorts = rng, offers, cohorts
        self.there = {rng.getrandbits(62): 1.0 if rng.random() < 0.4 else rng.uniform(0.05, 0.7) for _ in range(size)}
        self.untreated = sorted(self.there)
        self.ring_of: dict[int, int] = {}  # controls
        self.turns: tuple[Turn, ...] = ()
        self.treated = 0
        self.sums: dict[int, list[float]] = {}

    def halts(self) -> bool:
        """Whether a whole rollout's silence at one checkpoint ever halts."""
        for ring, share in enumerate(RING_SHARES):
            goal = round(share * len(self.there))
            for i in range(RING_TICKS):
                if self.treated >= goal or (i > RING_TICKS // 2 and self.treated >= 0.9 * goal):
                    break
                self._tick(ring, i, min(goal - self.treated, self.offers))
                values = [evalue.log_mean_exp(v) for v in self.sums.values()]
                places = len(RING_SHARES) + 1
                if values and evalue.log_mean_exp(values + [0.0] * (places - len(values))) >= -math.log(ALPHA_TICKS):
                    return True
        return False

    def _tick(self, ring: int, i: int, places: int) -> None:
        fresh = [u for u in self.untreated if u not in self.ring_of]
        spare = [u for u in self.untreated if self.ring_of.get(u) != ring]
        reserve = len(self.there) // 100 if ring < len(RING_SHARES) - 1 else 0
        mine, unused, others = (arms.SortedDraws(us) for us in (self.untreated, fresh, spare))
        below, start, until = arms.thresholds(mine, unused, others, places, 9 * places, reserve)
        gate = Gate("r", ring, 1 + ring * RING_TICKS + i, below, start, until, places, 0, 1)
        if self.cohorts:
            gate = arms.widened(gate, self.turns)
            self.turns = arms.turns_after(self.turns, [gate])
        blocks: dict[int, list[int]] = {}
        taken = set()
        for u in self.untreated:
            arm = arms.assign(gate, u, 0, False, 0)
            if arm is Arm.DEFERRED or (arm is Arm.CONTROL and self.ring_of.get(u) == ring):
                continue
            if self.rng.random() >= self.there[u]:
                continue
            side = 0 if arm is Arm.TREATED else 1
            tally = blocks.setdefault(arms.cohort(self.turns, "r", ring, arm, u), [0, 0, 0, 0])
            tally[side] += 1
            tally[side + 2] += self.rng.random() >= self.there[u]
            if side:
                self.ring_of[u] = ring
            else:
                taken.add(u)
        self.untreated = [u for u in self.untreated if u not in taken]
        self.treated += len(taken)
        for tally in blocks.values():
            if tally[0] and tally[1]:
                bets = evalue.bets(Counts(*tally))
                sums = self.sums.get(ring, [0.0] * len(bets))
                self.sums[ring] = [a + b for a, b in zip(sums, bets, strict=True)]


def habits_table(runs: int) -> list[dict[str, Any]]:
    """False halts of whole rollouts among endpoints of uneven habits, with and without cohorts."""
    rows = []
    for name, size, offers in HABITS:
        for cohorts in (True, False):
            count = max(10, runs // (size // 2000))
            halted = sum(Region(random.Random(run), size, offers, cohorts).halts() for run in range(count))
            low, high = interval(halted, count)
            rows.append({
                "table": "habits", "fleet": name, "compared": "within cohorts" if cohorts else "whole tick",
                "runs": count, "halted": halted, "low_pct": round(low, 2), "high_pct": round(high, 2),
            })  # fmt: skip
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


def batch_table(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Endpoints harmed, one row a fault; the last rows are harmless changes."""
    wanted = histories.rows(options.paces.split(","), options.seeds, options.harmless or options.seeds)
    wanted = [row for row in wanted if options.only in row.name]
    ends = histories.collect(wanted, options.endpoints, options.lines, options.cpu_s_max)
    return histories.table(wanted, ends, options.endpoints)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument(
        "--right", type=int, default=1, help="so many times as many runs for rules that should not halt"
    )
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--endpoints", type=int, default=8_500_000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--harmless", type=int, default=0, help="histories of a harmless change; 0 = as many as seeds")
    parser.add_argument("--paces", default="careful,fast")
    parser.add_argument("--only", default="", help="rows of the batch whose name has this in it")
    parser.add_argument("--lines", type=Path, help="histories are appended here, and not run again when they are there")
    parser.add_argument("--cpu-s-max", type=float, default=math.inf, help="begin no history after so many CPU-seconds")
    options = parser.parse_args()
    started = time.process_time()
    tables: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "ticks": lambda: ticks_table(options.runs * 5, options.right),
        "habits": lambda: habits_table(options.runs * 5),
        "stream": lambda: stream_table(options.runs),
        "fleets": lambda: fleets_table(options.runs),
        "batch": lambda: batch_table(options),
        "null": lambda: list(brake_validity.null_table(options.runs * 100)),
        "power": lambda: list(brake_validity.power_table(options.runs * 10)),
        "grid": lambda: list(brake_validity.grid_table()),
        "exact": lambda: list(brake_validity.exact_table(options.runs * 10)),
        "small": lambda: brake_small.table(options.runs),
    }
    rows = [row for name in options.tables.split(",") for row in tables[name]()]
    for row in rows:
        print("  ".join(f"{k}={v}" for k, v in row.items()))
    print(f"cpu_s={time.process_time() - started:.1f}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
