"""Settings that arrive by an offer: ready at once, taken at once, or refused with the reason. Pure.

Settings are the agent's own, so no helper and no launcher has a part in it: whoever is offered them runs by them from
this very step on, and says so by their digest in each check-in. What the agent's fixed bounds do not allow is not
trimmed but fails (`cannot_apply`): a change that cannot be made as it was meant is evidence against it. Back it goes
by the reply alone: the cell names the settings that hold, and after a halt those are the last good ones. An offer is
the one thing beside a grant that raises the `ceiling`; it counts once, in the order in which offers were made. What
root's own limits do not allow is said beforehand: such an endpoint is never ready, so it is no evidence against the
change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.agent import sessions
from brakeline.agent.model import Instant, Session, State, Trial
from brakeline.agent.providers.model import Planned, Refused
from brakeline.agent.sessions import Step
from brakeline.core import weekly
from brakeline.core.errors import Invalid
from brakeline.protocol import probes
from brakeline.protocol.digests import settings_digest, transaction_digest
from brakeline.protocol.messages import (
    RESTARTS_A_DAY_MAX,
    Action,
    ActionKind,
    Candidate,
    Offer,
    Outcome,
    Settings,
    Transaction,
)
from brakeline.protocol.settings import NAMES, NICE_MAX, wider, within

PACKAGE: Final = "brakeline-settings"  # how settings are named among updates
INTERVAL_S_MIN: Final = 1  # bounds on what settings may ask; below, the agent would be a load
INTERVAL_S_MAX: Final = 3600
INVENTORY_S_MIN: Final = 10
REFRESH_S_MIN: Final = 600
WINDOWS_MAX: Final = 100  # what several policies have in common may be many; more are read as never open
KIB_S_MIN: Final = 16  # slower, a kernel takes longer than a transaction may


def bounded(settings: Settings) -> Settings:
    """Settings within the agent's own fixed rules."""
    return replace(
        settings,
        check_in_interval_s=max(INTERVAL_S_MIN, min(settings.check_in_interval_s, INTERVAL_S_MAX)),
        inventory_interval_s=max(settings.inventory_interval_s, INVENTORY_S_MIN),
        refresh_interval_s=max(settings.refresh_interval_s, REFRESH_S_MIN),
        windows=settings.windows if len(settings.windows) <= WINDOWS_MAX else (weekly.NEVER,),
        restarts_a_day=max(0, min(settings.restarts_a_day, RESTARTS_A_DAY_MAX)),
        download_kib_s=max(settings.download_kib_s, KIB_S_MIN) if settings.download_kib_s else 0,
        nice=max(0, min(settings.nice, NICE_MAX)),
        probes=_readable(settings.probes),
    )


def _readable(texts: tuple[str, ...]) -> tuple[str, ...]:
    """None where one makes no sense here: an agent does not guess what it is to try."""
    try:
        return probes.canonical(texts)
    except Invalid:
        return ()


def answer(state: State, candidate: Candidate) -> Planned | Refused:
    """Whether this endpoint could run by the settings of a candidate now."""
    assert candidate.settings is not None
    running = settings_digest(state.durable.settings)
    if settings_digest(candidate.settings) == running:
        return Refused("nothing_to_do", "this endpoint runs by these settings already")
    wanted = replace(candidate.settings, probes=())  # which root does not allow are not tried, and hold up nothing
    if beyond := wider(wanted, within(state.me.local)):
        names = ", ".join(NAMES[name] for name in beyond)
        return Refused("local_limits", f"limits that root has set on this endpoint allow less: {names}")
    if sessions.running(state):
        return Refused("busy", "a package transaction is going on here")
    actions = tuple(Action(ActionKind.UPGRADE, u.name, "all", running, u.version) for u in candidate.updates)
    return Planned(Transaction(actions, transaction_digest(actions)))


def take(state: State, session: Session, offer: Offer, at: Instant) -> Step:
    """Run by what is offered, or say why not."""
    assert offer.settings is not None
    known = state.durable.allowed
    if offer.issued_ms <= max(state.durable.trial_ms, known.serial if known else 0):
        text = "newer settings were offered or granted to this endpoint since"
        return sessions.end(state, session, Outcome.REFUSED, "older", text, at)
    wanted = replace(offer.settings, check_in_interval_s=state.durable.settings.check_in_interval_s)
    if bounded(wanted) != wanted:
        text = "the settings are outside of what this agent allows; it runs on by those that it had"
        return sessions.end(state, session, Outcome.FAILED, "cannot_apply", text, at)
    before = settings_digest(state.durable.settings)
    dropped = () if wanted.mode is not state.durable.settings.mode else state.preparations
    trial = Trial(offer.rollout_id, wanted, offer.issued_ms)
    durable = replace(state.durable, settings=wanted, trial=trial, trial_ms=offer.issued_ms)
    state = replace(state, durable=durable, preparations=dropped)
    return sessions.end(state, session, Outcome.INSTALLED, "ok", f"settings {before} -> {settings_digest(wanted)}", at)
