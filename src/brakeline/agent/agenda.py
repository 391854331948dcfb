"""What is due: the level-triggered half of `decide`. Pure.

At most one exchange with the cell, one local errand (scan, plan, refresh) and one package transaction at a time.
The long-poll is only held while nothing local is going on, so there is never a reason to break it off.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from brakeline.agent import ceiling, drilling, offers, releases, restart, results, runs, sessions, taking
from brakeline.agent.commands import (
    Command,
    DoCheckIn,
    RenewSecret,
    SendInventory,
    SendResults,
    StartPlan,
    StartRefresh,
    StartScan,
)
from brakeline.agent.events import CheckedIn, ExchangeFailed, FailureKind
from brakeline.agent.model import Barred, Errand, Instant, Link, Preparation, State
from brakeline.agent.providers.model import Planned, Refused
from brakeline.core.limits import LONG_POLL_S_MAX, SECRET_LIFETIME_S
from brakeline.protocol.digests import settings_digest
from brakeline.protocol.messages import Candidate, CheckIn, Mode, NotReady, Ready

RENEW_BEFORE_MS = SECRET_LIFETIME_S * 1000 // 7  # a good two minutes: a poll begun with the secret ends before it does
LOOK_S = 0.05  # from the end of a poll to the next check-in, at least
HEALTH_S_MAX = 2.0  # a check-in tells no older look at health: what is due sooner waits for the next tick, which looks
GAP_S_MIN = 1.0  # between two check-ins, whatever the cell answers: a confused cell must not make us spin
BACK_OFF_S_FIRST = 1.0
RETRY_AFTER_S_MAX = 3600.0  # a cell may ask for rest, not for retirement
BARRED_RETRY_S = 900.0  # people may lift it; it costs the cell one signature check
REPLAN_S = 60.0  # a refusal for a passing reason (lock, space, stale lists) is looked at again after this
RELEASE_LOOK_S = 2.0  # while a release is under way, the launcher's report is looked at so often
FINAL = {"nothing_to_do", "assess_only"}  # answers that only a change of the machine or of the candidate can change


def next_commands(state: State, at: Instant) -> tuple[State, tuple[Command, ...]]:
    """Everything that is due now."""
    state, words = releases.words(state)
    state, begun = offers.begin(state, at, reachable=_reachable(state))
    if state.stopping:  # the launcher was asked for a look: nothing new begins
        return state, words + begun
    state, restarted = restart.begin(state, at) if _reachable(state) else (state, ())
    state, errand = _next_errand(state, at)
    state, exchange = _next_exchange(state, at)
    return state, words + begun + restarted + errand + exchange


def server_now_ms(state: State, at: Instant) -> int:
    """The cell's time as well as we know it; our own wall clock only until the cell has spoken."""
    return sessions.server_now_ms(state, at)


def next_wake_s(state: State, at: Instant) -> float:
    """Monotonic time at which something becomes due with no event from outside."""
    times = [max(state.link.not_before_s, _exchange_due_s(state, at))]
    if releases.under_way(state):
        times.append(at.monotonic_s + RELEASE_LOOK_S)
    times.append(runs.wake_s(state, at))
    if sessions.running(state):
        times.append(state.watch_due_s)
    elif state.errand is Errand.NONE and state.link.ever:
        times += [] if state.to_send else [state.scan_due_s]
        times += [state.refresh_due_s] if state.me.can_patch else []
        times += [p.answered_s + REPLAN_S for p in _replanned(state)]
    return max(min(times), at.monotonic_s)


def _exchange_due_s(state: State, at: Instant) -> float:
    link = state.link
    if link.ever and (state.to_send or results.due_s(state) <= at.monotonic_s):
        return at.monotonic_s
    renew_in_s = (link.secret_until_ms - RENEW_BEFORE_MS - server_now_ms(state, at)) / 1000
    news_s = link.last_check_in_s + GAP_S_MIN if state.news else link.next_check_in_s
    results_s = results.due_s(state) if link.ever else link.next_check_in_s
    return min(link.next_check_in_s, news_s, results_s, at.monotonic_s + max(0.0, renew_in_s))


# --- after an exchange ---------------------------------------------------------------------------------------------


