"""The agent's mind: `decide(state, event) -> (state, commands)`. Pure; time arrives in events.

Two steps: the event is *taken in* (`_take`, one function an event), then `agenda.next_commands` looks at the whole
state and says what is due. So nothing depends on the order in which children, helper and cell answer.

What always holds (tests/sim/test_agent_sim.py): an offer is applied at most once; a result is in the spool before
anything else is done about it and stays there until it is acknowledged; after `halted` nothing of that rollout
starts; without a cell nothing new starts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from brakeline.agent import agenda, ceiling, offers, releases, restart, results, runs, sessions
from brakeline.agent.commands import AdoptInventory, Command, Exit, Report, SayGoodbye, SkipCounter
from brakeline.agent.events import (
    CheckedIn,
    ErrandFailed,
    Event,
    Exchange,
    ExchangeFailed,
    FailureKind,
    HelperBegan,
    HelperDeclined,
    HelperKnowsNothing,
    HelperSilent,
    InventoryAcknowledged,
    LauncherSaid,
    NotAssessed,
    PlanMade,
    RefreshEnded,
    RestartAnswered,
    ResultsAcknowledged,
    RunRefused,
    RunTaken,
    Scanned,
    SecretGiven,
    Started,
    StopAsked,
    Tick,
    TransactionEnded,
    Unchanged,
)
from brakeline.agent.model import Active, Barred, Errand, Instant, Preparation, State
from brakeline.agent.providers.model import Refused
from brakeline.core.errors import Bug
from brakeline.protocol.messages import Candidate, CheckInReply

RESCAN_AFTER_FAILURE_S = 300.0  # a scan that crashes or overruns is not tried again at once
REFRESH_AGAIN_S = 900.0  # mirrors are not asked more often, whatever happens

Step = tuple[State, tuple[Command, ...]]


class IllegalTransition(Bug):
    """The agent was told something that cannot happen in its state."""

    code = "illegal-transition"


def decide(state: State, event: Event) -> Step:
    """The next state, and what to do, in this order, once the durable part of the state is on disk."""
    state, taken = _take(state, event)
    if state.stopping:
        return state, taken
    state, due = agenda.next_commands(state, event.at)
    return state, taken + due


def _take(state: State, event: Event) -> Step:  # noqa: C901 - a table: one line an event
    match event:
        case Started():
            return _started(state, event)
        case Tick():
            return _tick(state, event)
        case SecretGiven():
            return _secret_given(state, event)
        case CheckedIn():
            return _checked_in(state, event)
        case ExchangeFailed():
            return _exchange_failed(state, event)
        case Scanned():
            return _scanned(state, event)
        case Unchanged():
            return _unchanged(state, event)
        case NotAssessed():
            return _not_assessed(state, event)
        case ErrandFailed():
            return _errand_failed(state, event)
        case InventoryAcknowledged():
            return _inventory_acknowledged(state, event)
        case PlanMade():
            return _plan_made(state, event)
        case RefreshEnded():
            return _refresh_ended(state, event)
        case HelperBegan() | HelperDeclined() | HelperSilent() | HelperKnowsNothing() | TransactionEnded():
            return offers.take(state, event)
        case ResultsAcknowledged():
            _expect(state.link.busy, event)
            return results.acknowledged(_answered(state, event.at, 0), event)
        case RunTaken():
            return runs.taken(state, event)
        case RunRefused():
            return runs.refused(state, event)
        case LauncherSaid():
            return releases.heard(state, event), ()
        case RestartAnswered():
            return restart.answered(state, event)
        case StopAsked():
            return _stop_asked(state, event)
        case _:
            assert_never(event)


def _started(state: State, event: Started) -> Step:
    """A result in the spool ends its session, even if the process died before it could write that down."""
    state = replace(state, unsent=event.spooled, set_aside=event.set_aside, began_s=event.at.monotonic_s)
    if event.health is not None:
        state = replace(state, health=event.health, looked_s=event.at.monotonic_s)
    for transaction_id, offer_id in event.runs:
        state = runs.watched(state, transaction_id, offer_id)
    known = state.durable.time
    if known.boot_id == state.me.boot_id:  # whatever the wall clock says, the cell's time has gone on evenly
        state = replace(state, server_base_ms=known.base_ms)
    return offers.recover(ceiling.seeded(state)), ()


def _tick(state: State, event: Tick) -> Step:
    if event.health is not None:
        state = replace(state, health=event.health, looked_s=event.at.monotonic_s, harms=event.harms)
    if event.packages_changed:
        state = replace(state, scan_due_s=min(state.scan_due_s, event.at.monotonic_s))
    return state, ()


# --- the cell ------------------------------------------------------------------------------------------------------


def _answered(state: State, at: Instant, server_ms: int) -> State:
    """An exchange went well: back-off ends, and we know the cell's time."""
    link = replace(state.link, busy=False, failures=0, not_before_s=0.0)
    return sessions.told_time(replace(state, link=link), server_ms, at)


