"""Which run log is sent when, and what becomes of one that the cell does not take. Pure.

Invariants: a log never goes before a check-in, a result or an inventory, and never makes one late; a cell that does
not take it (too busy, an older one) is left alone for a while, longer each time, and no check-in counts it as a
failure; where a log stands is known by the cell alone, so that a crash loses nothing that it has acknowledged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.agent.commands import Command, ForgetRun, SendRun
from brakeline.agent.events import RunRefused, RunTaken
from brakeline.agent.model import Instant, Run, State

PACE_S: Final = 2.0  # between two uploads of one transaction
AGAIN_S_FIRST: Final = 15.0
AGAIN_S_MAX: Final = 3600.0
BEFORE_CHECK_IN_S: Final = 4.0  # an upload is given up after 3 s: none begins so shortly before a check-in is due …
BEFORE_SHARE: Final = 0.25  # … or in the last quarter of a shorter interval
STARVED_S: Final = 15.0  # where check-ins follow each other at once, one goes between two of them this seldom
Step = tuple[State, tuple[Command, ...]]


def watched(state: State, transaction_id: str, offer_id: str) -> State:
    """A transaction runs here, or has run: there may be something to send."""
    if any(r.transaction_id == transaction_id for r in state.runs):
        return state
    return replace(state, runs=(*state.runs, Run(transaction_id, offer_id)))


def due_s(state: State) -> float:
    """Monotonic time of the next upload."""
    return min((r.not_before_s for r in state.runs), default=1e18)


def wake_s(state: State, at: Instant) -> float:
    """When the agent has to wake for an upload; for one that gives way to a check-in it wakes for the check-in."""
    if not state.runs or not state.link.ever or state.link.failures:
        return 1e18
    due = max(due_s(state), state.link.not_before_s)
    return due + STARVED_S if _gives_way(state, due, max(due, at.monotonic_s)) else due


def _gives_way(state: State, since_s: float, at_s: float) -> bool:
    """Whether an upload that has been due since then is not begun at this moment, because a check-in is near."""
    before_s = min(BEFORE_CHECK_IN_S, BEFORE_SHARE * state.durable.settings.check_in_interval_s)
    return state.link.next_check_in_s - at_s < before_s and at_s < since_s + STARVED_S


def send(state: State, at: Instant) -> Step:
    """The upload that is due, if nothing else is. The newest first: somebody may be looking at it."""
    if not state.link.ever or state.link.failures or _gives_way(state, due_s(state), at.monotonic_s):
        return state, ()
    run = next((r for r in reversed(state.runs) if r.not_before_s <= at.monotonic_s), None)
    if run is None:
        return state, ()
    state = _put(state, replace(run, not_before_s=at.monotonic_s + PACE_S))
    return state, (SendRun(run.transaction_id, run.offer_id, run.next),)


def taken(state: State, event: RunTaken) -> Step:
    """The cell has everything before `next`."""
    run = _of(state, event.transaction_id)
    if run is None:
        return state, ()
    if event.closed or event.whole:
        return _without(state, run), (ForgetRun(run.transaction_id),)
    goes_on = event.more and event.next > run.next  # a cell that takes nothing is not asked again at once
    again_s = event.at.monotonic_s + (0.0 if goes_on else PACE_S)
    return _put(state, replace(run, next=max(1, event.next), failures=0, not_before_s=again_s)), ()


def refused(state: State, event: RunRefused) -> Step:
    """Later again. What the cell calls malformed for good is not sent again."""
    run = _of(state, event.transaction_id)
    if run is None:
        return state, ()
    if event.failure.permanent:
        return _without(state, run), (ForgetRun(run.transaction_id),)
    wait_s = max(min(AGAIN_S_MAX, AGAIN_S_FIRST * 2.0**run.failures), min(AGAIN_S_MAX, event.failure.retry_after_s))
    later = replace(run, failures=min(run.failures + 1, 12), not_before_s=event.at.monotonic_s + wait_s)
    return _put(state, later), ()


def _of(state: State, transaction_id: str) -> Run | None:
    return next((r for r in state.runs if r.transaction_id == transaction_id), None)


def _put(state: State, run: Run) -> State:
    return replace(state, runs=tuple(run if r.transaction_id == run.transaction_id else r for r in state.runs))


def _without(state: State, run: Run) -> State:
    return replace(state, runs=tuple(r for r in state.runs if r.transaction_id != run.transaction_id))
