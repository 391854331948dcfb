"""The widest settings that this endpoint may run by, and what it runs by under them. Pure.

A reply's settings are not signed by the cell's order key: they may narrow what the endpoint does, at once, and never
widen it. The ceiling is raised by two signed documents alone: the offer of a rollout of settings (`taking`), until that
rollout is halted or a newer grant comes, and the *grant* in a reply, which names what the endpoint has by rollouts that
are completed. A grant is for one endpoint and has a serial: another's, a forged and an older one change nothing.
Below both stand root's own limits (`local_limits`), applied where something is done. Next: `decide` asks `heed`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.agent import orders
from brakeline.agent.commands import Command, Report
from brakeline.agent.model import Allowed, Durable, Instant, State
from brakeline.agent.taking import bounded
from brakeline.core import weekly
from brakeline.protocol.messages import CheckInReply, LocalLimits, Settings, SignedOrder
from brakeline.protocol.settings import NAMES, NONE, narrowest, wider, within

QUIET: Final = ("inventory_interval_s", "refresh_interval_s")  # a different pace of looking is no news for a log


def seeded(state: State) -> State:
    """After a start: what an older release ran by, which knew no grants, is what is allowed until the first one."""
    durable, mine = state.durable, state.me.endpoint_id
    if durable.allowed is None:
        return replace(state, durable=replace(durable, allowed=Allowed(mine, durable.settings, 0)))
    if durable.allowed.endpoint_id != mine:  # another endpoint's memory, or an identity of before
        fresh = replace(durable, allowed=Allowed(mine, NONE, 0), trial=None, settings=NONE)
        return replace(state, durable=fresh)
    return state


def ceiling(durable: Durable) -> Settings:
    """The widest settings that signed documents allow now."""
    if durable.trial is not None:
        return durable.trial.settings
    return durable.allowed.settings if durable.allowed is not None else NONE


def running(state: State) -> Settings:
    """What holds here: the cell's settings, within root's own limits."""
    return narrowest(within(state.me.local), state.durable.settings)


def heed(state: State, reply: CheckInReply) -> tuple[State, tuple[Command, ...]]:
    """Run by what the reply says, as far as signed documents allow. `durable.halted` is the reply's already."""
    state, said = _take_grant(state, reply.granted)
    durable = state.durable
    if durable.trial is not None and durable.trial.rollout_id in durable.halted:
        durable = replace(durable, trial=None)
    wished, bound = bounded(reply.settings), ceiling(durable)
    beyond = wider(wished, bound)
    told = replace(state, durable=replace(durable, settings=narrowest(bound, wished)), wider=beyond)
    return told, said + _words(state.wider, beyond)


def _words(before: tuple[str, ...], beyond: tuple[str, ...]) -> tuple[Command, ...]:
    news = [NAMES[name] for name in beyond if name not in before and name not in QUIET]
    if not news:
        return ()
    line = f"the cell wishes more than any signed order allows here ({', '.join(news)}); it is not followed in that"
    return (Report(line),)


def _take_grant(state: State, order: SignedOrder | None) -> tuple[State, tuple[Command, ...]]:
    if order is None or order == state.grant:
        return state, ()
    state = replace(state, grant=order)  # read once: it is part of each reply
    grant = orders.read_grant(order, state.me.cell_key, state.me.endpoint_id)
    if isinstance(grant, orders.Disbelieved):
        return state, (Report(f"a grant of settings is not believed: {grant.reason}"),)
    durable, known = state.durable, state.durable.allowed
    if known is not None and grant.serial <= known.serial:
        if grant.settings == known.settings and grant.serial == known.serial:
            return state, ()
        return state, (Report(f"a grant of settings is older than the one that holds ({known.serial}): not followed"),)
    trial = durable.trial if durable.trial is not None and durable.trial.issued_ms > grant.serial else None
    allowed = Allowed(grant.endpoint_id, bounded(grant.settings), grant.serial)
    return replace(state, durable=replace(durable, allowed=allowed, trial=trial)), ()


# --- what follows from settings that hold --------------------------------------------------------------------------


def minute(at: Instant, server_now_ms: int) -> int:
    """The minute of the week here: the cell's time, in this machine's local time."""
    return weekly.minute_of(server_now_ms + at.zone_s * 1000)


def shut(state: State, at: Instant, server_now_ms: int) -> str:
    """Why nothing may be changed here now, by maintenance windows; "" = one is open."""
    windows = running(state).windows
    now = minute(at, server_now_ms)
    if weekly.is_open(windows, now):
        return ""
    when = weekly.next_opening(windows, now)
    return f"outside of the maintenance windows of this endpoint ({', '.join(windows)}, its local time): {when}"


def told(state: State, at: Instant, server_now_ms: int) -> LocalLimits:
    """What a check-in says of root's own limits and of the window that is next."""
    now = minute(at, server_now_ms)
    sign, minutes = "-" if at.zone_s < 0 else "+", abs(at.zone_s) // 60
    zone = f"{sign}{minutes // 60:02}:{minutes % 60:02}"
    window = weekly.next_opening(running(state).windows, now) if running(state).windows else ""
    return replace(state.me.local, window=window, zone=zone, wider=state.wider)
