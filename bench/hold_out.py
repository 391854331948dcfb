"""Who faces the internet is never held out: what that takes, and what it costs, `./dev bench hold_out`.

    python -m bench.hold_out [--json FILE] [--runs N] [--seeds N]

*Harmless*: a change that does nothing, in a fleet of 2,000 of which 40 % face the internet and are silent ten times as
often; a ring of 200 and the last one, whose controls are the hold-out; halted by silence or not. *By kind*: compared
within their kind, as the product does; *mixed*: the same histories without. *Harm*: whole rollouts of the shipped
planner and brake over 300 servers that are all alike, one in five of them facing the internet; harmed by the time it is
halted, by kind and in the way of before, where nobody was told apart: what fewer comparisons cost.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench.histories import interval
from brakeline.core.draw import U_END
from brakeline.rollout import arms, brake, facing
from brakeline.rollout.facing import ATTRIBUTE, Drawn
from brakeline.rollout.model import (
    Arm,
    Blueprint,
    Change,
    Gate,
    Guard,
    Observed,
    Phase,
    Pin,
    Policy,
    Ring,
    State,
    Subject,
    Turn,
)
from brakeline.rollout.summary import summarise
from brakeline.sim import world
from brakeline.sim.faults import MINUTE_MS, Fault
from brakeline.sim.fleet import DAY_MS, HOUR_MS, SimEndpoint, make_fleet

SIZE, FIRST, SHARE = 2000, 200, 0.4  # endpoints, of the first ring, and how many of them face the internet
SILENT: Final = {True: 0.3, False: 0.03}
NOW_MS: Final = 10_000_000
POLICY: Final = Policy((Ring("first", 60, count=FIRST), Ring("all", 60, share=1.0)), guard=Guard(holdout=0.1),
                       checkpoints_s=(1_800, 8_100), eligible_seen_s=DAY_MS)  # fmt: skip
CHANGE: Final = Change((Pin("x", "2"),))
FAULTS: Final = (
    Fault("dead at once, 100 %", dies_after_ms=10 * MINUTE_MS),
    Fault("dead at once, 20 %", share=0.2, dies_after_ms=10 * MINUTE_MS),
    Fault("dead where it faces the internet", only=ATTRIBUTE, dies_after_ms=10 * MINUTE_MS),
)


# --- harmless ---------------------------------------------------------------------------------------------------------


def placed(rng: random.Random) -> tuple[Change, list[Drawn]]:
    """A fleet in the order of its places."""
    fleet = [Drawn(f"ep_{i:04}", "eu", rng.randrange(U_END), rng.random() < SHARE) for i in range(SIZE)]
    change = replace(CHANGE, facing=facing.counted(POLICY, CHANGE, fleet))
    places = facing.placed(POLICY, change, fleet)
    return change, sorted((d._replace(u=places[d.endpoint_id]) for d in fleet), key=lambda d: d.u)


def drawn_in(rng: random.Random, left: list[Drawn], turn: Turn, kinds: bool) -> list[Subject]:
    """Who of them is in an arm, and silent for reasons of their own."""
    gate = Gate("eu", turn.ring, turn.tick, turn.treat_below, turn.control_from, turn.control_until, SIZE, 0, NOW_MS)
    found = []
    for d in left:
        arm = arms.assign(gate, d.u, 0, False, 0)
        heard = sum(1 << j for j in range(2) if rng.random() >= SILENT[d.faces])
        if arm is not Arm.DEFERRED:
            found.append(Subject(d.endpoint_id, arm, turn.ring, turn.tick, "eu", "server", d.u, 0, 1,
                                 (ATTRIBUTE,) * d.faces, heard=heard, facing=kinds and d.faces))  # fmt: skip
    return found


def halts_falsely(seed: int, kinds: bool) -> bool:
    """Whether a harmless change is halted by silence: a first ring with controls from below the hold-out, then the last
    one with the hold-out."""
    rng = random.Random(seed)
    change, fleet = placed(rng)
    held = arms.held_out(POLICY, change, SIZE)
    subjects: list[Subject] = []
    turns: list[Turn] = []
    for ring, (treated, controls, reserve, limit) in enumerate(
        ((FIRST, SIZE // 2, held, U_END), (SIZE, held, 0, facing.TOP))
    ):
        left = fleet[FIRST * ring :]
        draws = arms.SortedDraws([d.u for d in left])
        turns.append(
            Turn("eu", ring, ring + 1, *arms.thresholds(draws, draws, draws, treated, controls, reserve, limit=limit))
        )
        subjects += drawn_in(rng, left, turns[-1], kinds)
    blueprint = Blueprint("ro_1", 2, 1, Phase.ROLLING, 1, 0, ring_opened_ms=(0, 0), turns=tuple(turns))
    seen = Observed(change, SIZE, tuple(subjects), {"eu": ()}, {"eu": ()}, data_ms=NOW_MS, attributes=(ATTRIBUTE,))
    lines = brake.judge(POLICY, summarise(POLICY, blueprint, seen, NOW_MS), NOW_MS).lines
    (silent,) = (x for x in lines if x.gate == "excess silent")
    return silent.state is State.HALT


# --- whole rollouts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flaky(SimEndpoint):
    """Off in three of ten hours where it faces the internet, at random; others in three of a hundred."""

    def on(self, now_ms: int) -> bool:
        draw = random.Random(f"{self.endpoint_id} {now_ms // HOUR_MS}").random()
        return draw >= SILENT[facing.faces(self.attributes)]


def scenario(fault: Fault, seed: int = 3, *, size: int = 300, share: float = SHARE, flaky: bool = True,
             kinds: bool = True) -> world.Scenario:  # fmt: skip
    """Servers with a hold-out, places as the product makes them; without `kinds` as it was before."""
    rng = random.Random(seed)
    plain = make_fleet(rng, size, (1.0, 0.0, 0.0), rng.randbytes(32))
    policy = Policy((Ring("first", 6 * 3600, count=60), Ring("all", 6 * 3600, share=1.0)), guard=Guard(holdout=0.05),
                    checkpoints_s=(1_800, 8_100, 22_500), tick_s=3600, quorum=0.5)  # fmt: skip
    drawn = [Drawn(e.endpoint_id, e.region, e.u, rng.random() < share) for e in plain]
    change = replace(world.CHANGE, facing=facing.counted(policy, world.CHANGE, drawn) if kinds else ())
    places = facing.placed(policy, change, drawn)
    make = Flaky if flaky else SimEndpoint
    fleet = tuple(
        make(e.endpoint_id, e.region, e.utc_h, e.machine_class, (*e.attributes, *(ATTRIBUTE,) * d.faces),
             places[e.endpoint_id], e.habits, e.phase, e.reboot_after_ms)
        for e, d in zip(plain, drawn, strict=True)
    )  # fmt: skip
    return world.Scenario("hold-out", policy, fleet, fault, (), 5000 * 7 * DAY_MS, 14 * DAY_MS, change=change)


def harmed(fault: Fault, seeds: int, kinds: bool) -> dict[str, Any]:
    ends = [world.run(scenario(fault, seed, share=0.2, flaky=False, kinds=kinds), seed) for seed in range(seeds)]
    found = sorted(end.harmed for end in ends)
    return {
        "halted": sum(end.last.phase is Phase.HALTED for end in ends), "seeds": seeds,
        "harmed_median": found[len(found) // 2], "harmed_most": found[-1],
    }  # fmt: skip


def table(runs: int, seeds: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for how, kinds in (("by kind", True), ("mixed", False)):
        hits = sum(halts_falsely(seed, kinds) for seed in range(runs))
        low, high = interval(hits, runs)
        rows.append({"table": "harmless", "how": how, "runs": runs, "halted": hits, "low_pct": round(low, 2),
                     "high_pct": round(high, 2)})  # fmt: skip
    for fault in FAULTS:
        for how, kinds in (("by kind", True), ("as before", False)):
            rows.append({"table": "harm", "fault": fault.name, "how": how} | harmed(fault, seeds, kinds))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=40)
    options = parser.parse_args()
    rows = table(options.runs, options.seeds)
    for row in rows:
        print("  ".join(f"{k}={v}" for k, v in row.items()))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
