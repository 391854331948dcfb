"""Readable transcripts of small rollouts, driven by the real planner and brake in simulated time.

Golden files in `rollout/`. To rewrite them: `python -m tests.scenarios.test_rollout_transcripts --rewrite`; commit the
difference only if you understand what caused it.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from brakeline.rollout import arms, giving_way
from brakeline.rollout.model import ROLLBACK, Harmed, Ring
from brakeline.sim import faults, scenarios, world
from brakeline.sim.faults import Fault

FOLDER = Path(__file__).with_name("rollout")
HOUR_S = 3600
STORIES: dict[str, tuple[Fault, tuple[int, ...]]] = {
    "good-update": (faults.BENIGN, (1, 3)),
    "postinst-fails-halts": (faults.POSTINST, (2,)),
    "postinst-fails-in-one-canary-holds": (faults.POSTINST, (1, 3)),
    "network-lost-holds": (faults.NETWORK, (1, 3)),
    "one-refuses-and-gives-its-place": (faults.BENIGN, (1, 3)),
    "rollback-of-two-harmed-and-four-exposed": (faults.BENIGN, (1, 2, 3)),
}


def tell(name: str) -> str:
    """The story of six servers in their regions, told from what happened."""
    fault, counts = STORIES[name]
    scenario = scenarios.make(random.Random(11), name, 6, (1.0, 0.0, 0.0), fault)
    bake_s = round(6.5 * HOUR_S)
    rings = (*(Ring(f"first {n}", bake_s, count=n) for n in counts), Ring("all", bake_s, share=1.0))
    scenario = replace(scenario, policy=replace(scenario.policy, rings=rings), outages=())
    scenario = replace(scenario, refuses=0.3) if "gives-its-place" in name else scenario
    scenario = taken_back(scenario) if name.startswith("rollback") else scenario
    end = world.run(scenario, 11)
    lines = [(b.made_ms, 0, f"generation {b.generation}: {b.phase}: {b.why}") for b in end.blueprints]
    lines += [(o.at_ms, 1, f"  offer to {o.endpoint_id} in ring {o.ring + 1}") for o in end.offers]
    lines += [(at, 2, f"  {g.endpoint_id} {giving_way.GAVE}{g.why}") for at, g in end.gave]
    lines += [(s.ready_ms, 1, f"  {s.endpoint_id} is a control") for s, _ in end.controls]
    told = [f"{clock(at - scenario.start_ms)} {text}" for at, _, text in sorted(lines)]
    why = [f"  {line.state}: {line.gate}: {line.text}" for line in end.report.lines]
    names = {o.endpoint_id for o in end.offers}
    spared = [e.endpoint_id for e in scenario.fleet if e.endpoint_id not in names]
    regions = ", ".join(f"{e.endpoint_id} in {e.region}" for e in scenario.fleet)
    return "\n".join([
        f"# {name}: {fault.name}, rings of {', '.join(map(str, counts))} and all", f"# {regions}", *told,
        f"end: {end.last.phase}, {end.harmed} harmed, spared: {', '.join(spared) or 'nobody'}", *why, "",
    ])  # fmt: skip


def taken_back(scenario: world.Scenario) -> world.Scenario:
    """The same servers, of which the last two have proven harm."""
    harmed = scenario.fleet[-2:]
    fleet = tuple(replace(e, u=arms.ahead(e.u, harmed=e in harmed)) for e in scenario.fleet)
    first = tuple(Harmed(region, n) for region, n in sorted(Counter(e.region for e in harmed).items()))
    return replace(scenario, fleet=fleet, change=replace(scenario.change, kind=ROLLBACK, undoes="ro_bad", harmed=first))


def clock(ms: int) -> str:
    hours, minutes = divmod(ms // 60_000, 60)
    return f"{hours:3}:{minutes:02}"


@pytest.mark.parametrize("name", sorted(STORIES))
def test_the_story_is_as_it_was(name: str) -> None:
    assert tell(name) == (FOLDER / f"{name}.txt").read_text()


if __name__ == "__main__":
    if "--rewrite" not in sys.argv:
        sys.exit("say --rewrite")
    for story in STORIES:
        (FOLDER / f"{story}.txt").write_text(tell(story))