def after_check_in(link: Link, state: State, event: CheckedIn) -> Link:
    """When to check in next: at the interval after silence, soon after news (the poll should stand open).

    Never within this very event, however long the poll stood open: a tick comes first, and with it a new look at the
    endpoint's health. Else intervals as short as the poll would tell the same old health for ever.
    """
    interval = state.durable.settings.check_in_interval_s
    after = GAP_S_MIN if event.reply is not None else float(interval)
    return replace(link, next_check_in_s=max(event.started_s + after, event.at.monotonic_s + LOOK_S))


def after_failure(link: Link, state: State, event: ExchangeFailed) -> Link:
    """Back-off: exponential, jittered, never slower than the check-in interval unless the cell asks for rest.

    Capped at the interval because at that pace a whole fleet loads a returning cell no more than on any other day,
    while a longer pause would make healthy endpoints look silent to the brake.
    """
    failures = link.failures + 1
    now_s, kind = event.at.monotonic_s, event.failure.kind
    if kind in (FailureKind.SECRET, FailureKind.SKEW, FailureKind.REPLAYED) and failures == 1:
        return replace(link, failures=failures, not_before_s=now_s)  # curable at once
    if kind is FailureKind.BARRED:
        return replace(link, failures=failures, secret_until_ms=0, not_before_s=now_s + BARRED_RETRY_S)
    cap = float(state.durable.settings.check_in_interval_s)
    delay = min(cap, BACK_OFF_S_FIRST * 2 ** min(failures - 1, 12))
    delay *= 0.5 + 0.5 * jitter(state, failures)
    retry = min(event.failure.retry_after_s, RETRY_AFTER_S_MAX)
    if retry:
        delay = retry * (1 + 0.5 * jitter(state, failures))  # never before, and not all at the same moment
    return replace(link, failures=failures, not_before_s=now_s + delay)


def jitter(state: State, salt: int) -> float:
    """A number in [0, 1) that differs between endpoints and from time to time, without a random source."""
    seed = f"{state.me.endpoint_id} {state.me.boot_id} {salt}".encode()
    return int.from_bytes(hashlib.sha256(seed).digest()[:6], "big") / 2**48


# --- what is due ---------------------------------------------------------------------------------------------------


def _reachable(state: State) -> bool:
    return not isinstance(state.standing, Barred) and state.link.ever and state.link.failures == 0


def _next_exchange(state: State, at: Instant) -> tuple[State, tuple[Command, ...]]:
    link = state.link
    if link.busy or at.monotonic_s < link.not_before_s:
        return state, ()
    now_ms = server_now_ms(state, at)
    busy = replace(state, link=replace(link, busy=True))
    if now_ms >= link.secret_until_ms - RENEW_BEFORE_MS:
        return busy, (RenewSecret(now_ms),)
    if link.ever and (sending := results.batch(state, at)):
        return replace(busy, sending=sending), (SendResults(sending, now_ms),)
    if state.to_send is not None and link.ever:
        return busy, (SendInventory(state.to_send, now_ms),)
    if at.monotonic_s >= link.next_check_in_s or (state.news and at.monotonic_s >= link.last_check_in_s + GAP_S_MIN):
        fresh = at.monotonic_s <= state.looked_s + HEALTH_S_MAX
        return (replace(busy, news=False), (_check_in(state, at),)) if fresh else (state, ())
    return runs.send(state, at)


def _check_in(state: State, at: Instant) -> DoCheckIn:
    ready, not_ready = _answers(state, at)
    body = CheckIn(
        agent_version=state.me.agent_version,
        inventory_sequence=state.durable.inventory_sequence,
        inventory_digest=state.durable.inventory_digest,
        health=replace(state.health, packages_removed=state.durable.packages_removed),
        ready=ready,
        not_ready=not_ready,
        in_progress=tuple(s.offer_id for s in (*sessions.running(state), *releases.under_way(state))),
        launcher=state.launcher,
        content=state.me.content,
        content_problems=state.me.content_problems,
        restart=restart.standing(state),
        settings=settings_digest(state.durable.settings),
        harms=state.harms,
        local=ceiling.told(state, at, server_now_ms(state, at)),
        drills=True,
    )
    idle = state.errand is Errand.NONE and not sessions.running(state) and not releases.under_way(state)
    quiet = idle and state.link.ever and not _wanted(state, at)
    until_due_s = (
        min(state.scan_due_s, state.refresh_due_s if state.me.can_patch else state.scan_due_s) - at.monotonic_s
    )
    until_due_s = min(until_due_s, runs.due_s(state) - at.monotonic_s)
    wait_s = min(LONG_POLL_S_MAX, state.durable.settings.check_in_interval_s, max(0, int(until_due_s)))
    return DoCheckIn(body, wait_s if quiet else 0, state.link.etag)


