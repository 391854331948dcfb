"""The agent's part in a restart by order: believe it, ask the helper once it fits, tell why it did not. Pure.

The helper judges everything again by itself (`reboots`). While it says that the moment is wrong it is asked again
later; any other refusal is told to the cell and stands for this boot. Next: `agenda.next_commands` asks `begin`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.agent import orders, releases, sessions
from brakeline.agent.model import AskRestart, Command, Instant, Report, RestartAnswered, State
from brakeline.protocol.messages import RestartStanding, SignedOrder

PASSING: Final = frozenset({"busy", "settling", ""})  # "": the helper gave no answer
AGAIN_S: Final = 60.0
REASON_CHARS: Final = 200


def take(state: State, order: SignedOrder | None) -> State:
    """The order as the newest reply has it; the cell takes one back by leaving it out."""
    return state if order == state.restart else replace(state, restart=order)


def standing(state: State) -> RestartStanding:
    """What a check-in says of restarts."""
    return RestartStanding(state.me.restarts_a_day > 0 and state.me.can_patch, state.restart_refused)


def begin(state: State, at: Instant) -> tuple[State, tuple[Command, ...]]:
    """Ask the helper, if there is an order and nothing of ours is under way."""
    order = state.restart
    if order is None or state.restart_refused or not state.me.can_patch or at.monotonic_s < state.restart_not_before_s:
        return state, ()
    if sessions.running(state) or releases.under_way(state):
        return state, ()
    read = orders.read_restart(order, state.me.cell_key, state.me.endpoint_id)
    if isinstance(read, orders.Disbelieved):
        return replace(state, restart=None), (Report(f"an order to restart is not believed: {read.reason}"),)
    state = replace(state, restart_not_before_s=at.monotonic_s + AGAIN_S)
    return state, (AskRestart(order, sessions.server_now_ms(state, at)),)


def answered(state: State, event: RestartAnswered) -> tuple[State, tuple[Command, ...]]:
    """The machine goes down, or the helper has said why not."""
    if not event.code:
        return state, (Report("this machine restarts, as its cell has ordered for a rollout"),)
    if event.code in PASSING:
        return state, ()
    refused = f"{event.code}: {event.reason}"[:REASON_CHARS]
    return replace(state, restart=None, restart_refused=refused, news=True), (Report(f"no restart: {refused}"),)
