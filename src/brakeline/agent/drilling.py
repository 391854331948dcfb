"""A drill on this endpoint: ready at once, and the end that the order names is told. Nothing else is done. Pure.

A drill rehearses the brake on real machines, so it takes the way of every change, and is bounded here: an order of a
drill that names anything beside the drill is refused; helper and launcher have no part in it; nothing of this machine
is read or written for it but the session and its result. The failure is told under a code of its own, so that it can
never be taken for one of an update.
"""

from __future__ import annotations

from typing import Final

from brakeline.agent import sessions
from brakeline.agent.model import Instant, Session, State
from brakeline.agent.providers.model import Planned, Refused
from brakeline.agent.sessions import Step
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import (
    DRILL_FAILURE,
    DRILL_PACKAGE,
    Action,
    ActionKind,
    Candidate,
    Offer,
    Outcome,
    Transaction,
)

BEFORE: Final = "none"  # no such package exists; the name stands for "this endpoint has told the end of that drill"
FAILED: Final = "a failure on purpose, by order of a drill; nothing was changed on this endpoint"
PASSED: Final = "told by order of a drill; nothing was changed on this endpoint"


def answer(candidate: Candidate) -> Planned | Refused:
    """Whether this endpoint takes part: always, in a drill that is nothing else."""
    if not _alone(candidate):
        return Refused("refused", "a drill that names anything beside the drill is none")
    actions = tuple(Action(ActionKind.UPGRADE, u.name, "all", BEFORE, u.version) for u in candidate.updates)
    return Planned(Transaction(actions, transaction_digest(actions)))


def take(state: State, session: Session, offer: Offer, at: Instant) -> Step:
    """Tell the end that the order names."""
    assert offer.drill is not None
    if not _alone(offer):
        text = "a drill that names anything beside the drill is none; nothing was done"
        return sessions.end(state, session, Outcome.REFUSED, "refused", text, at)
    if offer.drill.fails:
        return sessions.end(state, session, Outcome.FAILED, DRILL_FAILURE, FAILED, at)
    return sessions.end(state, session, Outcome.INSTALLED, "ok", PASSED, at)


def _alone(said: Candidate | Offer) -> bool:
    other = said.release is not None or said.settings is not None or bool(said.undoes)
    return not other and len(said.updates) == 1 and said.updates[0].name == DRILL_PACKAGE
