"""Which results are sent when, and what becomes of one that the cell does not take. Pure.

A result is sent until the cell acknowledges it. Two things must not happen: that one bad result blocks the others,
and that one which the cell will never take is sent for ever. So after a rejected batch they go one by one; one that
the cell calls malformed REJECTIONS_MAX times, over more than an hour (a faulty release of the cell is mended
meanwhile), is set aside: kept in the spool, counted, shown by `status`. Whatever may pass is tried again for ever.
"""

from __future__ import annotations

from dataclasses import replace

from brakeline.agent.commands import Command, ForgetResults, Report, SetAside
from brakeline.agent.events import Failure, ResultsAcknowledged
from brakeline.agent.model import Instant, Rejection, State

A_BATCH = 16  # 16 logs of 16 KiB stay far below AGENT_BODY_BYTES_MAX
REJECTIONS_MAX = 5
AGAIN_S_FIRST = 60.0  # then 4, 16, 64 minutes: set aside after 85 minutes at the earliest
Step = tuple[State, tuple[Command, ...]]


def batch(state: State, at: Instant) -> tuple[str, ...]:
    """The transaction ids of the results that are sent next."""
    resting = {r.transaction_id for r in state.rejections if at.monotonic_s < r.not_before_s}
    waiting = tuple(t for t in state.unsent if t not in resting)
    return waiting[: 1 if state.alone else A_BATCH]


def due_s(state: State) -> float:
    """Monotonic time from which `batch` is not empty."""
    rests = {r.transaction_id: r.not_before_s for r in state.rejections}
    return min((rests.get(t, -1.0) for t in state.unsent), default=1e18)


def acknowledged(state: State, event: ResultsAcknowledged) -> Step:
    """The cell has these. If it took none, the next one is tried, after a while."""
    kept = tuple(t for t in state.unsent if t not in event.accepted)
    if len(kept) == len(state.unsent):
        not_before = event.at.monotonic_s + state.durable.settings.check_in_interval_s
        state = replace(state, link=replace(state.link, not_before_s=not_before))
        kept = kept[1:] + kept[:1]
    rejections = tuple(r for r in state.rejections if r.transaction_id in kept)
    state = replace(state, unsent=kept, alone=state.alone and bool(kept), rejections=rejections, news=True)
    return state, (ForgetResults(event.accepted),)


def rejected(state: State, sent: tuple[str, ...], failure: Failure, at: Instant) -> Step:
    """The cell answered, and not with an acknowledgement."""
    state = replace(state, alone=True)
    if len(sent) != 1:  # which of them it was shows when they are sent one by one
        return state, ()
    (one,) = sent
    others = tuple(t for t in state.unsent if t != one)
    if not failure.permanent:
        return replace(state, unsent=(*others, one)), ()
    times = 1 + next((r.times for r in state.rejections if r.transaction_id == one), 0)
    rejections = tuple(r for r in state.rejections if r.transaction_id != one)
    if times >= REJECTIONS_MAX:
        said = f"{one}: the cell rejected this result {times} times ({failure.code}); it is kept in spool/refused"
        state = replace(state, unsent=others, rejections=rejections, set_aside=state.set_aside + 1, alone=bool(others))
        return state, (SetAside(one), Report(said))
    rest = Rejection(one, times, at.monotonic_s + AGAIN_S_FIRST * 4 ** (times - 1))
    return replace(state, unsent=(*others, one), rejections=(*rejections, rest)), ()
