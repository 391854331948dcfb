"""The agent's part in a restart by order: believe it, ask the helper once it fits, tell why it did not. Pure.

The helper judges everything again by itself (`reboots`). While it says that the moment is wrong it is asked again
later; for whom it waits (people at the machine) is told to the cell, and people are told when an order ends without a
restart. Any other refusal is told to the cell and stands for this boot. What settings say of restarts comes first:
never, only when due, only in a maintenance window. An order that waits for a window waits here, until the cell takes it
back. Next: `agenda.next_commands` asks `begin`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.agent import ceiling, orders, releases, sessions
from brakeline.agent.commands import AskRestart, Command, Report, StandDown
from brakeline.agent.events import RestartAnswered
from brakeline.agent.model import Instant, State
from brakeline.protocol.messages import PeopleWait, RestartConsent, RestartStanding, SignedOrder

# "": the helper gave no answer. One that has run out is about to be left out of the reply, and is no refusal of a boot.
PASSING: Final = frozenset({"busy", "settling", "boot_loop", "window", "people", "expired", ""})
DRIFT_MS: Final = 90_000  # between two answers about the same moment
AGAIN_S: Final = 60.0
REASON_CHARS: Final = 200


def take(state: State, order: SignedOrder | None) -> State:
    """The order as the newest reply has it; the cell takes one back by leaving it out."""
    return state if order == state.restart else replace(state, restart=order)


def standing(state: State) -> RestartStanding:
    """What a check-in says of restarts."""
    allowed = state.me.restarts_a_day > 0 and state.me.can_patch and not forbidden(state)
    return RestartStanding(allowed, state.restart_refused, state.people if state.restart is not None else None)


def forbidden(state: State) -> str:
    """Why settings let this endpoint follow no order to restart at all, now; "" = some."""
    runs = ceiling.running(state)
    if runs.restart is RestartConsent.NEVER or not runs.restarts_a_day:
        return "the settings of this endpoint allow no restart by order"
    if runs.restart is RestartConsent.REQUIRED and not state.restart_required:
        return "the settings of this endpoint allow a restart only when one is due, and none is"
    return ""


def _shut(state: State, at: Instant) -> bool:
    if ceiling.running(state).restart is RestartConsent.ANY:
        return False
    return bool(ceiling.shut(state, at, sessions.server_now_ms(state, at)))


def begin(state: State, at: Instant) -> tuple[State, tuple[Command, ...]]:
    """Ask the helper, if there is an order and nothing of ours is under way."""
    order = state.restart
    if order is None and state.warned:  # taken back, lapsed, or refused meanwhile
        return replace(state, warned=False, people=None, news=state.people is not None), (StandDown(),)
    if order is None or state.restart_refused or not state.me.can_patch or at.monotonic_s < state.restart_not_before_s:
        return state, ()
    if sessions.running(state) or releases.under_way(state):
        return state, ()
    read = orders.read_restart(order, state.me.cell_key, state.me.endpoint_id)
    if isinstance(read, orders.Disbelieved):
        return replace(state, restart=None), (Report(f"an order to restart is not believed: {read.reason}"),)
    if why := forbidden(state):
        return answered(state, RestartAnswered(at, "not_allowed", why))
    state = replace(state, restart_not_before_s=at.monotonic_s + AGAIN_S)
    if _shut(state, at):  # people are asked anew when the window opens
        return (replace(state, people=None, news=True) if state.people is not None else state), ()
    return state, (AskRestart(order, sessions.server_now_ms(state, at), ceiling.running(state).restarts_a_day),)


def answered(state: State, event: RestartAnswered) -> tuple[State, tuple[Command, ...]]:
    """The machine goes down, or the helper has said why not, or for whom it waits."""
    if not event.code:
        return state, (Report("this machine restarts, as its cell has ordered for a rollout"),)
    if event.code in PASSING:
        return _waiting(state, event), ()
    refused = f"{event.code}: {event.reason}"[:REASON_CHARS]
    return replace(state, restart=None, restart_refused=refused, news=True), (Report(f"no restart: {refused}"),)


def _waiting(state: State, event: RestartAnswered) -> State:
    """Whom it waits for, as news if that has changed; an answer that fails changes nothing of it."""
    if not event.code:
        return state
    found = _steady(state.people, event.people)
    warned = state.warned or found is not None
    return state if found == state.people else replace(state, people=found, warned=warned, news=True)


def _steady(known: PeopleWait | None, found: PeopleWait | None) -> PeopleWait | None:
    """The same moments stay the same words, however the clocks drift."""
    if known is None or found is None:
        return found
    same = {
        name: getattr(known, name)
        for name in ("until_ms", "latest_ms")
        if getattr(known, name) and getattr(found, name) and abs(getattr(known, name) - getattr(found, name)) < DRIFT_MS
    }
    return replace(found, **same)
