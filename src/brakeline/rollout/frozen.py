"""What a freeze does to one rollout's plan and to what it says of itself: everything stays where it is, and says why.

To the planner it is a hold by a person, so nothing opens and everybody exposed is judged as ever: harm still halts.
Pure; the freeze itself is in the `journal`, pressing and lifting it in `freezing`.
"""

from __future__ import annotations

from dataclasses import replace

from brakeline.core.errors import Conflict
from brakeline.rollout.journal import Freeze
from brakeline.rollout.model import Blueprint, Line, Phase, Report, State, Wish
from brakeline.rollout.situation import Situation

GOING: frozenset[Phase] = frozenset({Phase.DRAFT, Phase.ROLLING, Phase.HOLDING})
GATE = "freeze"


class Frozen(Conflict):
    """Everything is frozen."""

    code = "frozen"
    hint = "Lift it first: brakeline unfreeze --reason '…'; a second person agrees."


def held(situation: Situation, freeze: Freeze | None) -> Situation:
    """The situation as the planner shall see it: a rollout that is to run waits for a person."""
    if freeze is None or situation.summary.wish is not Wish.RUN:
        return situation
    by, why = freeze.by, freeze.reason
    return replace(
        situation,
        observed=replace(situation.observed, wish=Wish.PAUSE, wish_by=by, wish_reason=why),
        summary=replace(situation.summary, wish=Wish.PAUSE, wish_by=by, wish_reason=why),
    )


def explained(
    situation: Situation, proposed: Blueprint, report: Report, freeze: Freeze | None
) -> tuple[Blueprint, Report]:
    """The plan that came of it, saying who froze it instead of who paused it."""
    if freeze is None or proposed.phase not in GOING:
        return proposed, report
    by_freeze = situation.row.wish is Wish.RUN and situation.summary.wish is Wish.PAUSE
    rest = report.lines
    if by_freeze and rest and rest[0].text.startswith("holding: paused by"):
        rest = rest[1:]
    if by_freeze and proposed is not situation.row.blueprint and proposed.phase is Phase.HOLDING:
        proposed = replace(proposed, why=f"holding: {freeze.told()}")
    return proposed, Report((Line(GATE, State.HOLD, freeze.told(), {"freeze": freeze.freeze_id}), *rest))
