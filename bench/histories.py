"""Whole rollouts among millions, a history a seed, kept in a file as they end: a long run can be cut and go on.

A `Row` says what happens (a fault, or nothing) under which pace; `collect` runs what the file does not hold yet, a seed
of all rows before the next seed, so that a run that is cut short leaves every row with about as many. `table` makes
figures of them. Next: `brake`, which prints.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from brakeline.rollout import untaken
from brakeline.rollout.presets import for_release, policy_for
from brakeline.sim import batch, harmless, replay
from brakeline.sim.cohorts import Case, Outage, run
from brakeline.sim.incidents import Fault
from brakeline.sim.rates import START_H

DRAWS: Final = 40  # histories of a harmless change that share who asked when
FRIDAY_H: Final = START_H + 4 * 24.0
HARMLESS: Final[dict[str, dict[str, Any]]] = {
    "none": {},
    "none, Friday start": {"start_h": FRIDAY_H},
    "none, a region dark for 15 h": {"outages": (Outage(0, START_H + 12, START_H + 27),)},
    "none, 1 in 100 takes nothing": {"idle": 0.01},
    "none, 1 in 50 takes nothing": {"idle": untaken.USUAL},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table and how many seeds it wants."""

    name: str
    fault: Fault | None
    pace: str
    seeds: int

    def case(self, endpoints: int, seed: int) -> Case:
        case = Case(endpoints, for_release(policy_for(endpoints, self.pace)), self.fault, seed)
        return replace(case, **HARMLESS.get(self.name, {}))

    def key(self, seed: int) -> tuple[str, str, int]:
        return self.name, self.pace, seed


def rows(paces: Iterable[str], seeds: int, harmless: int) -> list[Row]:
    """Every fault, and a harmless change in `harmless` histories; its variants, Friday and outage, in `seeds`."""
    found = []
    for pace in paces:
        found += [Row(name, fault, pace, seeds) for name, fault in batch.FAULTS.items()]
        found += [Row(name, None, pace, seeds if i else harmless) for i, name in enumerate(HARMLESS)]
    return found


def kept(lines: Path | None) -> dict[tuple[str, str, int], dict[str, Any]]:
    """What was run before. A last line that was cut off is left out."""
    found = {}
    for line in lines.read_text().splitlines() if lines is not None and lines.exists() else ():
        if line.endswith("}"):
            end = json.loads(line)
            found[(end["name"], end["pace"], end["seed"])] = end
    return found


def collect(wanted: Iterable[Row], endpoints: int, lines: Path | None, cpu_s_max: float) -> list[dict[str, Any]]:
    """Every history that is wanted, as far as the CPU-seconds reach."""
    known, started = kept(lines), time.process_time()
    for row, seed in _in_turn(list(wanted)):
        if row.key(seed) in known:
            continue
        if time.process_time() - started > cpu_s_max:
            break
        for end in _histories(row, endpoints, seed):
            known[row.key(end["seed"])] = end
            if lines is not None:
                with lines.open("a") as file:
                    file.write(json.dumps(end) + "\n")
    return list(known.values())


def _in_turn(wanted: list[Row]) -> Iterator[tuple[Row, int]]:
    """Rows that want more seeds get more in each round, so that all are done at the same time."""
    rounds = min((row.seeds for row in wanted), default=0)
    for i in range(rounds):
        for row in wanted:
            yield from ((row, seed) for seed in range(i * row.seeds // rounds, (i + 1) * row.seeds // rounds))


def _histories(row: Row, endpoints: int, seed: int) -> Iterator[dict[str, Any]]:
    """That of this seed; of a harmless change all that share its askers (`sim.harmless`)."""
    started = time.process_time()
    if row.fault is not None:
        ends, first = [run(row.case(endpoints, seed))], seed
    else:
        draws = 1 if "idle" in HARMLESS[row.name] else min(DRAWS, row.seeds)  # who takes nothing is no checkpoint's lot
        ends, first = harmless.run(row.case(endpoints, seed // draws), draws), seed - seed % draws
    cpu_s = round((time.process_time() - started) / len(ends), 3)
    for i, end in enumerate(ends):
        yield {
            "name": row.name, "pace": row.pace, "seed": first + i, "outcome": replay.OUTCOMES.get(end.phase, "held"),
            "ring": end.ring, "exposed": end.exposed, "harmed": end.harmed, "hours": end.hours, "held_h": end.held_h,
            "why": end.why, "cpu_s": cpu_s,
        }  # fmt: skip


# --- figures ----------------------------------------------------------------------------------------------------------


def interval(hits: int, runs: int) -> tuple[float, float]:
    """95 % interval of a rate, in per cent (Clopper-Pearson, by bisection)."""

    def tail(p: float, upper: bool) -> float:
        ks = range(hits + 1) if upper else range(hits)
        below = math.fsum(
            math.exp(math.lgamma(runs + 1) - math.lgamma(k + 1) - math.lgamma(runs - k + 1)
                     + k * math.log(p) + (runs - k) * math.log1p(-p))
            for k in ks
        )  # fmt: skip
        return below if upper else 1 - below

    def edge(upper: bool) -> float:
        low, high = 1e-12, 1 - 1e-12
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if (tail(middle, upper) > 0.025) is upper else (low, middle)
        return low

    return (0.0 if hits == 0 else 100 * edge(False), 100.0 if hits == runs else 100 * edge(True))


def table(wanted: Iterable[Row], ends: Iterable[dict[str, Any]], endpoints: int) -> list[dict[str, Any]]:
    """A line a row that has any history."""
    mine: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for end in ends:
        mine.setdefault((end["name"], end["pace"]), []).append(end)
    return [_line(row, mine[(row.name, row.pace)], endpoints) for row in wanted if (row.name, row.pace) in mine]


def _line(row: Row, ends: list[dict[str, Any]], endpoints: int) -> dict[str, Any]:
    outcomes = [end["outcome"] for end in ends]
    line: dict[str, Any] = {"table": "batch", "pace": row.pace, "fault": row.name, "runs": len(ends)}
    line |= {name: outcomes.count(name) for name in ("halted", "held", "completed")}
    line["cpu_s_a_run"] = round(sum(end["cpu_s"] for end in ends) / len(ends), 2)
    if row.fault is None:
        low, high = interval(line["halted"], len(ends))
        days = replay.spread([end["hours"] / 24 for end in ends if end["outcome"] == "completed"])
        held = replay.spread([end["held_h"] for end in ends])
        return line | {"halted_low_pct": round(low, 3), "halted_high_pct": round(high, 3), "days": days, "held_h": held}
    harmed = replay.spread([end["harmed"] for end in ends])
    assert harmed is not None
    line |= {"median": harmed["median"], "p95": harmed["p95"], "most": max(end["harmed"] for end in ends)}
    line |= {
        "page": "/".join(map(str, batch.PAGE[row.name])) if row.name in batch.PAGE and row.pace == "careful" else ""
    }
    line["hours"] = replay.spread([end["hours"] for end in ends if end["outcome"] == "halted"])
    for rule, told in replay.rules_on(row.fault, endpoints).items():
        line |= {f"{rule}_alone": told["harmed"], f"{rule}_human": told["harmed_with_human"]}
    return line
