"""Many histories of a harmless change at once: how often does the brake halt what does nothing?

Who asks when does not depend on who is silent at a checkpoint, as long as the brake does not act: the planner reads
evidence for nothing else. So one `World` lets the endpoints ask, and at each checkpoint draws what is silent or ill in
so many independent ways; wherever any row of the alpha table has reached a bar, the shipped brake judges that draw,
with its own table, and its history ends there if it halts. Histories of one `World` share who asked when, and ordinary
failures; nothing else. Start with `run`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brakeline.rollout import brake
from brakeline.rollout.model import Halt, Phase
from brakeline.rollout.pooling import Told
from brakeline.sim.cohorts import NEARLY, Case, End, World
from brakeline.sim.harm import Shows
from brakeline.sim.telling import Voice


class Chorus(World):
    """One rollout whose checkpoints are drawn in several ways."""

    def __init__(self, case: Case, draws: int) -> None:
        super().__init__(case)
        assert case.fault is None, "whom a fault bites would depend on when it is halted"
        self.voice = Voice(Shows.NOTHING, "", draws, case.harmless, case.goodbye)
        self.halted: dict[int, tuple[float, str]] = {}
        self._judged = -1

    def _table(self) -> Told:
        """For the planner no comparison says anything; `_judge` asks the brake what they say."""
        return {}

    def _decide(self, at_h: float) -> None:
        self._judge(at_h)
        super()._decide(at_h)

    def _judge(self, at_h: float) -> None:
        if self._judged == self.voice.said:
            return
        loud = np.flatnonzero(self.halting() >= NEARLY).tolist()
        if not loud:
            return
        self._judged, seen = self.voice.said, self.summary(at_h)
        for draw in loud:
            told = replace(seen, table=self.voice.in_words(draw))
            verdict = brake.judge(self.case.policy, told, self._ms(at_h)).verdict
            if isinstance(verdict, Halt) and draw not in self.halted:
                self.halted[draw] = at_h, verdict.reason

    def ends(self, draws: int) -> list[End]:
        """What became of each."""
        common = self.end()
        return [self._end_of(draw, common) for draw in range(draws)]

    def _end_of(self, draw: int, common: End) -> End:
        if draw not in self.halted:
            return common
        at_h, why = self.halted[draw]
        return replace(common, phase=Phase.HALTED, why=why, hours=at_h - self.case.start_h)


def run(case: Case, draws: int) -> list[End]:
    """So many histories."""
    world = Chorus(case, draws)
    while not world.over:
        world.step()
    return world.ends(draws)
