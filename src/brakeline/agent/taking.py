"""Settings that arrive by an offer: ready at once, taken at once, or refused with the reason. Pure.

Settings are the agent's own, so no helper and no launcher has a part in it: whoever is offered them runs by them from
this very step on, and says so by their digest in each check-in. What the agent's fixed bounds do not allow is not
trimmed but fails (`cannot_apply`): a change that cannot be made as it was meant is evidence against it. Back it goes
by the reply alone: the cell names the settings that hold, and after a halt those are the last good ones.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.agent import sessions
from brakeline.agent.model import Instant, Session, State
from brakeline.agent.providers.model import Planned, Refused
from brakeline.agent.sessions import Step
from brakeline.protocol.digests import settings_digest, transaction_digest
from brakeline.protocol.messages import Action, ActionKind, Candidate, Offer, Outcome, Settings, Transaction

PACKAGE: Final = "brakeline-settings"  # how settings are named among updates
INTERVAL_S_MIN: Final = 1  # bounds on what settings may ask; below, the agent would be a load
INTERVAL_S_MAX: Final = 3600
INVENTORY_S_MIN: Final = 10
REFRESH_S_MIN: Final = 600


def bounded(settings: Settings) -> Settings:
    """Settings within the agent's own fixed rules."""
    return replace(
        settings,
        check_in_interval_s=max(INTERVAL_S_MIN, min(settings.check_in_interval_s, INTERVAL_S_MAX)),
        inventory_interval_s=max(settings.inventory_interval_s, INVENTORY_S_MIN),
        refresh_interval_s=max(settings.refresh_interval_s, REFRESH_S_MIN),
    )


def answer(state: State, candidate: Candidate) -> Planned | Refused:
    """Whether this endpoint could run by the settings of a candidate now."""
    assert candidate.settings is not None
    running = settings_digest(state.durable.settings)
    if settings_digest(candidate.settings) == running:
        return Refused("nothing_to_do", "this endpoint runs by these settings already")
    if sessions.running(state):
        return Refused("busy", "a package transaction is going on here")
    actions = tuple(Action(ActionKind.UPGRADE, u.name, "all", running, u.version) for u in candidate.updates)
    return Planned(Transaction(actions, transaction_digest(actions)))


def take(state: State, session: Session, offer: Offer, at: Instant) -> Step:
    """Run by what is offered, or say why not."""
    assert offer.settings is not None
    wanted = replace(offer.settings, check_in_interval_s=state.durable.settings.check_in_interval_s)
    if bounded(wanted) != wanted:
        text = "the settings are outside of what this agent allows; it runs on by those that it had"
        return sessions.end(state, session, Outcome.FAILED, "cannot_apply", text, at)
    before = settings_digest(state.durable.settings)
    dropped = () if wanted.mode is not state.durable.settings.mode else state.preparations
    state = replace(state, durable=replace(state.durable, settings=wanted), preparations=dropped)
    return sessions.end(state, session, Outcome.INSTALLED, "ok", f"settings {before} -> {settings_digest(wanted)}", at)
