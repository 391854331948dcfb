"""What a person may do about one endpoint of a rollout, and what then happens. Pure.

Invariants: a transaction that has begun is never torn; what was never begun is withdrawn, and is no evidence of harm;
a retry takes nothing back: whatever a failure has proven about the change stays proven, and the new offer is drawn
from the same budgets as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.rollout.model import Change, Phase, Progress

STOPPED: Final = "stopped"  # the code of a target that a person has stopped
LIVE: Final = frozenset({Phase.DRAFT, Phase.ROLLING, Phase.HOLDING})
RETRIED: Final = frozenset({Progress.EXPIRED, Progress.REFUSED, Progress.INTERRUPTED, Progress.FAILED})
OF_RELEASES: Final = (
    "Releases of Brakeline are leased to ranges of endpoints, never to one: turn self-update off for it by a policy."
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one target stands. `progress` None = it is in no arm yet, or a control."""

    phase: Phase
    progress: Progress | None
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """`acts`: something is written. `state`: one word; `text`: a sentence for whoever asked."""

    acts: bool
    state: str
    text: str


def stop(change: Change, at: Standing) -> Answer:
    """withdrawn | told | runs | over | refused."""
    if change.release is not None:
        return Answer(False, "refused", OF_RELEASES)
    if at.stopped:
        return Answer(False, "withdrawn", "It was stopped here before; nothing more of this rollout begins there.")
    if at.phase not in LIVE:
        return Answer(False, "over", f"The rollout is {at.phase.value}: nothing of it begins anywhere any more.")
    match at.progress:
        case Progress.INSTALLED | Progress.FAILED:
            return Answer(False, "over", f"It is {at.progress.value} there already: there is nothing to stop.")
        case Progress.STARTED:
            return Answer(True, "runs", "Its transaction runs and is never torn: it goes on to its end, and its result "
                          "counts. Nothing else of this rollout begins there.")  # fmt: skip
        case Progress.OFFERED:
            return Answer(True, "told", "Its offer is out. It is told to drop it at once; if it has begun in this very "
                          "moment, that transaction goes on to its end.")  # fmt: skip
        case _:
            return Answer(True, "withdrawn", "It has not begun there, and will not.")


def retry(change: Change, at: Standing) -> Answer:
    """again | waits | over | refused."""
    if change.release is not None:
        return Answer(False, "refused", OF_RELEASES)
    if at.phase not in LIVE:
        text = f"The rollout is {at.phase.value} and offers nothing any more: make a new deployment for this endpoint."
        return Answer(False, "over", text)
    if at.progress in (None, Progress.NONE) and not at.stopped:
        return Answer(False, "over", "It has had no offer yet: it gets its first one when its turn comes.")
    if at.progress in (Progress.OFFERED, Progress.STARTED, Progress.INSTALLED) and not at.stopped:
        return Answer(False, "over", f"It is {at.progress.value} there: there is nothing to try again.")
    if at.progress in RETRIED:
        how = "as soon as it is ready, and a budget has room" if at.phase is Phase.ROLLING else (
            "when the rollout goes on: now it holds")  # fmt: skip
        said = " What its failure has shown stays evidence." if at.progress is Progress.FAILED else ""
        state = "again" if at.phase is Phase.ROLLING else "waits"
        return Answer(True, state, f"It gets another offer {how}.{said}")
    return Answer(True, "again", "It takes part again, like any other.")
