"""From offer to result: who may begin, once, and what is said when nothing was done. Pure.

A session goes QUEUED -> ASKED -> RUNNING -> ENDED, or straight to ENDED with a result that says why nothing was
changed. ASKED is durable before the helper is asked; after a crash the helper, who remembers every offer it began,
tells which of the two it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from brakeline.agent import orders
from brakeline.agent.model import (
    AskHelper,
    Barred,
    CellTime,
    Command,
    HelperBegan,
    HelperDeclined,
    HelperKnowsNothing,
    HelperSilent,
    Instant,
    Preparation,
    Report,
    Session,
    SessionPhase,
    SpoolResult,
    State,
    TransactionEnded,
    WatchTransaction,
)
from brakeline.agent.providers.model import Planned, Refused
from brakeline.protocol.messages import Candidate, Mode, Offer, Outcome, SignedOrder, TransactionResult

WATCH_S = 1.0  # how often the helper is asked about a running transaction
REMEMBER_MS = 24 * 3600 * 1000  # ended sessions are kept so long after their offer expired; the helper's ledger longer
TIME_DRIFT_MS = 60_000  # the cell takes signatures that are five minutes off
TIME_KEPT_MS = 24 * 3600 * 1000
HelperEvent = HelperBegan | HelperDeclined | HelperSilent | HelperKnowsNothing | TransactionEnded
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
    """Sessions whose transaction has begun, or may have."""
    return tuple(s for s in state.durable.sessions if s.phase in (SessionPhase.ASKED, SessionPhase.RUNNING))


def receive(state: State, signed: Iterable[SignedOrder], at: Instant) -> Step:
    """Take in the offers of a reply: each is believed, refused with a result, or known already."""
    commands: tuple[Command, ...] = ()
    for order in signed:
        state, more = _receive_one(state, order, at)
        commands += more
    return _prune(state, at), commands


def _receive_one(state: State, order: SignedOrder, at: Instant) -> Step:
    if any(s.order == order for s in state.durable.sessions):
        return state, ()
    offer = orders.read_order(order, state.me.cell_key, state.me.endpoint_id)
    if isinstance(offer, orders.Disbelieved):
        return state, (Report(f"an order was not believed: {offer.reason}"),)
    if any(s.offer_id == offer.offer_id for s in state.durable.sessions):
        return state, ()
    session = Session(
        offer_id=offer.offer_id,
        transaction_id=orders.transaction_id(offer.offer_id),
        rollout_id=offer.rollout_id,
        generation=offer.generation,
        phase=SessionPhase.QUEUED,
        expires_ms=offer.expires_ms,
        order=order,
    )
    return _judge(_put(state, session), session, offer, at)


def _judge(state: State, session: Session, offer: Offer, at: Instant) -> Step:
    """Believed to be the cell's: is it also to be done?"""
    if server_now_ms(state, at) >= offer.expires_ms:
        return _end_unchanged(state, session, Outcome.EXPIRED, "offer_expired", "the offer arrived too late", at)
    if state.durable.settings.mode is not Mode.PATCH or not state.me.can_patch:
        return _refuse(state, session, "assess_only", "this endpoint is only assessed", at)
    if offer.rollout_id in state.durable.halted:
        return _refuse(state, session, "halted", "the rollout was halted", at)
    prepared = next((p for p in state.preparations if p.candidate.rollout_id == offer.rollout_id), None)
    if prepared is None:  # planned by an earlier process of ours: plan again, then see whether it is still the same
        candidate = Candidate(offer.rollout_id, offer.generation, offer.updates, offer.conffile_policy)
        return replace(state, preparations=(*state.preparations, Preparation(candidate))), ()
    if prepared.answer is None:
        return state, ()
    return _fit(state, session, offer, prepared.answer, at)


def _fit(state: State, session: Session, offer: Offer, answer: Planned | Refused, at: Instant) -> Step:
    """Is it exactly what was planned here?"""
    if isinstance(answer, Refused):
        return _refuse(state, session, answer.code, answer.reason, at)
    unfit = orders.unfit(offer, answer.transaction)
    if unfit is not None:
        return _refuse(state, session, unfit.code, unfit.reason, at)
    return _put(state, replace(session, transaction=answer.transaction)), ()


def awaiting_plan(state: State) -> frozenset[str]:
    """Rollouts with an offer that waits for a plan."""
    waiting = (s for s in state.durable.sessions if s.phase is SessionPhase.QUEUED and s.transaction is None)
    return frozenset(s.rollout_id for s in waiting)


def plan_known(state: State, candidate: Candidate, answer: Planned | Refused, at: Instant) -> Step:
    """A plan was made: offers that waited for it are judged now."""
    commands: tuple[Command, ...] = ()
    for session in state.durable.sessions:
        waits = session.phase is SessionPhase.QUEUED and session.transaction is None
        if waits and session.rollout_id == candidate.rollout_id and session.order is not None:
            offer = orders.read_order(session.order, state.me.cell_key, state.me.endpoint_id)
            assert isinstance(offer, Offer), "it was believed when it came"
            state, more = _fit(state, session, offer, answer, at)
            commands += more
    return state, commands


def recover(state: State) -> State:
    """After a start: a session whose result is spooled has ended; one that waited for its plan waits again."""
    for session in state.durable.sessions:
        if session.transaction_id in state.unsent and session.phase is not SessionPhase.ENDED:
            state = _put(state, replace(session, phase=SessionPhase.ENDED, order=None, transaction=None))
    return state


