"""What offers and releases share: the cell's time, the sessions in the state, and how one ends with a result. Pure.

Invariant: a result is made together with the end of its session; the spool has it first (see `loop`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.agent.commands import Command, Report, SpoolResult
from brakeline.agent.model import CellTime, Instant, Session, SessionPhase, State
from brakeline.protocol.messages import Outcome, TransactionResult

TIME_DRIFT_MS: Final = 60_000  # the cell takes signatures that are five minutes off
TIME_KEPT_MS: Final = 24 * 3600 * 1000
Step = tuple[State, tuple[Command, ...]]


def server_now_ms(state: State, at: Instant) -> int:
    """The cell's time as well as we know it; our own wall clock only until the cell has spoken."""
    if state.server_base_ms is None:
        return max(at.wall_ms, state.durable.time.seen_ms)
    return round(state.server_base_ms + at.monotonic_s * 1000)


def told_time(state: State, server_ms: int, at: Instant) -> State:
    """The cell has said its time (0 = it has not). Kept for the next process, but not written at every check-in."""
    if not server_ms:
        return state
    base_ms, known = server_ms - at.monotonic_s * 1000, state.durable.time
    state = replace(state, server_base_ms=base_ms)
    close = known.boot_id == state.me.boot_id and abs(known.base_ms - base_ms) < TIME_DRIFT_MS
    if close and 0 <= server_ms - known.seen_ms < TIME_KEPT_MS:
        return state
    told = CellTime(state.me.boot_id, round(base_ms), server_ms)
    return replace(state, durable=replace(state.durable, time=told))


def running(state: State) -> tuple[Session, ...]:
    """Sessions whose package transaction has begun, or may have."""
    return tuple(
        s for s in state.durable.sessions if not s.release and s.phase in (SessionPhase.ASKED, SessionPhase.RUNNING)
    )


def put(state: State, session: Session) -> State:
    """The state with this session in it, new or instead of the one with its offer's id."""
    others = tuple(s for s in state.durable.sessions if s.offer_id != session.offer_id)
    known = len(others) < len(state.durable.sessions)
    if known:
        sessions = tuple(session if s.offer_id == session.offer_id else s for s in state.durable.sessions)
    else:
        sessions = (*others, session)
    return replace(state, durable=replace(state.durable, sessions=sessions))


def end(
    state: State, session: Session, outcome: Outcome, code: str, detail: str, at: Instant, log_tail: str = ""
) -> Step:
    """End a session with a result that no helper has made."""
    now_ms = server_now_ms(state, at)
    result = TransactionResult(
        transaction_id=session.transaction_id,
        offer_id=session.offer_id,
        rollout_id=session.rollout_id,
        generation=session.generation,
        outcome=outcome,
        code=code,
        detail=detail,
        started_ms=now_ms,
        ended_ms=now_ms,
        log_tail=log_tail,
    )
    return end_with(state, session, result)


def end_with(state: State, session: Session, result: TransactionResult) -> Step:
    """The result goes to the spool first. The session counts as ended only on disk together with it: see `loop`."""
    state = put(state, replace(session, phase=SessionPhase.ENDED, order=None, transaction=None))
    if result.transaction_id not in state.unsent:
        state = replace(state, unsent=(*state.unsent, result.transaction_id))
    changed = result.outcome not in (Outcome.REFUSED, Outcome.EXPIRED)
    scan_due_s = -1.0 if changed else state.scan_due_s  # what is installed now is news
    line = Report(f"{result.transaction_id} {result.outcome}: {result.code}: {result.detail}")
    return replace(state, scan_due_s=scan_due_s), (SpoolResult(result), line)
