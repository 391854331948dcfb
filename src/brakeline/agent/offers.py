"""From offer to result: who may begin, once, and what is said when nothing was done. Pure.

A session goes QUEUED -> ASKED -> RUNNING -> ENDED, or straight to ENDED with a result that says why nothing was
changed. ASKED is durable before the helper is asked; after a crash the helper, who remembers every offer it began,
tells which of the two it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from brakeline.agent import ceiling, drilling, orders, releases, runs, taking
from brakeline.agent.commands import AskHelper, Command, Report, WatchTransaction
from brakeline.agent.events import HelperBegan, HelperDeclined, HelperKnowsNothing, HelperSilent, TransactionEnded
from brakeline.agent.model import Barred, Instant, Preparation, Session, SessionPhase, State
from brakeline.agent.providers.model import Planned, Refused
from brakeline.agent.sessions import Step, end, end_with, put, running, server_now_ms
from brakeline.protocol.messages import Candidate, Mode, Offer, Outcome, SignedOrder

WATCH_S = 1.0  # how often the helper is asked about a running transaction
REMEMBER_MS = 24 * 3600 * 1000  # ended sessions are kept so long after their offer expired; the helper's ledger longer
HelperEvent = HelperBegan | HelperDeclined | HelperSilent | HelperKnowsNothing | TransactionEnded


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
        release=offer.release.release_id if offer.release else "",
        undoes=offer.undoes,
    )
    return _judge(put(state, session), session, offer, at)


def _judge(state: State, session: Session, offer: Offer, at: Instant) -> Step:
    """Believed to be the cell's: is it also to be done?"""
    if server_now_ms(state, at) >= offer.expires_ms:
        return end(state, session, Outcome.EXPIRED, "offer_expired", "the offer arrived too late", at)
    if offer.rollout_id in state.durable.halted:
        return _refuse(state, session, "halted", "the rollout was halted", at)
    if offer.drill is not None:  # changes nothing, so the mode of this endpoint does not matter
        return _drill(state, session, offer, at)
    if offer.release is not None:  # ours, not the vendor's: also where policy lets the endpoint only be assessed
        candidate = Candidate(offer.rollout_id, offer.generation, offer.updates, release=offer.release)
        return _fit(state, session, offer, releases.answer(state, candidate), at)
    if offer.settings is not None:  # the agent's own, also where it only assesses
        return _settings(state, session, offer, at)
    if ceiling.running(state).mode is not Mode.PATCH or not state.me.can_patch:
        return _refuse(state, session, "assess_only", "this endpoint is only assessed", at)
    prepared = next((p for p in state.preparations if p.candidate.rollout_id == offer.rollout_id), None)
    if prepared is None:  # planned by an earlier process of ours: plan again, then see whether it is still the same
        candidate = Candidate(
            offer.rollout_id, offer.generation, offer.updates, offer.conffile_policy, undoes=offer.undoes
        )  # fmt: skip
        return replace(state, preparations=(*state.preparations, Preparation(candidate))), ()
    if prepared.answer is None:
        return state, ()
    return _fit(state, session, offer, prepared.answer, at)


def _drill(state: State, session: Session, offer: Offer, at: Instant) -> Step:
    candidate = Candidate(offer.rollout_id, offer.generation, offer.updates, release=offer.release,
                          undoes=offer.undoes, settings=offer.settings, drill=offer.drill)  # fmt: skip
    answer = drilling.answer(candidate)
    if isinstance(answer, Planned) and orders.unfit(offer, answer.transaction) is None:
        return drilling.take(state, session, offer, at)
    return _fit(state, session, offer, answer, at)


def _settings(state: State, session: Session, offer: Offer, at: Instant) -> Step:
    candidate = Candidate(offer.rollout_id, offer.generation, offer.updates, settings=offer.settings)
    answer = taking.answer(state, candidate)
    if isinstance(answer, Planned) and orders.unfit(offer, answer.transaction) is None:
        return taking.take(state, session, offer, at)
    return _fit(state, session, offer, answer, at)


def _fit(state: State, session: Session, offer: Offer, answer: Planned | Refused, at: Instant) -> Step:
    """Is it exactly what was planned here?"""
    if isinstance(answer, Refused):
        return _refuse(state, session, answer.code, answer.reason, at)
    unfit = orders.unfit(offer, answer.transaction)
    if unfit is not None:
        return _refuse(state, session, unfit.code, unfit.reason, at)
    return put(state, replace(session, transaction=answer.transaction)), ()


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
            state = put(state, replace(session, phase=SessionPhase.ENDED, order=None, transaction=None))
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
    if releases.under_way(state):
        return releases.judge(state, at)
    for session in state.durable.sessions:
        if session.phase is not SessionPhase.QUEUED:
            continue
        if server_now_ms(state, at) >= session.expires_ms:
            return end(state, session, Outcome.EXPIRED, "offer_expired", "its time ran out in the queue", at)
        if reachable and session.order is not None and session.transaction is not None:
            if session.release:
                return releases.ask(state, session)
            shut = ceiling.shut(state, at, server_now_ms(state, at))  # it closed while the order was in the queue
            return _refuse(state, session, "window", shut, at) if shut else _ask(state, session, at)
    return state, ()


def _ask(state: State, session: Session, at: Instant) -> Step:
    assert session.order is not None
    assert session.transaction is not None
    state = replace(put(state, replace(session, phase=SessionPhase.ASKED)), watch_due_s=at.monotonic_s + WATCH_S)
    now_ms = server_now_ms(state, at)
    bounds = ceiling.running(state)
    return state, (AskHelper(session.offer_id, session.order, session.transaction, now_ms, session.undoes, bounds),)


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
            state = runs.watched(state, session.transaction_id, offer_id)
            return put(state, replace(session, phase=SessionPhase.RUNNING)), said
        case HelperDeclined(code=code, reason=reason):
            return _refuse(state, session, code, reason, event.at)
        case HelperSilent():
            return state, ()  # asked again at the next watch; ASKED stays ASKED
        case HelperKnowsNothing():
            return _never_began(state, session, event.at)
        case TransactionEnded(result=result):
            return end_with(runs.watched(state, session.transaction_id, offer_id), session, result)
        case _:
            assert_never(event)


def _never_began(state: State, session: Session, at: Instant) -> Step:
    """The helper has no such transaction. Queue it again while its time lasts; halts and bars then apply to it."""
    if session.phase is SessionPhase.RUNNING:
        detail = "the helper has lost its record of this transaction; look at the package manager's log"
        return end(state, session, Outcome.INTERRUPTED, "record_lost", detail, at)
    state = put(state, replace(session, phase=SessionPhase.QUEUED))
    return drop_halted(state, at)


def _refuse(state: State, session: Session, code: str, reason: str, at: Instant) -> Step:
    return end(state, session, Outcome.REFUSED, code, reason, at)


def _prune(state: State, at: Instant) -> State:
    """Forget ended sessions long after their offer expired: the cell would have to sign it anew, with a new id."""
    horizon = server_now_ms(state, at) - REMEMBER_MS
    kept = tuple(s for s in state.durable.sessions if s.phase is not SessionPhase.ENDED or s.expires_ms > horizon)
    if len(kept) == len(state.durable.sessions):
        return state
    return replace(state, durable=replace(state.durable, sessions=kept))