def drop_halted(state: State, at: Instant) -> Step:
    """End what waits and belongs to a halted rollout. What the helper was asked for goes on to its end."""
    commands: tuple[Command, ...] = ()
    for session in state.durable.sessions:
        if session.phase is SessionPhase.QUEUED and session.rollout_id in state.durable.halted:
            state, more = _refuse(state, session, "halted", "the rollout was halted before the start", at)
            commands += more
    return state, commands


def bar(state: State, standing: Barred, at: Instant) -> Step:
    """The cell refuses this identity: nothing that waits may start any more."""
    state = replace(state, standing=standing, preparations=())
    commands: tuple[Command, ...] = (Report(f"{standing.detail or standing.code}; enrol this machine again"),)
    for session in state.durable.sessions:
        if session.phase is SessionPhase.QUEUED:
            state, more = _refuse(state, session, "barred", "the identity is not accepted any more", at)
            commands += more
    return state, commands


def begin(state: State, at: Instant, *, reachable: bool) -> Step:
    """Ask the helper about what runs, when due; begin the next session if nothing runs and the cell is there."""
    active = running(state)
    if active:
        return _watch(state, active[0], at)
    for session in state.durable.sessions:
        if session.phase is not SessionPhase.QUEUED:
            continue
        if server_now_ms(state, at) >= session.expires_ms:
            return _end_unchanged(state, session, Outcome.EXPIRED, "offer_expired", "its time ran out in the queue", at)
        if reachable and session.order is not None and session.transaction is not None:
            return _ask(state, session, at)
    return state, ()


def _ask(state: State, session: Session, at: Instant) -> Step:
    assert session.order is not None
    assert session.transaction is not None
    state = replace(_put(state, replace(session, phase=SessionPhase.ASKED)), watch_due_s=at.monotonic_s + WATCH_S)
    return state, (AskHelper(session.offer_id, session.order, session.transaction, server_now_ms(state, at)),)


def _watch(state: State, session: Session, at: Instant) -> Step:
    if at.monotonic_s < state.watch_due_s:
        return state, ()
    state = replace(state, watch_due_s=at.monotonic_s + WATCH_S)
    return state, (WatchTransaction(session.offer_id, session.transaction_id),)


def take(state: State, event: HelperEvent) -> Step:
    """What the helper says about a session. Said twice or late, it changes nothing."""
    offer_id = event.result.offer_id if isinstance(event, TransactionEnded) else event.offer_id
    session = next((s for s in running(state) if s.offer_id == offer_id), None)
    if session is None:
        return state, ()
    match event:
        case HelperBegan():
            said = (Report(f"{session.transaction_id} began"),) if session.phase is SessionPhase.ASKED else ()
            return _put(state, replace(session, phase=SessionPhase.RUNNING)), said
        case HelperDeclined(code=code, reason=reason):
            return _refuse(state, session, code, reason, event.at)
        case HelperSilent():
            return state, ()  # asked again at the next watch; ASKED stays ASKED
        case HelperKnowsNothing():
            return _never_began(state, session, event.at)
        case TransactionEnded(result=result):
            return _end(state, session, result)
        case _:
            assert_never(event)


def _never_began(state: State, session: Session, at: Instant) -> Step:
    """The helper has no such transaction. Queue it again while its time lasts; halts and bars then apply to it."""
    if session.phase is SessionPhase.RUNNING:
        detail = "the helper has lost its record of this transaction; look at the package manager's log"
        return _end_unchanged(state, session, Outcome.INTERRUPTED, "record_lost", detail, at)
    state = _put(state, replace(session, phase=SessionPhase.QUEUED))
    return drop_halted(state, at)


def _refuse(state: State, session: Session, code: str, reason: str, at: Instant) -> Step:
    return _end_unchanged(state, session, Outcome.REFUSED, code, reason, at)


def _end_unchanged(state: State, session: Session, outcome: Outcome, code: str, detail: str, at: Instant) -> Step:
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
    )
    return _end(state, session, result)


def _end(state: State, session: Session, result: TransactionResult) -> Step:
    """The result goes to the spool first. The session counts as ended only on disk together with it: see `loop`."""
    state = _put(state, replace(session, phase=SessionPhase.ENDED, order=None, transaction=None))
    if result.transaction_id not in state.unsent:
        state = replace(state, unsent=(*state.unsent, result.transaction_id))
    changed = result.outcome not in (Outcome.REFUSED, Outcome.EXPIRED)
    scan_due_s = -1.0 if changed else state.scan_due_s  # what is installed now is news
    line = Report(f"{result.transaction_id} {result.outcome}: {result.code}: {result.detail}")
    return replace(state, scan_due_s=scan_due_s), (SpoolResult(result), line)


def _put(state: State, session: Session) -> State:
    others = tuple(s for s in state.durable.sessions if s.offer_id != session.offer_id)
    known = len(others) < len(state.durable.sessions)
    if known:
        sessions = tuple(session if s.offer_id == session.offer_id else s for s in state.durable.sessions)
    else:
        sessions = (*others, session)
    return replace(state, durable=replace(state.durable, sessions=sessions))


def _prune(state: State, at: Instant) -> State:
    """Forget ended sessions long after their offer expired: the cell would have to sign it anew, with a new id."""
    horizon = server_now_ms(state, at) - REMEMBER_MS
    kept = tuple(s for s in state.durable.sessions if s.phase is not SessionPhase.ENDED or s.expires_ms > horizon)
    if len(kept) == len(state.durable.sessions):
        return state
    return replace(state, durable=replace(state.durable, sessions=kept))
