"""What a question more costs the others: `./dev bench signal_cost [--json FILE]`.

For each way of asking about errors, starts and probes: the bar of a question (log e-value) and how many bad ones among
a ring's treated halt it, controls being as bad as healthy endpoints are in the simulation. No clock is read.

*before*: none of the three. *chosen*: errors are a question, probes and slow starts join *unhealthy* and *starts*.
*three*: each is a question of its own. *joined*: errors are *unhealthy* as well, so nothing is paid out of alpha and
what happens by chance adds up.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from brakeline.rollout import brake, evalue
from brakeline.rollout.alpha import GROUPS, MARGINS, SHARES
from brakeline.rollout.evidence import SILENT, UNHEALTHY, Counts
from brakeline.rollout.presets import policy_for
from brakeline.rollout.signals import ACTIONS, BLOCKS, DELETIONS, ERRORS, PATCHES, RESOURCES, STARTS
from brakeline.sim.telling import BASES

POLICY = policy_for(850_000)
RINGS: Final = ((100, 900), (1000, 9000))  # treated, controls
OTHERS: Final = (ACTIONS, STARTS, PATCHES, BLOCKS, DELETIONS)
SLOW, PROBES = "slow starts", "probes"
EVERYBODY: Final = GROUPS["all"]
BASE: Final = {**BASES, SLOW: 0.001, PROBES: 0.001}  # own assumptions, as in the simulation
MARGIN: Final = {**MARGINS, SLOW: MARGINS[STARTS], PROBES: MARGINS[UNHEALTHY]}


Way = tuple[Mapping[str, float], Mapping[str, float]]  # shares of alpha; shares of healthy endpoints bad by chance


def ways() -> dict[str, Way]:
    """What may be asked how."""
    alone = {RESOURCES: 0.03, UNHEALTHY: 0.02} | dict.fromkeys(OTHERS, 0.01)
    chosen = {s: SHARES[s] for s in (RESOURCES, UNHEALTHY, *OTHERS, ERRORS)}
    three = {RESOURCES: 0.02, UNHEALTHY: 0.02} | dict.fromkeys((*OTHERS, ERRORS, SLOW, PROBES), 0.0075)
    joined = {UNHEALTHY: BASE[UNHEALTHY] + BASE[PROBES] + BASE[ERRORS], STARTS: BASE[STARTS] + BASE[SLOW]}
    beside = {UNHEALTHY: BASE[UNHEALTHY] + BASE[PROBES], STARTS: BASE[STARTS] + BASE[SLOW]}
    found: dict[str, Way] = {
        "before": (alone, BASE), "chosen": (chosen, {**BASE, **beside}), "three": (three, BASE),
        "joined": (alone, {**BASE, **joined}),
    }  # fmt: skip
    spent = {name: SHARES[SILENT] + 0.10 + 0.28 + math.fsum(shares.values()) for name, (shares, _) in found.items()}
    assert all(total <= 1 + 1e-9 for total in spent.values()), spent
    return found


def bar(share: float) -> float:
    """Of one checkpoint, for everybody."""
    return -math.log(POLICY.guard.alpha * share * EVERYBODY / len(POLICY.checkpoints_s))


def halts_at(n_t: int, n_c: int, base: float, margin: float, at: float) -> int | None:
    """The fewest bad treated that halt in a first ring, its controls as bad as they are expected to be."""
    x_c = round(n_c * base)
    for x_t in range(1, n_t + 1):
        bets = evalue.bets_beyond(Counts(n_t, n_c, x_t, x_c), margin)
        if brake.over_rings({0: bets}) >= at:
            return x_t
    return None


def measure() -> list[dict[str, Any]]:
    rows = []
    for way, (shares, bases) in ways().items():
        for signal, share in shares.items():
            at = bar(share)
            few = {f"of {n_t}": halts_at(n_t, n_c, bases[signal], MARGIN[signal], at) for n_t, n_c in RINGS}
            row = {"way": way, "signal": signal, "share": share, "bar": round(at, 2), "by chance": bases[signal]}
            rows.append(row | few)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = measure()
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(v) for v in row.values()) + " |")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
