"""What one evaluation of a rollout costs: counting, brake and planner, per cell. `python -m bench.evaluate`.

    python -m bench.evaluate [--json FILE] [--sizes 1000,10000,100000] [--repeat N]

A rollout in its last ring with so many subjects in arms (servers, desktops and laptops in four regions, six attributes
each). *Anew*: every subject is counted (`summary.summarise`). *Kept*: a `Tally` is told who changed since the step
before, a sixtieth of all check-in a second, and counts from its columns. Both give the same numbers; CPU-seconds per
evaluation, and the ratio of the two.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from brakeline.rollout import planner
from brakeline.rollout.model import (
    CLASSES,
    Arm,
    Blueprint,
    Change,
    Goal,
    Observed,
    Phase,
    Pin,
    Policy,
    Progress,
    Subject,
    Turn,
)
from brakeline.rollout.presets import policy_for
from brakeline.rollout.summary import Summary, summarise
from brakeline.rollout.tally import Tally

NOW_MS = 2_000_000_000_000
HOUR_MS = 3_600_000
REGIONS = ("eu-north", "eu-south", "us-east", "ap-south")
TICKS = 40
CHECK_IN_S = 60


def subjects(rng: random.Random, count: int) -> tuple[Subject, ...]:
    """Half of them treated, in four rings of ten ticks each, all installed and heard within the last minute."""
    found = []
    for i in range(count):
        tick, arm = 1 + i * TICKS // count, rng.choice((Arm.TREATED, Arm.CONTROL))
        ready_ms = NOW_MS - (TICKS - tick) * HOUR_MS - 2 * HOUR_MS
        attributes = (f"os:{rng.randrange(4)}", f"model:{rng.randrange(20)}", f"locale:{rng.randrange(5)}",
                      f"role:{rng.randrange(8)}", f"site:{rng.randrange(30)}")  # fmt: skip
        u = i if arm is Arm.TREATED else 10 * count + i
        found.append(Subject(
            f"ep_{i:06}", arm, (tick - 1) * 4 // TICKS, tick, REGIONS[i % 4], rng.choice(CLASSES), u, ready_ms, tick,
            attributes, heard=15 if rng.random() < 0.97 else 7, last_heard_ms=NOW_MS - rng.randrange(60_000),
            progress=Progress.INSTALLED if arm is Arm.TREATED else Progress.NONE,
            proven_ms=ready_ms + 600_000 if arm is Arm.TREATED else 0,
        ))  # fmt: skip
    return tuple(found)


def turns(count: int) -> tuple[Turn, ...]:
    """Each tick brought its own treated and its own controls into range."""
    return tuple(
        Turn(region, (tick - 1) * 4 // TICKS, tick, tick * count // TICKS + 1, 10 * count + (tick - 1) * count // TICKS,
             10 * count + tick * count // TICKS)
        for tick in range(1, TICKS + 1) for region in REGIONS
    )  # fmt: skip


def situation(count: int) -> tuple[Policy, Blueprint, Observed]:
    """A rollout among twice as many endpoints as are in arms."""
    mine = subjects(random.Random(count), count)
    left = {r: tuple(range(20 * count + i, 24 * count + i, 16)) for i, r in enumerate(REGIONS)}
    values = tuple(sorted({a for s in mine for a in s.attributes}))
    seen = Observed(Change((Pin("x", "1"),)), 2 * count, mine, left, left, data_ms=NOW_MS, attributes=values)
    goals = tuple(Goal(r, count) for r in REGIONS)
    current = Blueprint("ro_bench", 50, 49, Phase.ROLLING, 3, NOW_MS - HOUR_MS, goals=goals,
                        ring_opened_ms=(0, 0, 0, 0), turns=turns(count))  # fmt: skip
    return policy_for(2 * count), current, seen


def cpu_s(function: Callable[[], Any]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started


def evaluations(count: int, repeat: int) -> dict[str, Any]:
    """Costs at one size; the median of so many evaluations."""
    policy, current, seen = situation(count)
    tally = Tally(policy)
    build_s = cpu_s(lambda: tally.update(seen.subjects, current.turns))
    told = Observed(seen.change, seen.targets, (), seen.untreated, seen.fresh, data_ms=NOW_MS,
                    attributes=seen.attributes)  # fmt: skip
    last: list[Summary] = []

    def anew() -> None:
        planner.decide(policy, current, summarise(policy, current, seen, NOW_MS), NOW_MS)

    def kept(second: int) -> None:
        now_ms = NOW_MS + 1000 * second
        checked_in = [replace(s, last_heard_ms=now_ms) for s in seen.subjects[second % CHECK_IN_S :: CHECK_IN_S]]
        tally.update(checked_in, current.turns)
        last.append(tally.summary(current, told, now_ms))
        planner.decide(policy, current, last.pop(), now_ms)

    first_s = cpu_s(lambda: kept(0))
    each = statistics.median(cpu_s(lambda i=i: kept(i)) for i in range(1, repeat + 1))  # type: ignore[misc]
    every = statistics.median(cpu_s(anew) for _ in range(max(1, repeat // 10)))
    rows = len(tally.summary(current, told, NOW_MS).table)
    return {
        "subjects": count, "rows": rows, "anew_cpu_s": round(every, 4), "kept_cpu_s": round(each, 4),
        "ratio": round(every / each, 1), "first_cpu_s": round(build_s + first_s, 3),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    rows = [evaluations(int(size), options.repeat) for size in options.sizes.split(",")]
    for row in rows:
        print("  ".join(f"{k}={v}" for k, v in row.items()))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
