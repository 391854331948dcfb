"""The host guard: what happens after the host has died soon after a release was started. Pure.

This is the case that needed hands on 8.5 million machines in July 2024. First a verified answer is waited for, 15
minutes at most: it may be a recall or a newer release. Then another good release runs, or none for 1 h, 6 h, 24 h of
uptime, with looks all the while. A release that was suspected and then survived is vouched for: the next such death
of the host costs it no delay, so two unrelated power cuts cost one delay at most. Nobody is ever needed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.launcher import trial
from brakeline.launcher.model import REFUNDS_MAX, Command, Commit, Guarding, Log, Record, Run, State

SERVE_EVERY_S: Final = 60.0  # how often the rest that was served is written down: hosts that are on briefly count too


def after_restart(state: State, at: float) -> tuple[State, tuple[Command, ...]]:
    """Was the last execution ended by the host's death, and soon? Then its release is suspected."""
    record, run = state.record, state.record.run
    if run is not None and not run.clean:
        record = _died(record, run) if run.boot_id != state.boot_id else given_back(replace(record, run=None), run)
    if record == state.record and not record.suspect:
        return state, ()
    state = replace(state, record=record)
    if record.suspect:
        guarding = Guarding(record.suspect, at + max(0.0, state.knobs.guard_wait_s - record.served_s))
        state = replace(
            state, phase=guarding, guard=f"the host died soon after {record.suspect} was started; looking for a recall"
        )
    said = (Log(f"host guard: {state.guard}"),) if state.guard else ()
    return state, (Commit(record, must=False), *said)


def given_back(record: Record, run: Run) -> Record:
    """It was cut off on probation by no fault of its own, as far as can be seen, if it had said READY."""
    if not record.trial or record.trial not in (run.release_id, run.content):
        return record
    if run.ready and record.attempt(record.trial).refunds < REFUNDS_MAX:
        return trial.refund(record, record.trial)
    return trial.failed(record, "cut_off", "the host or the launcher ended while it was running")


def _died(record: Record, run: Run) -> Record:
    blamed = _blamed(record, run)
    record = given_back(replace(record, run=None), run)
    if run.survived or blamed in record.quarantined:
        return record
    if record.vouched == blamed:
        return replace(record, vouched="")
    return replace(record, suspect=blamed, suspected=record.suspected + 1, served_s=0.0)


def _blamed(record: Record, run: Run) -> str:
    """What is on probation, if anything of it was; else the release, and what was confirmed of its content with it."""
    return run.content if run.content and run.content == record.trial else run.release_id


def impose(state: State, at: float) -> State:
    """The wait for an answer is over: from now on the suspect rests for its delay."""
    record = state.record
    delays = state.knobs.guard_delays_s
    delay_s = delays[min(max(record.suspected, 1), len(delays)) - 1]
    text = f"the host died soon after {record.suspect} was started, {record.suspected} times in a row; it rests"
    left_s = max(0.0, delay_s - record.served_s)
    return replace(state, guard=f"{text} {delay_s:.0f} s", resting_release=record.suspect, rest_until_s=at + left_s)


def serve(state: State, at: float) -> tuple[State, tuple[Command, ...]]:
    """Write down how long the suspect has rested, so that no restart makes it begin anew."""
    if not state.record.suspect or at - state.served_at_s < SERVE_EVERY_S:
        return state, ()
    record = replace(state.record, served_s=state.record.served_s + at - state.served_at_s)
    return replace(state, record=record, served_at_s=at), (Commit(record, must=False),)


def over(state: State, at: float) -> bool:
    """Whether the suspect's delay has passed."""
    imposed = bool(state.record.suspect) and state.resting_release == state.record.suspect
    return imposed and at >= state.rest_until_s


def lift(state: State, at: float) -> State:
    """The suspect may run again; a release for a while without its content, which may be what took the host down."""
    agents = (state.record.current, state.record.last_known_good)
    bare_until_s = at + state.knobs.again_s if state.record.suspect in agents else 0.0
    record = replace(state.record, suspect="", served_s=0.0)
    return replace(state, record=record, guard="", resting_release="", rest_until_s=0.0, bare_until_s=bare_until_s)


def survived(state: State) -> State:
    """What runs has outlived the time in which a death of the host is blamed on it."""
    record, run = state.record, state.record.run
    assert run is not None
    record = replace(record, run=replace(run, survived=True))
    if record.suspected and not record.suspect and (run.content or not record.content):
        record = replace(record, suspected=0, vouched=_blamed(record, run))
    return replace(state, record=record)
