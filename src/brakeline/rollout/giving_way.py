"""Treated endpoints of a small ring that will never take the change, through nothing that the change did. Pure.

In a small ring every place is waited for. Whoever was ready when it was drawn and is not any more (a person has stopped
it, root's own limits, held, assess only) would hold it until somebody resumes. So it gives its place to another, as one
that has nothing to do gives its turn. Invariants: it stays treated, so what is compared is what was drawn; nothing is
known to have begun there, and a failure that is told of it later is news as any other; in one ring so many give way as
it has places, `LEAST` at least: where more refuse, that is news, and the ring waits with their names. Next: `giving`
(shell); restarts have a rule of their own (`restart_change`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from brakeline.rollout.model import Change, Phase, Progress, Subject, Wish

GAVE: Final = "gave its place to another: "
LEAST: Final = 3
OFFERS_MAX: Final = 3  # refused so often it is offered nothing more (`offering.ATTEMPTS_MAX`)
NOT_BEGUN: Final = frozenset({Progress.REFUSED, Progress.EXPIRED})
FOR_GOOD: Final = frozenset(  # codes of results that another offer would not change
    {"assess_only", "held", "local_limits", "no_launcher", "no_manager", "no_way_back", "not_allowed", "nothing_to_do",
     "pinned", "self_update_off"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answered:
    """A treated endpoint whose offer came to an end before anything began. `detail`: "code: in its own words"."""

    endpoint_id: str
    ring: int
    progress: Progress
    detail: str = ""
    stopped: str = ""  # by whom and why, where a person has stopped it there
    asked_again: bool = False  # a person gives it one more offer
    offers: int = 1  # that count


@dataclass(frozen=True, slots=True)
class Gives:
    """Who gives way, and why, for its own line and for the log."""

    endpoint_id: str
    ring: int
    why: str


def may(change: Change, phase: Phase, wish: Wish) -> bool:
    """Whether places are given away at all: while it goes on or waits for evidence."""
    return not change.is_restart and wish is Wish.RUN and phase in (Phase.ROLLING, Phase.HOLDING)


def who(
    change: Change, found: Iterable[Answered], given: Mapping[int, int], places: Mapping[int, int]
) -> tuple[Gives, ...]:
    """Of a small ring's; `given`: how many gave way there before, `places`: how many it has."""
    left = {ring: max(LEAST, n) - given.get(ring, 0) for ring, n in places.items()}
    giving: list[Gives] = []
    for one in sorted(found, key=lambda a: a.endpoint_id):
        why = reason(change, one)
        if why and left.get(one.ring, 0) > 0:
            left[one.ring] -= 1
            giving.append(Gives(one.endpoint_id, one.ring, why))
    return tuple(giving)


def reason(change: Change, one: Answered) -> str:
    """Why it will never take it, in words; "" = another offer may help, or it may have been harmed."""
    if one.progress not in NOT_BEGUN or one.asked_again:
        return ""
    if one.stopped:
        return one.stopped
    if one.progress is not Progress.REFUSED:
        return ""
    if one.detail.partition(":")[0] in FOR_GOOD:
        return one.detail
    often = change.release is None and one.offers >= OFFERS_MAX
    return f"refused {one.offers} offers, the last: {one.detail}" if often else ""


def gave(s: Subject) -> bool:
    """Whether another has its place. It is offered nothing more unless a person tries it again."""
    return bool(s.set_aside_ms) and s.detail.startswith(GAVE)


def told(given: int) -> str:
    """For the report's line about places."""
    return f"; {given} set aside or not to be had, {'its place goes' if given == 1 else 'their places go'} to others"
