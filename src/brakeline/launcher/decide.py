"""The launcher's mind: `decide(state, event) -> (state, commands)`. Pure; time arrives in events.

What always holds (tests/sim/test_launcher_sim.py, `./dev crash-test`): nothing is executed before one bounded look for
recalls and newer releases; a release on probation is executed only after that execution was counted on disk; what was
never confirmed is never `current`; no state waits for a person. The rules are numbered in docs/explanation/launcher.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, assert_never

from brakeline.launcher import guard, trial
from brakeline.launcher.choose import allowed, pair
from brakeline.launcher.model import (
    AGENT,
    CONTENT,
    Alone,
    Check,
    CheckEnded,
    CollectGarbage,
    Command,
    Commit,
    CommitFailed,
    Ended,
    Event,
    Execute,
    Exit,
    Exited,
    Found,
    Guarding,
    Kill,
    Log,
    OverBudget,
    Record,
    Refused,
    Resting,
    Run,
    Running,
    Said,
    Staged,
    Started,
    Starting,
    State,
    StopAsked,
    Tick,
)

LOOK: Final = 75  # exit code of a release that asks for a look
NOT_ENROLLED: Final = (2, 5)  # it has nothing to do before somebody enrols this endpoint
HEARD_S: Final = 3600.0
RETRY_S: Final = 60.0  # between looks while the guard waits, or while a download goes on from look to look

Step = tuple[State, tuple[Command, ...]]


def decide(state: State, event: Event) -> Step:
    """The next state, and what to do, in this order; a failed commit cuts the rest off and comes back as an event."""
    match event:
        case Started():
            return _started(state, event)
        case CheckEnded():
            return _check_ended(state, event)
        case Exited():
            return _exited(state, event)
        case Refused():
            return _refused(state, event)
        case Said():
            return _said(state, event)
        case OverBudget():
            return _end_run(state, f"over_budget: {event.what}")
        case Tick():
            return _tick(state, event.at)
        case CommitFailed():
            return _commit_failed(state, event)
        case StopAsked():
            return _stop_asked(state)
        case _:
            assert_never(event)


def _started(state: State, event: Started) -> Step:
    state = replace(state, boot_id=event.boot_id, installed=event.installed, phase=Starting(event.at))
    state = replace(state, served_at_s=event.at)
    if event.problem:
        state = replace(state, problems=(event.problem,))
    state, said = guard.after_restart(state, event.at)
    state, look = _look(state, event.at)
    return state, (*said, *look)


def _look(state: State, at: float) -> Step:
    if state.looking:
        return state, ()
    missing = frozenset(state.record.kept) - state.installed
    state = replace(state, looking=True, check_due_s=at + state.knobs.check_every_s)
    return state, (Check(tuple(sorted(state.damaged | missing))),)


# --- a look has ended ----------------------------------------------------------------------------------------------


def _check_ended(state: State, event: CheckEnded) -> Step:
    state = replace(state, looking=False, installed=event.installed)
    mended = frozenset(event.found.mended) if event.found is not None else frozenset()
    state = replace(state, damaged=state.damaged - mended)
    commands: tuple[Command, ...] = ()
    if event.found is not None:
        state, commands = _believe(state, event.found, event.at)
        if event.found.unfinished:
            state = replace(state, check_due_s=min(state.check_due_s, event.at + RETRY_S))
    if event.found is None or event.problem:
        state = replace(state, problems=_with(state.problems, f"check: {event.problem}"))
        soon_s = event.at + min(state.knobs.lonely_check_s, state.knobs.check_every_s)
        state = replace(state, check_due_s=min(state.check_due_s, soon_s))
    state = _unheard(state, event)
    match state.phase:
        case Running():
            state, more = _compare(state, event.at)
            if mended and _replaced(state, event.at):
                state, more = _end_run(state, "switch back: its files are whole again")
        case Guarding():
            state, more = _after_guard(state, event.at)
        case Resting(until_s=until_s) if event.at < until_s and not commands:
            more = ()
        case Starting() | Resting() | Alone():
            state, more = _run(state, event.at)
        case Ended():
            more = ()
        case _:
            assert_never(state.phase)
    return state, commands + more


def _unheard(state: State, event: CheckEnded) -> State:
    """The cell was not heard: twice it is looked again soon, because many a machine starts before its network does."""
    if event.found is not None and event.found.fresh:
        return replace(state, unheard=0)
    soon_s = {0: state.knobs.lonely_check_s / 5, 1: state.knobs.lonely_check_s}.get(state.unheard)
    if soon_s is not None:
        state = replace(state, check_due_s=min(state.check_due_s, event.at + soon_s))
    return replace(state, unheard=state.unheard + 1)


def _with(problems: tuple[str, ...], problem: str) -> tuple[str, ...]:
    kind = problem.partition(":")[0]
    return (*(p for p in problems if p.partition(":")[0] != kind), problem)


def _believe(state: State, found: Found, at: float) -> Step:
    """Take over what was verified; recalls stay until the offline keys take them back."""
    record = state.record
    recalled = tuple(r for r in dict.fromkeys((*record.recalled, *found.recalled)) if r not in found.pardoned)
    # A release may have been confirmed since this look began: what it has seen of our own floor may be old.
    own = record.floors
    floors = replace(
        found.floors, sequence=max(found.floors.sequence, own.sequence),
        content_sequence=max(found.floors.content_sequence, own.content_sequence),
        launcher_sequence=max(found.floors.launcher_sequence, own.launcher_sequence),
    )  # fmt: skip
    record = trial.forbid(replace(record, recalled=recalled, floors=floors))
    if state.record.trial and not record.trial and not isinstance(state.phase, Running):
        state = replace(state, crashes=0)  # they were the trial's, not of what runs from here on
    kept = tuple(p for p in state.problems if p.startswith("state_lost") and not found.fresh)
    state = replace(
        state, problems=(*kept, *found.problems), fresh_s=at if found.fresh else state.fresh_s, way=found.way
    )
    others = [other for other in found.others if other.product == CONTENT]
    for staged in (Staged(AGENT, found.staged, found.sequence), *others):  # the agent first
        record, refusal = trial.begin(record, staged)
        if refusal:
            state = replace(state, problems=_with(state.problems, refusal))
    if record == state.record:
        return state, ()
    return replace(state, record=record), (Commit(record, must=False),)


def _replaced(state: State, at: float) -> bool:
    """Whether something confirmed runs that is not what should run."""
    phase = state.phase
    confirmed = isinstance(phase, Running) and not (phase.trial or phase.killed)
    return confirmed and isinstance(phase, Running) and pair(state, at) != (phase.release_id, phase.content)


def _compare(state: State, at: float) -> Step:
    """Something runs: is it still what should run?"""
    assert isinstance(state.phase, Running)
    running = (state.phase.release_id, state.phase.content)
    if not all(allowed(state, r) for r in running if r):
        return _end_run(state, "recalled")
    wanted = state.record.trial
    durable = state.committed.trial == wanted  # else the last good one would be ended for a trial that cannot begin
    if wanted and durable and wanted not in running and wanted in pair(state, at):
        state, commands = _end_run(state, f"switch to {wanted}")
        # What runs is ended only after the disk has shown that it takes a record: the trial needs one to begin.
        return state, (Commit(state.record), *commands) if commands else ()
    return state, ()


def _end_run(state: State, why: str) -> Step:
    if not isinstance(state.phase, Running) or state.phase.killed:
        return state, ()
    return replace(state, phase=replace(state.phase, killed=why)), (
        Log(f"ending {state.phase.release_id}: {why}"),
        Kill(why),
    )


def _after_guard(state: State, at: float) -> Step:
    """A verified answer, or the end of the wait for one, ends the first part of the host guard."""
    assert isinstance(state.phase, Guarding)
    if state.fresh_s is None and at < state.phase.until_s:
        return replace(state, check_due_s=min(state.check_due_s, at + RETRY_S)), ()
    return _run(guard.impose(state, at), at)


# --- running -------------------------------------------------------------------------------------------------------


def _run(state: State, at: float) -> Step:
    """Execute what should run now; count it first if it is on probation."""
    if state.stopping:
        return replace(state, phase=Ended()), (Exit(),)
    chosen, content = pair(state, at)
    if not chosen:
        return _alone(state, at)
    record = state.record
    is_trial = bool(record.trial) and record.trial in (chosen, content)
    record = trial.count(record, record.trial) if is_trial else record
    record = replace(record, run=Run(chosen, state.boot_id, content=content))
    state = replace(state, record=record, phase=Running(chosen, is_trial, at, content=content))
    return state, (Commit(record, must=is_trial), Execute(chosen, content))


def _alone(state: State, at: float) -> Step:
    """Nothing may run, or only later."""
    if state.rest_until_s > at and state.resting_release:
        wait = Resting(state.rest_until_s)
        return replace(state, phase=wait, check_due_s=min(state.check_due_s, at + state.knobs.lonely_check_s)), ()
    why = "no release that is installed may run: recalled, quarantined or damaged"
    if not state.installed:
        why = "no release is installed"
    due_s = min(state.check_due_s, at + state.knobs.lonely_check_s)
    return replace(state, phase=Alone(why), check_due_s=due_s), (Log(why),)


def _said(state: State, event: Said) -> Step:
    phase = state.phase
    if not isinstance(phase, Running):
        return state, ()
    if event.word == "READY" and not phase.ready:
        record = replace(state.record, run=Run(phase.release_id, state.boot_id, ready=True, content=phase.content))
        return replace(state, record=record, phase=replace(phase, ready=True)), (Commit(record, must=False),)
    if event.word == "HEALTHY" and phase.ready:
        if phase.trial and not phase.healthy:  # the way to the next release has to be open while this one runs
            state = replace(state, check_due_s=min(state.check_due_s, phase.since_s + state.knobs.probation_s / 2))
        return _judge(replace(state, phase=replace(phase, healthy=True)), event.at)
    return state, ()


def _judge(state: State, at: float) -> Step:
    """Time has passed for what runs: has it survived, is it late, may it be confirmed?"""
    phase = state.phase
    if not isinstance(phase, Running) or phase.killed:
        return state, ()
    knobs, uptime_s = state.knobs, at - phase.since_s
    if not phase.ready and uptime_s >= knobs.ready_s:
        return _end_run(state, "not_ready: it did not say READY in time")
    commands: tuple[Command, ...] = ()
    if uptime_s >= knobs.survive_s and state.record.run is not None and not state.record.run.survived:
        state = guard.survived(state)
        commands = (Commit(state.record, must=False),)
    if not phase.trial:
        return state, commands
    looked = state.fresh_s is not None and state.fresh_s > phase.since_s  # and the cell was heard
    if phase.healthy and looked and uptime_s >= knobs.probation_s and phase.tries(state.record):  # not yet superseded
        passed, record = state.record.trial, trial.confirm(state.record)
        state = replace(state, record=record, phase=replace(phase, trial=False), crashes=0)
        state = replace(state, check_due_s=min(state.check_due_s, at))  # another product may have waited
        return state, (Commit(record), Log(f"{passed} confirmed"), CollectGarbage(frozenset(record.kept)))
    # The cell was heard in the trial, or shortly before it: then it is the release that does not reach it.
    reachable = state.fresh_s is not None and state.fresh_s >= phase.since_s - HEARD_S
    patience_s = knobs.healthy_s if reachable and not phase.healthy else knobs.healthy_unreachable_s
    if uptime_s >= patience_s and phase.healthy:
        return _end_run(state, "unreachable: no look reached the cell while it ran")
    if uptime_s >= patience_s:
        return _end_run(state, "not_healthy: it did not become healthy in time")
    return state, commands


# --- ends ----------------------------------------------------------------------------------------------------------


def _exited(state: State, event: Exited) -> Step:
    phase = state.phase
    if not isinstance(phase, Running):
        return state, ()
    if state.record.run is not None:
        state = replace(state, record=replace(state.record, run=replace(state.record.run, clean=True)))
    code, detail = _cause(phase, event)
    said = Log(f"{phase.release_id} has ended: {code}: {detail}")
    if phase.tries(state.record):
        state = replace(state, record=_tried(state, phase, code, f"{detail} {event.tail}".strip()))
    state, wait_s = _rest(state, phase, event, code)
    state = replace(state, phase=Resting(event.at + wait_s))
    commands: tuple[Command, ...] = (said, Commit(state.record, must=False))
    if phase.trial and not state.record.trial:
        state = replace(state, crashes=0)  # they were the trial's, not of what runs from here on
        commands += (CollectGarbage(frozenset(state.record.kept)),)
    if state.stopping:
        return replace(state, phase=Ended()), (*commands, Exit())
    if wait_s > 0:
        return replace(state, check_due_s=min(state.check_due_s, event.at + wait_s)), commands
    state, look = _look(state, event.at)
    return state, commands + look


def _tried(state: State, phase: Running, code: str, detail: str) -> Record:
    """The record after an execution on probation that has come to nothing."""
    record = state.record
    if state.stopping and record.run is not None:  # we were told to stop: as little its fault as a power cut
        return guard.given_back(record, record.run)
    return record if phase.killed == "recalled" else trial.failed(record, code, detail)


def _cause(phase: Running, event: Exited) -> tuple[str, str]:
    """Stable code and words for the end of an execution."""
    if phase.killed:
        code, _, detail = phase.killed.partition(":")
        return code.split()[0], detail.strip() or phase.killed
    if event.status < 0:
        return "killed", f"ended by signal {-event.status}."
    return "exited", f"ended with code {event.status}."


def _rest(state: State, phase: Running, event: Exited, code: str) -> tuple[State, float]:
    """How long until the next start; a release that keeps crashing gives way to the last known good for a while."""
    knobs, uptime_s = state.knobs, event.at - phase.since_s
    asked = event.status == LOOK and not phase.killed
    if (phase.killed and code in ("switch", "recalled")) or (asked and uptime_s >= knobs.restart_s[-1]):
        return replace(state, crashes=0), 0.0
    if event.status in NOT_ENROLLED and not phase.killed and not phase.trial:
        return state, knobs.restart_s[min(3, len(knobs.restart_s) - 1)]
    crashes = 1 if uptime_s >= knobs.survive_s else state.crashes + 1
    if asked:
        return replace(state, crashes=crashes), 0.0 if crashes <= 2 else knobs.restart_s[-1]
    before = state.record.last_known_good
    instead = before not in (phase.release_id, state.record.suspect) and allowed(state, before)
    if crashes >= 3 and not phase.trial and phase.release_id == state.record.current and instead:
        state = replace(state, resting_release=phase.release_id, rest_until_s=event.at + knobs.again_s)
    elif crashes >= 3 and not phase.trial and phase.content:  # maybe it can do without
        state = replace(state, bare_until_s=event.at + knobs.again_s)
    return replace(state, crashes=crashes), knobs.restart_s[min(crashes - 1, len(knobs.restart_s) - 1)]


def _refused(state: State, event: Refused) -> Step:
    """It could not be executed. Nothing of it has run."""
    state = replace(state, damaged=state.damaged | {event.release_id}, hash_again_s=event.at + state.knobs.again_s)
    state = replace(state, problems=_with(state.problems, f"{event.code}: {event.release_id}: {event.why}"))
    record = replace(state.record, run=None)
    if event.release_id == record.trial:  # of either product
        record = trial.failed(record, event.code, event.why)
    said = (Log(f"{event.release_id} cannot be executed: {event.why}"), Commit(record, must=False))
    waits_s = state.knobs.restart_s
    wait_s = waits_s[min(state.crashes - 1, len(waits_s) - 1)] if state.crashes else 0.0
    state = replace(state, record=record, phase=Resting(event.at + wait_s), crashes=state.crashes + 1)
    if wait_s:
        return replace(state, check_due_s=min(state.check_due_s, event.at + wait_s)), said
    state, look = _look(state, event.at)
    return state, (*said, *look)


def _commit_failed(state: State, event: CommitFailed) -> Step:
    """The disk refuses. A trial that could not be counted does not run; what is confirmed runs all the same."""
    state = replace(
        state, problems=_with(state.problems, f"disk: the launcher's record cannot be written: {event.why}")
    )
    phase = state.phase
    if not isinstance(phase, Running):
        return state, ()
    # Who is confirmed or tried is as on the disk; what is forbidden, and what runs, is as known here.
    was, record = state.committed, trial.over(replace(state.record, attempts=state.committed.attempts))
    if phase.killed:  # a switch that was not begun
        return replace(state, record=record, phase=replace(phase, killed="")), ()
    if replace(phase, trial=True).tries(was) and not phase.trial:  # a confirmation that is not durable: not yet
        record = replace(
            record, current=was.current, last_known_good=was.last_known_good, content=was.content,
            content_last_known_good=was.content_last_known_good, trial=was.trial, trial_product=was.trial_product,
            trial_sequence=was.trial_sequence, last_trial=was.last_trial,
            floors=replace(
                record.floors, sequence=was.floors.sequence, content_sequence=was.floors.content_sequence
            ),
        )  # fmt: skip
        return replace(state, record=record, phase=replace(phase, trial=True, healthy=True)), ()
    state = replace(state, record=replace(record, run=None), phase=Starting(event.at))
    instead, content = pair(state, event.at)
    if not instead:
        return _alone(state, event.at)
    record = replace(state.record, run=Run(instead, state.boot_id, content=content))
    running = Running(instead, trial=False, since_s=event.at, content=content)
    return replace(state, record=record, phase=running), (Execute(instead, content),)


def _tick(state: State, at: float) -> Step:
    state, commands = _judge(state, at)
    if isinstance(state.phase, Running) and not state.phase.killed:
        state, more = _compare(state, at)
        commands += more
    state, more = guard.serve(state, at)
    commands += more
    if (
        state.damaged and at >= state.hash_again_s
    ):  # the system may have refused for a while only, and no look came through
        state = replace(state, damaged=frozenset())
    back = ""
    if guard.over(state, at):
        state, back = guard.lift(state, at), "switch back: the delay after the host's death is over"
    elif state.resting_release and not state.record.suspect and at >= state.rest_until_s:
        state, back = _rested(state), "switch back: the confirmed release is tried again"
    elif 0 < state.bare_until_s <= at:
        state, back = replace(state, bare_until_s=0.0, crashes=0), "switch back: its content is tried again"
    phase = state.phase
    if back and _replaced(state, at):
        state, more = _end_run(state, back)
        return state, commands + more
    if isinstance(phase, Guarding) and at >= phase.until_s and not state.looking:
        state, more = _after_guard(state, at)
        return state, commands + more
    rested = isinstance(phase, Resting) and at >= phase.until_s
    must = any(isinstance(c, Commit) and c.must for c in commands)  # if it fails, a look behind it would never begin
    if (at >= state.check_due_s or rested) and not must and not isinstance(phase, Ended):
        state, more = _look(state, at)
        commands += more
    return state, commands


def _rested(state: State) -> State:
    return replace(state, resting_release="", rest_until_s=0.0, crashes=0)


def _stop_asked(state: State) -> Step:
    state = replace(state, stopping=True)
    if isinstance(state.phase, Running):
        return _end_run(state, "stopping")
    return replace(state, phase=Ended()), (Commit(_clean(state.record), must=False), Exit())


def _clean(record: Record) -> Record:
    return record if record.run is None else replace(record, run=replace(record.run, clean=True))