def _secret_given(state: State, event: SecretGiven) -> Step:
    _expect(state.link.busy, event)
    state = _answered(state, event.at, event.secret.server_ms)
    standing: tuple[Command, ...] = ()
    if isinstance(state.standing, Barred):
        standing = (Report("the cell accepts this identity again"),)
    return replace(
        state, standing=Active(), link=replace(state.link, secret_until_ms=event.secret.expires_ms)
    ), standing


def _checked_in(state: State, event: CheckedIn) -> Step:
    _expect(state.link.busy, event)
    first = not state.link.ever
    state = _answered(state, event.at, event.reply.server_ms if event.reply else 0)
    link = replace(state.link, etag=event.etag, last_check_in_s=event.started_s, ever=True)
    state = replace(state, link=agenda.after_check_in(link, state, event), standing=Active())
    said: tuple[Command, ...] = (Report("checked in"),) if first else ()
    if event.reply is None:
        return state, said
    state, commands = _obey(state, event, event.reply)
    return state, said + commands


def _obey(state: State, event: CheckedIn, reply: CheckInReply) -> Step:
    """Take over what the cell says. Halts first, so that nothing of a halted rollout can start from this reply."""
    mode = state.durable.settings.mode
    state, heeded = ceiling.heed(replace(state, durable=replace(state.durable, halted=reply.halted)), reply)
    durable = state.durable
    if reply.scan > durable.scan_asked:
        durable = replace(durable, scan_asked=reply.scan, scan_owed=True)
        state = replace(state, scan_due_s=event.at.monotonic_s, refresh_due_s=event.at.monotonic_s)
    if reply.resync:
        state = replace(state, resync=True, to_send=None, scan_due_s=event.at.monotonic_s)
    if durable.settings.mode is not mode:
        state = replace(state, preparations=())
    wanted = _preparations(state, reply)
    known = tuple(p for p in state.preparations if p not in wanted and p.candidate.rollout_id not in reply.halted)
    ours = tuple(c for c in reply.candidates if _our_own(c) and c.rollout_id not in reply.halted)
    news = state.news or bool(set(ours) - set(state.releases))  # what can be said of these is known at once
    state = replace(state, durable=durable, preparations=wanted + known, releases=ours, news=news)
    state = restart.take(state, reply.restart)
    state, halted = offers.drop_halted(state, event.at)
    state, offered = offers.receive(state, reply.offers, event.at)
    awaited = offers.awaiting_plan(state)  # an offer whose candidate the cell does not name any more
    kept = tuple(p for p in state.preparations if p in wanted or p.candidate.rollout_id in awaited)
    state, asked = releases.obey(replace(state, preparations=kept), reply.recalled, reply.follow, event.at)
    return state, heeded + halted + offered + asked


def _preparations(state: State, reply: CheckInReply) -> tuple[Preparation, ...]:
    """One for each candidate; what is known about one that was there before is kept."""
    known = {p.candidate: p for p in state.preparations}
    wanted = (c for c in reply.candidates if not _our_own(c) and c.rollout_id not in reply.halted)
    return tuple(known.get(c) or Preparation(c) for c in wanted)


def _our_own(candidate: Candidate) -> bool:
    """A release or settings of ours, or a drill: what can be said of these needs no plan."""
    return candidate.release is not None or candidate.settings is not None or candidate.drill is not None


def _exchange_failed(state: State, event: ExchangeFailed) -> Step:
    _expect(state.link.busy, event)
    failure = event.failure
    link = replace(state.link, busy=False, trouble=failure.detail or failure.code)
    state = sessions.told_time(state, failure.server_ms, event.at)
    commands: tuple[Command, ...] = (Report(f"{event.exchange} failed: {link.trouble}"),)
    if failure.kind is FailureKind.SECRET:
        link = replace(link, secret_until_ms=0)
    if failure.kind is FailureKind.REPLAYED and link.failures:  # the first is mostly a repeat after a lost answer
        commands = (*commands, SkipCounter())
    if failure.kind is FailureKind.BARRED:
        state, dropped = offers.bar(state, Barred(failure.code, failure.detail), event.at)
        commands = (*commands, *dropped)
    if failure.kind is FailureKind.REJECTED and event.exchange is Exchange.INVENTORY:
        state = replace(state, to_send=None, resync=True, scan_due_s=event.at.monotonic_s + RESCAN_AFTER_FAILURE_S)
    if failure.kind is FailureKind.REJECTED and event.exchange is Exchange.RESULTS:
        state, given_up = results.rejected(state, state.sending, failure, event.at)
        commands = (*commands, *given_up)
    return replace(state, link=agenda.after_failure(link, state, event)), commands


def _inventory_acknowledged(state: State, event: InventoryAcknowledged) -> Step:
    _expect(state.link.busy, event)
    state = _answered(state, event.at, 0)
    if event.ack.resync:  # go on from the cell's number, or a full inventory would be taken for an old one
        durable = replace(state.durable, inventory_sequence=max(event.ack.sequence, state.durable.inventory_sequence))
        return replace(state, durable=durable, to_send=None, resync=True, scan_due_s=event.at.monotonic_s), ()
    removed = state.durable.packages_removed + (state.to_send.removed if state.to_send is not None else 0)
    durable = replace(state.durable, inventory_sequence=event.ack.sequence, inventory_digest=event.ack.digest,
                      packages_removed=removed)  # fmt: skip
    return replace(state, durable=durable, to_send=None, resync=False, news=True), (AdoptInventory(event.ack.keeps),)


