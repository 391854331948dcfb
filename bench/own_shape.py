"""What would the careful plan have cost fleets of three shapes? Incidents replayed for each, beside the assumed fleet.

`./dev bench own_shape [--endpoints 5000] [--seeds 3] [--json FILE]`. Two shapes are made up, from a week of hours as
the server counts them: servers alone, and laptops alone that are closed at night. Prints harmed endpoints (median), how
each incident ends, and how long a harmless change takes. No time is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brakeline.fleet.shape import HOUR_MS, Hour, Shape, shape
from brakeline.sim import incidents, own
from brakeline.sim.replay import Request, replay

INCIDENTS = Path(__file__).resolve().parents[1] / "tests/data/incidents/incidents.json"
MONDAY_MS = 1_764_547_200_000
Online = Callable[[int, int], float]


def servers(_day: int, _hour: int) -> float:
    return 0.999


def laptops(day: int, hour: int) -> float:
    return 0.05 if day >= 5 else 0.7 if 9 <= hour < 17 else 0.06


def made(kind: str, size: int, online: Online, restarts_a_day: float) -> Shape:
    """The shape of a fleet of one class after a week."""
    hours = []
    for i in range(168):
        now, most = online(i // 24 % 7, i % 24), max(online(i // 24 % 7, h) for h in range(24))
        here, within = round(size * now), (now, now, (now + most) / 2, most, most)
        counted = tuple(round(size * w) for w in within)
        hours.append(Hour(kind, MONDAY_MS + i * HOUR_MS, size, here, here, counted, round(size * restarts_a_day / 24)))
    counts = {"class": {kind: size}, "region": {"a": size // 2, "b": size - size // 2}, "os": {"x": size}, "tag": {}}
    return shape(MONDAY_MS, counts, hours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=5_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    size, seeds = options.endpoints, options.seeds
    asked = {
        "assumed": Request(size, seeds),
        "servers": own.request(made("server", size, servers, 0.0), seeds),
        "laptops": own.request(made("laptop", size, laptops, 0.3), seeds),
    }
    found = incidents.parse(INCIDENTS.read_text())
    answers: dict[str, Any] = {
        name: replay(found, request, lambda at: print(at, file=sys.stderr)) for name, request in asked.items()
    }
    print(f"{'incident':28}" + "".join(f"{name:>22}" for name in asked))
    for i, incident in enumerate(found):
        cells = [answers[name]["incidents"][i] for name in asked]
        print(f"{incident.id:28}" + "".join(f"{c['harmed']['median']:>11,.0f} {c['outcome']:<10}" for c in cells))
    days = [answers[name]["benign"]["days_to_complete"] for name in asked]
    print(f"{'harmless, days':28}" + "".join(f"{d['median'] if d else float('inf'):>22.1f}" for d in days))
    if options.json:
        options.json.write_text(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main()
