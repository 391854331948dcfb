"""Which run log is sent when: never before a check-in, newest first, and never to a cell that will not have it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.agent import agenda, runs
from brakeline.agent.commands import ForgetRun, SendRun
from brakeline.agent.events import Failure, FailureKind, RunRefused, RunTaken
from brakeline.agent.model import Durable, Instant, Link, Self, State

NOW = Instant(1000.0, 0)
ME = Self("ep_1", "00", "1", "boot", can_patch=True)
LINK = Link(ever=True, next_check_in_s=1060.0, secret_until_ms=1 << 60)


def state(*names: str, link: Link = LINK) -> State:
    made = State(ME, Durable(), link=link)
    for name in names:
        made = runs.watched(made, name, f"of_{name}")
    return made


def test_a_log_is_asked_for_then_sent_at_its_pace() -> None:
    first, commands = runs.send(state("tx_a"), NOW)
    assert commands == (SendRun("tx_a", "of_tx_a", 0),)
    assert runs.send(first, NOW)[1] == (), "one upload in PACE_S"
    second, _ = runs.taken(first, RunTaken(NOW, "tx_a", 7, more=True))
    assert runs.send(second, NOW)[1] == (SendRun("tx_a", "of_tx_a", 7),)


def test_the_newest_transaction_goes_first() -> None:
    assert runs.send(state("tx_a", "tx_b"), NOW)[1][0] == SendRun("tx_b", "of_tx_b", 0)


@pytest.mark.parametrize(
    "link",
    [
        replace(LINK, next_check_in_s=1003.0),
        replace(LINK, failures=1),
        replace(LINK, ever=False),
    ],
)
def test_a_check_in_goes_before(link: Link) -> None:
    made = state("tx_a", link=link)
    waiting = replace(made, runs=(replace(made.runs[0], not_before_s=NOW.monotonic_s),))
    assert runs.send(waiting, NOW)[1] == ()
    assert runs.wake_s(waiting, NOW) >= NOW.monotonic_s + runs.STARVED_S, "it does not spin until the check-in is due"


def test_where_check_ins_never_rest_a_log_goes_between_two_of_them() -> None:
    made = state("tx_a", link=replace(LINK, next_check_in_s=1000.5))
    starved = replace(made, runs=(replace(made.runs[0], not_before_s=NOW.monotonic_s - runs.STARVED_S),))
    assert runs.send(starved, NOW)[1] != ()


def test_with_a_short_interval_there_is_still_room() -> None:
    short = state("tx_a", link=replace(LINK, next_check_in_s=1001.5))
    short = replace(short, durable=replace(short.durable, settings=replace(short.durable.settings,
                                                                           check_in_interval_s=2)))  # fmt: skip
    assert runs.send(short, NOW)[1] != ()


def test_what_the_cell_has_whole_or_closes_is_forgotten() -> None:
    for event in (RunTaken(NOW, "tx_a", 9, whole=True), RunTaken(NOW, "tx_a", 1, closed=True)):
        after, commands = runs.taken(state("tx_a"), event)
        assert (after.runs, commands) == ((), (ForgetRun("tx_a"),))


def test_a_cell_that_takes_nothing_is_not_asked_again_at_once() -> None:
    sent, _ = runs.taken(state("tx_a"), RunTaken(NOW, "tx_a", 5, more=True))
    stuck, _ = runs.taken(sent, RunTaken(NOW, "tx_a", 5, more=True))
    assert runs.due_s(stuck) == NOW.monotonic_s + runs.PACE_S


def test_a_refusal_is_no_failure_of_the_link_and_waits_longer_each_time() -> None:
    busy, waits = Failure(FailureKind.BUSY, "too-busy", ""), []
    now = state("tx_a")
    for _ in range(12):
        now, _ = runs.refused(now, RunRefused(NOW, "tx_a", busy))
        waits.append(runs.due_s(now) - NOW.monotonic_s)
    assert now.link.failures == 0
    assert waits[:3] == [15.0, 30.0, 60.0]
    assert waits[-1] == runs.AGAIN_S_MAX


def test_the_cell_s_own_wait_is_kept_and_what_is_malformed_is_not_sent_again() -> None:
    later, _ = runs.refused(state("tx_a"), RunRefused(NOW, "tx_a", Failure(FailureKind.BUSY, "b", "", 600.0)))
    assert runs.due_s(later) == NOW.monotonic_s + 600.0
    bad = Failure(FailureKind.REJECTED, "malformed", "", permanent=True)
    assert runs.refused(state("tx_a"), RunRefused(NOW, "tx_a", bad))[1] == (ForgetRun("tx_a"),)


def test_a_log_that_waits_keeps_the_long_poll_short_and_one_that_rests_does_not() -> None:
    due = replace(state("tx_a", link=replace(LINK, next_check_in_s=1000.0)), looked_s=NOW.monotonic_s)
    _, (command,) = agenda._next_exchange(due, NOW)
    assert getattr(command, "wait_s", None) == 0