def _stop_asked(state: State, event: StopAsked) -> Step:
    goodbye: tuple[Command, ...] = ()
    if isinstance(state.standing, Active) and state.link.ever and state.link.failures == 0:
        goodbye = (SayGoodbye(event.reason, agenda.server_now_ms(state, event.at)),)
    return replace(state, stopping=True), (*goodbye, Exit())


# --- local errands -------------------------------------------------------------------------------------------------


def _scanned(state: State, event: Scanned) -> Step:
    _expect(state.errand is Errand.SCAN, event)
    settings, summary, now_s = state.durable.settings, event.summary, event.at.monotonic_s
    owed = state.durable.scan_owed and not summary.full  # asked for while a quick look was under way
    stale_in_s = settings.refresh_interval_s - max(0.0, (event.at.wall_ms - summary.lists_refreshed_ms) / 1000)
    state = replace(
        state,
        errand=Errand.NONE,
        scan_due_s=now_s if owed else now_s + settings.inventory_interval_s,
        refresh_due_s=state.refresh_due_s if owed else max(state.refresh_not_before_s, now_s + stale_in_s),
        look=summary.look,
        scanned=True,
        restart_required=summary.restart_required,
        durable=replace(state.durable, scan_owed=owed),
    )
    if summary.sequence == 0:
        return state, ()
    # The machine is not what the plans were made for any more: ask again.
    fresh = tuple(Preparation(p.candidate) for p in state.preparations)
    return replace(state, to_send=summary, preparations=fresh), ()


def _unchanged(state: State, event: Unchanged) -> Step:
    _expect(state.errand is Errand.SCAN, event)
    again_s = event.at.monotonic_s + state.durable.settings.inventory_interval_s
    return replace(state, errand=Errand.NONE, scan_due_s=again_s, scanned=True), ()


def _not_assessed(state: State, event: NotAssessed) -> Step:
    """As good as a scan for the launcher: no other release could look at this system either."""
    _expect(state.errand is Errand.SCAN, event)
    again_s = event.at.monotonic_s + state.durable.settings.inventory_interval_s
    said = () if state.not_assessed == event.reason else (Report(event.reason),)
    durable = replace(state.durable, scan_owed=False)
    state = replace(state, errand=Errand.NONE, scan_due_s=again_s, scanned=True, not_assessed=event.reason)
    return replace(state, durable=durable, resync=False), said


def _errand_failed(state: State, event: ErrandFailed) -> Step:
    _expect(state.errand is event.errand, event)
    state = replace(state, errand=Errand.NONE)
    if event.errand is Errand.SCAN:
        state = replace(state, scan_due_s=event.at.monotonic_s + RESCAN_AFTER_FAILURE_S)
    if event.errand is Errand.REFRESH:
        again_s = event.at.monotonic_s + REFRESH_AGAIN_S
        state = replace(state, refresh_due_s=again_s, refresh_not_before_s=again_s)
    if event.errand is Errand.PLAN:
        state = _plan_failed(state, event)
    return state, (Report(f"{event.errand} failed: {event.reason}"),)


def _plan_failed(state: State, event: ErrandFailed) -> State:
    """A plan that cannot be made is a refusal for now: the first candidate without an answer was the one."""
    refused = Refused("refused", f"planning failed: {event.reason}")
    failed = next((p for p in state.preparations if p.answer is None), None)
    answered = tuple(
        replace(p, answer=refused, answered_s=event.at.monotonic_s) if p is failed else p for p in state.preparations
    )
    return replace(state, preparations=answered, news=True)


def _plan_made(state: State, event: PlanMade) -> Step:
    _expect(state.errand is Errand.PLAN, event)
    answered = Preparation(event.candidate, event.answer, event.at.monotonic_s)
    preparations = tuple(answered if p.candidate == event.candidate else p for p in state.preparations)
    state = replace(state, errand=Errand.NONE, preparations=preparations, news=answered in preparations)
    return offers.plan_known(state, event.candidate, event.answer, event.at)


def _refresh_ended(state: State, event: RefreshEnded) -> Step:
    _expect(state.errand is Errand.REFRESH, event)
    now_s = event.at.monotonic_s
    wait_s = state.durable.settings.refresh_interval_s if not event.problem else REFRESH_AGAIN_S
    fresh = tuple(Preparation(p.candidate) for p in state.preparations)
    state = replace(
        state,
        errand=Errand.NONE,
        refresh_due_s=now_s + wait_s,
        refresh_not_before_s=now_s + REFRESH_AGAIN_S,
        scan_due_s=now_s,
        preparations=fresh,
    )
    return state, (Report("package lists: " + (event.problem or "refreshed")),)


def _expect(possible: bool, event: Event) -> None:
    if not possible:
        raise IllegalTransition(type(event).__name__)