def _answers(state: State, at: Instant) -> tuple[tuple[Ready, ...], tuple[NotReady, ...]]:
    ready, not_ready = [], []
    for p in state.preparations:
        rollout, generation = p.candidate.rollout_id, p.candidate.generation
        match _standing_answer(state, p, at):
            case Planned(transaction=transaction):
                ready.append(Ready(rollout, generation, transaction))
            case Refused(code=code, reason=reason):
                not_ready.append(NotReady(rollout, generation, code, reason))
            case None:
                pass
    for c in state.releases:
        match _own_answer(state, c):
            case Planned(transaction=transaction):
                ready.append(Ready(c.rollout_id, c.generation, transaction))
            case Refused(code=code, reason=reason):
                not_ready.append(NotReady(c.rollout_id, c.generation, code, reason))
    return tuple(ready), tuple(not_ready)


def _own_answer(state: State, c: Candidate) -> Planned | Refused:
    """To a candidate that needs no plan. A drill comes first: one that names anything else is refused."""
    if c.drill is not None:
        return drilling.answer(c)
    return taking.answer(state, c) if c.settings is not None else releases.answer(state, c)


def _standing_answer(state: State, p: Preparation, at: Instant) -> Planned | Refused | None:
    if state.durable.settings.mode is not Mode.PATCH:
        return Refused("assess_only", "policy lets this endpoint be assessed, not patched")
    if ceiling.running(state).mode is not Mode.PATCH:
        return Refused("local_limits", state.me.local.problem or "root has limited this endpoint to being assessed")
    if not state.me.can_patch:
        return Refused("assess_only", "this endpoint has no root helper, so that it can only be assessed")
    if isinstance(p.answer, Planned) and sessions.running(state):
        return Refused("busy", "another package transaction is going on here")
    if isinstance(p.answer, Planned) and _probes_untried(state):
        return Refused("busy", "the probes of this endpoint have not been tried since it started; a check-in or two")
    shut = ceiling.shut(state, at, server_now_ms(state, at))
    return Refused("window", shut) if shut and isinstance(p.answer, Planned) else p.answer


def _probes_untried(state: State) -> bool:
    """What fails after a change is compared with what passed at ready: without that a probe would stop nothing."""
    return state.harms is not None and state.harms.probes is None and bool(ceiling.running(state).probes)


def _next_errand(state: State, at: Instant) -> tuple[State, tuple[Command, ...]]:
    """One local errand. Nothing before the first check-in: being heard comes first."""
    if state.errand is not Errand.NONE or not state.link.ever or sessions.running(state):
        return state, ()
    wanted = _wanted(state, at)
    if at.monotonic_s >= state.refresh_due_s and state.me.can_patch:
        return replace(state, errand=Errand.REFRESH), (StartRefresh(),)
    if at.monotonic_s >= state.scan_due_s and state.to_send is None:
        base = 0 if state.resync else state.durable.inventory_sequence
        asked = state.durable.scan_owed or state.resync
        scan = StartScan(base, state.durable.inventory_sequence + 1, asked, state.look)
        return replace(state, errand=Errand.SCAN), (scan,)
    if wanted:
        return replace(state, errand=Errand.PLAN), (StartPlan(wanted[0].candidate),)
    return state, ()


def _wanted(state: State, at: Instant) -> tuple[Preparation, ...]:
    """Candidates that need a plan, oldest first."""
    if ceiling.running(state).mode is not Mode.PATCH or not state.me.can_patch or isinstance(state.standing, Barred):
        return ()
    again = tuple(p for p in _replanned(state) if at.monotonic_s >= p.answered_s + REPLAN_S)
    return tuple(p for p in state.preparations if p.answer is None) + again


def _replanned(state: State) -> tuple[Preparation, ...]:
    """Refused for a reason that may pass: looked at again after REPLAN_S."""
    return tuple(p for p in state.preparations if isinstance(p.answer, Refused) and p.answer.code not in FINAL)
