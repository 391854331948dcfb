"""Readable transcripts of leads over four cells, driven by the real decisions of both ends in simulated time.

Golden files in `cells/`. To rewrite them: `python -m tests.scenarios.test_cells_transcripts --rewrite`; commit the
difference only if you understand what caused it.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from brakeline.rollout.model import Guard, Policy, Ring
from brakeline.rollout.presets import rehearsal
from brakeline.sim.cells import STEP_MS, Scenario, Trouble, World
from brakeline.sim.one_cell import START_MS

FOLDER = Path(__file__).with_name("cells")
RINGS = (Ring("first 4", 60, count=4), Ring("first 20", 60, count=20), Ring("all", 60, share=1.0))
POLICY = rehearsal(Policy(RINGS, guard=Guard(holdout=0.0)), interval_s=10)
SIZES = (20, 30, 10, 40)
STORIES: dict[str, tuple[str, tuple[Trouble, ...], int]] = {
    "good-update": ("", (), 60),
    "fails-in-one-cell": ("b2", (), 40),
    "a-cell-is-cut-off-and-comes-back": ("", (Trouble("cut", "a2", 9, 60),), 100),
    "the-conductor-is-away": ("", (Trouble("dead", "", 14, 60),), 100),
}


def tell(name: str) -> str:
    """Every change of what the conductor and the cells say, and of how many have the update."""
    fails_in, troubles, steps = STORIES[name]
    world, last, lines = World(Scenario(POLICY, SIZES, troubles, fails_in), random.Random(1)), {}, []
    for step in range(steps):
        world.step(step, START_MS + step * STEP_MS)
        lead = world.conductor.lead
        now = {"conductor": f"{lead.blueprint.phase}, ring {lead.blueprint.ring + 1}: {lead.blueprint.why}"}
        for cell, x in world.cells.items():
            first = x.report.lines[0].text if x.report.lines else "has heard of nothing"
            why = "" if x.blueprint.phase == "rolling" else f": {_steady(first)}"
            now[cell] = f"{x.treated} of {len(x.ids)} have it, {x.blueprint.phase}{why}"
        lines += [f"{step * STEP_MS // 1000:4} s {who:9} {text}" for who, text in now.items() if last.get(who) != text]
        last = now
    waits = [f"  {x.state}: {x.text}" for x in world.conductor.report.lines if x.gate == "cells"]
    head = f"# {name}: cells of {', '.join(map(str, SIZES))} endpoints; a1 and a2 in one region, b1 and b2 in another"
    return "\n".join([head, *lines, "at the end the conductor says of the cells:", *waits, *world.history.broken, ""])


def _steady(text: str) -> str:
    """Without the seconds that pass while nothing else changes."""
    return text.partition("; asked")[0].partition(" since ")[0].partition(" yet: ")[0]


@pytest.mark.parametrize("name", sorted(STORIES))
def test_the_story_is_as_it_was(name: str) -> None:
    assert tell(name) == (FOLDER / f"{name}.txt").read_text()


if __name__ == "__main__" and "--rewrite" in sys.argv:
    for story in STORIES:
        (FOLDER / f"{story}.txt").write_text(tell(story))
