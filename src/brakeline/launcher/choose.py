"""Which release should run now, and with which content. Pure.

Order: the one on probation, the confirmed one, the last known good. Never one that is recalled, quarantined, damaged or
missing; not one that is suspected of the host's death or keeps crashing while another can run. Content likewise, and
there is always a way without: the agent has defaults of its own. Where something confirmed is doubted, nobody knows
whether it was the agent or its content: then both go back to what was known to be good.
"""

from __future__ import annotations

from brakeline.launcher.model import AGENT, CONTENT, State


def allowed(state: State, release_id: str) -> bool:
    """Whether it may run at all."""
    record = state.record
    forbidden = release_id in record.recalled or release_id in record.quarantined or release_id in state.damaged
    return bool(release_id) and release_id in state.installed and not forbidden


def choose(state: State, at: float) -> str:
    """The release to execute, "" = none now."""
    record = state.record
    trial = record.trial if record.trial_product == AGENT else ""
    order = [r for r in dict.fromkeys((trial, record.current, record.last_known_good)) if allowed(state, r)]
    calm = [r for r in order if r != record.suspect and not (r == state.resting_release and at < state.rest_until_s)]
    if calm:
        return calm[0]
    if record.suspect and state.guard:
        return ""  # the host guard lets it run again when its delay is over
    waiting = [r for r in order if r != record.suspect]
    return waiting[0] if waiting and at >= state.rest_until_s else ""


def pair(state: State, at: float) -> tuple[str, str]:
    """The release to execute and the content to give it; ("", "") = none now, (release, "") = without content."""
    release_id = choose(state, at)
    return release_id, _content(state, at, release_id) if release_id else ""


def _content(state: State, at: float, release_id: str) -> str:
    record = state.record
    if at < state.bare_until_s:
        return ""
    resting = state.resting_release if at < state.rest_until_s else ""
    # The host died with the confirmed release and its content, or that one keeps crashing: which of the two, who knows.
    if record.current in (record.suspect, resting):
        order: tuple[str, ...] = (record.content_last_known_good,)
    else:
        on_trial = record.trial_product == CONTENT and release_id == record.current
        order = (record.trial if on_trial else "", record.content, record.content_last_known_good)
    return next((c for c in order if allowed(state, c) and c not in (record.suspect, resting)), "")
