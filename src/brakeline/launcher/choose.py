"""Which release should run now. Pure.

Order: the one on probation, the confirmed one, the last known good. Never one that is recalled, quarantined, damaged or
missing; not one that is suspected of the host's death or keeps crashing while another can run.
"""

from __future__ import annotations

from brakeline.launcher.model import State


def allowed(state: State, release_id: str) -> bool:
    """Whether it may run at all."""
    record = state.record
    forbidden = release_id in record.recalled or release_id in record.quarantined or release_id in state.damaged
    return bool(release_id) and release_id in state.installed and not forbidden


def choose(state: State, at: float) -> str:
    """The release to execute, "" = none now."""
    record = state.record
    order = [r for r in dict.fromkeys((record.trial, record.current, record.last_known_good)) if allowed(state, r)]
    calm = [r for r in order if r != record.suspect and not (r == state.resting_release and at < state.rest_until_s)]
    if calm:
        return calm[0]
    if record.suspect and state.guard:
        return ""  # the host guard lets it run again when its delay is over
    waiting = [r for r in order if r != record.suspect]
    return waiting[0] if waiting and at >= state.rest_until_s else ""
