"""Fleets that roll out the same change at the same time and share their bets: `rollout.pooling` in many histories.

Each fleet is a `cohorts.World` of its own with its own lots; they take steps together, and after each step every fleet
learns what all of them together have to tell. The same cases give the same histories. Start with `run`.
"""

from __future__ import annotations

from collections.abc import Sequence

from brakeline.rollout.pooling import Told
from brakeline.sim import bets
from brakeline.sim.cohorts import Case, End, World
from brakeline.sim.telling import Sums, Voice


def run(cases: Sequence[Case]) -> list[End]:
    """One history a fleet."""
    worlds = [World(case) for case in cases]
    said = -1
    while not all(w.over for w in worlds):
        for w in worlds:
            if not w.over:
                w.step()
        now = sum(w.voice.said for w in worlds)
        if now != said:
            said, pool = now, told([w.voice for w in worlds])
            for w in worlds:
                w.listen(pool)
    return [w.end() for w in worlds]


def told(voices: Sequence[Voice]) -> Told:
    """What all of them together have to tell: the logs of each bet, summed up."""
    total: Sums = {}
    for voice in voices:
        for key, sums in voice.sums.items():
            total[key] = total[key] + sums if key in total else sums
    return voices[0].named({key: bets.log_mean_exp(sums) for key, sums in total.items()})
