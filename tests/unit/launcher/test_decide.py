"""The launcher's rules, one by one, without any clock or disk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.launcher.decide import LOOK, decide
from brakeline.launcher.model import (
    Alone,
    Check,
    CheckEnded,
    Command,
    Commit,
    CommitFailed,
    Event,
    Execute,
    Exited,
    Found,
    Guarding,
    Kill,
    Knobs,
    Record,
    Refused,
    Resting,
    Run,
    Running,
    Said,
    Started,
    State,
    StopAsked,
    Tick,
)
from brakeline.trust.model import Floors

OLD, GOOD, NEW = "0.9.0-aaaaaaaaaaaa", "1.0.0-bbbbbbbbbbbb", "2.0.0-cccccccccccc"
ALL = frozenset({OLD, GOOD, NEW})


class Rig:
    """Feeds events; commits succeed unless told otherwise."""

    def __init__(self, record: Record, installed: frozenset[str] = ALL, boot_id: str = "b1") -> None:
        self.state = State(record, Knobs(), committed=record)
        self.done: list[Command] = []
        self.send(Started(0.0, boot_id, installed))

    def send(self, event: Event) -> tuple[Command, ...]:
        self.state, commands = decide(self.state, event)
        for command in commands:
            if isinstance(command, Commit):
                self.state = replace(self.state, committed=self.state.record)
        self.done += commands
        return commands

    def look(self, at: float, **found: object) -> tuple[Command, ...]:
        answer = Found(True, Floors(), **found)  # type: ignore[arg-type]
        return self.send(CheckEnded(at, answer, self.state.installed))

    def no_answer(self, at: float) -> tuple[Command, ...]:
        return self.send(CheckEnded(at, None, self.state.installed, "no answer in time"))

    @property
    def running(self) -> str:
        return self.state.phase.release_id if isinstance(self.state.phase, Running) else ""


def executed(commands: tuple[Command, ...]) -> list[str]:
    return [c.release_id for c in commands if isinstance(c, Execute)]


def test_nothing_runs_before_one_look() -> None:
    rig = Rig(Record(current=GOOD))
    assert [type(c) for c in rig.done] == [Check]
    assert executed(rig.look(1.0)) == [GOOD]


@pytest.mark.parametrize("found", [{}, {"problems": ("metadata_expired: x",)}])
def test_it_fails_open(found: dict[str, object]) -> None:
    assert executed(Rig(Record(current=GOOD)).no_answer(10.0)) == [GOOD]
    assert executed(Rig(Record(current=GOOD)).look(1.0, **found)) == [GOOD]


def test_a_trial_is_counted_durably_before_it_runs() -> None:
    rig = Rig(Record(current=GOOD))
    commands = rig.look(1.0, staged=NEW, sequence=2)
    last = [c for c in commands if isinstance(c, Commit)][-1]
    assert last.must
    assert last.record.attempt(NEW).runs == 1
    assert commands.index(last) < commands.index(Execute(NEW))


def test_a_trial_that_cannot_be_counted_does_not_run() -> None:
    rig = Rig(Record(current=GOOD))
    before = rig.state.committed
    rig.look(1.0, staged=NEW, sequence=2)
    rig.state = replace(rig.state, committed=before)
    assert executed(rig.send(CommitFailed(1.0, "no space"))) == [GOOD]
    rig.send(Said(2.0, "READY"))
    assert not any(isinstance(c, Kill) for c in rig.send(Tick(100.0)))  # it is not taken for silent


def test_healthy_is_believed_only_after_probation() -> None:
    rig = Rig(Record(current=GOOD))
    rig.look(1.0, staged=NEW, sequence=2)
    rig.send(Said(2.0, "HEALTHY"))  # before READY it means nothing
    rig.send(Said(2.0, "READY"))
    rig.send(Said(3.0, "HEALTHY"))
    assert not any(isinstance(c, Check) for c in rig.send(Tick(300.9)))
    assert any(isinstance(c, Check) for c in rig.send(Tick(301.1)))
    rig.look(302.0)
    rig.send(Tick(600.9))
    assert rig.state.record.current == GOOD
    rig.send(Tick(601.1))
    assert (rig.state.record.current, rig.state.record.last_known_good) == (NEW, GOOD)
    assert rig.state.record.floors.sequence == 2


def test_healthy_is_believed_only_once_a_look_has_reached_the_cell_while_it_ran() -> None:
    """A release that shuts its launcher off from the cell could never be replaced, whatever it says of itself."""
    rig = Rig(Record(current=GOOD))
    rig.look(1.0, staged=NEW, sequence=2)
    rig.send(Said(2.0, "READY"))
    rig.send(Said(3.0, "HEALTHY"))
    looks = 0
    for at in range(10, 86_400, 10):
        if any(isinstance(c, Check) for c in (*rig.send(Said(at, "HEALTHY")), *rig.send(Tick(at)))):
            looks += 1
            rig.no_answer(at + 5.0)
    assert (rig.state.record.current, rig.state.record.trial) == (GOOD, NEW)
    assert looks < 24 + 24 * 12, "as often as ever where nobody answers: HEALTHY said again brings no look"
    assert Kill("unreachable: no look reached the cell while it ran") in rig.send(Tick(86_402.0))
    rig = Rig(Record(current=GOOD))
    rig.look(1.0, staged=NEW, sequence=2)
    rig.send(Said(2.0, "READY"))
    rig.send(Said(3.0, "HEALTHY"))
    rig.no_answer(302.0)
    rig.send(Tick(9_000.0))
    assert rig.state.record.current == GOOD
    rig.look(9_001.0)
    rig.send(Tick(9_002.0))
    assert rig.state.record.current == NEW


def test_a_newer_release_is_not_confirmed_by_the_merits_of_the_one_that_runs() -> None:
    rig = Rig(Record(current=GOOD))
    rig.look(1.0, staged=NEW, sequence=2)
    rig.send(Said(2.0, "READY"))
    rig.send(Said(3.0, "HEALTHY"))
    rig.look(600.5, staged="3.0.0-dddddddddddd", sequence=3)
    rig.send(Tick(601.5))
    assert rig.state.record.current == GOOD


def test_an_old_look_does_not_lower_the_floor_of_releases() -> None:
    rig = Rig(Record(current=GOOD, floors=Floors(sequence=5)))
    rig.look(1.0)  # it began before 5 was confirmed, so it brings 0
    assert rig.state.record.floors.sequence == 5


def test_a_release_is_not_tried_without_end_because_the_launcher_is_stopped() -> None:
    record = Record(current=GOOD, trial=NEW, trial_sequence=2)
    for n in range(9):
        rig = Rig(record, boot_id=f"b{n}")
        if executed(rig.look(1.0)) != [NEW]:
            break
        rig.send(StopAsked(20.0))
        rig.send(Exited(21.0, -15))
        record = rig.state.committed
    assert (record.attempt(NEW).runs, record.quarantined) == (3, (NEW,))


def test_three_failures_quarantine_and_it_is_never_taken_again() -> None:
    rig = Rig(Record(current=GOOD))
    at = 1.0
    commands = rig.look(at, staged=NEW, sequence=2)
    for _ in range(3):
        assert executed(commands) == [NEW]
        rig.send(Exited(at + 1, 1, "boom"))
        at += 400
        rig.send(Tick(at))
        commands = rig.look(at)
    assert executed(commands) == [GOOD]
    assert NEW in rig.state.record.quarantined
    assert rig.state.record.last_trial is not None
    assert "boom" in rig.state.record.last_trial.detail
    rig.look(at + 10, staged=NEW, sequence=2)
    assert rig.state.record.trial == ""
    assert any(p.startswith("quarantined") for p in rig.state.problems)


def test_a_recall_ends_what_runs_and_sticks() -> None:
    rig = Rig(Record(current=NEW, last_known_good=GOOD))
    rig.look(1.0)
    assert Kill("recalled") in rig.look(50.0, recalled=(NEW,))
    rig.send(Exited(51.0, -15))
    assert executed(rig.look(52.0)) == [GOOD]  # a list without it takes nothing back
    assert NEW in rig.state.record.recalled
    rig.look(60.0, pardoned=(NEW,))
    assert NEW not in rig.state.record.recalled


def test_crashes_of_a_trial_that_was_recalled_between_two_of_them_are_not_the_good_ones() -> None:
    """Else it would wait before its next look, and come too late for what was offered to it."""
    rig = Rig(Record(current=GOOD, trial=NEW))
    at = 1.0
    for _ in range(2):
        assert executed(rig.look(at)) == [NEW]
        rig.send(Exited(at + 0.1, 1))
        at += 400
        rig.send(Tick(at))
    assert executed(rig.look(at, recalled=(NEW,))) == [GOOD]
    commands = rig.send(Exited(at + 4, LOOK))
    assert any(isinstance(c, Check) for c in commands)


def test_everything_recalled_it_stays_alone_and_goes_on_looking() -> None:
    rig = Rig(Record(current=GOOD))
    rig.look(1.0, recalled=(GOOD,))
    assert isinstance(rig.state.phase, Alone)
    assert any(isinstance(c, Check) for c in rig.send(Tick(302.0)))
    assert executed(rig.look(303.0, staged=NEW, sequence=2)) == [NEW]


# --- the host guard ------------------------------------------------------------------------------------------------


def died(release: str, **fields: object) -> Record:
    record = Record(current=release, run=Run(release, "b0"))
    return replace(record, **fields)  # type: ignore[arg-type]


def test_after_the_hosts_death_it_waits_for_an_answer_then_runs_the_last_known_good() -> None:
    rig = Rig(died(NEW, last_known_good=GOOD))
    assert isinstance(rig.state.phase, Guarding)
    assert executed(rig.no_answer(10.0)) == []
    rig.send(Tick(70.1))
    assert executed(rig.look(71.0)) == [GOOD]
    assert "the host died" in rig.state.guard
    assert any(isinstance(c, Kill) for c in rig.send(Tick(71.0 + 3600.1)))  # its delay is over: tried again
    rig.send(Exited(3680.0, -15))
    assert executed(rig.look(3681.0)) == [NEW]


def test_without_another_release_it_waits_an_hour_then_six_then_a_day() -> None:
    for suspected, delay_s in ((0, 3600.0), (1, 21_600.0), (2, 86_400.0), (7, 86_400.0)):
        rig = Rig(died(GOOD, suspected=suspected))
        assert executed(rig.look(5.0)) == []
        assert isinstance(rig.state.phase, Resting)
        rig.send(Tick(delay_s - 60))
        assert executed(rig.look(delay_s - 59)) == []
        rig.send(Tick(delay_s + 6))
        assert executed(rig.look(delay_s + 7)) == [GOOD], delay_s


def test_the_wait_for_an_answer_ends_after_fifteen_minutes() -> None:
    rig = Rig(died(NEW, last_known_good=GOOD))
    rig.no_answer(10.0)
    commands = rig.send(Tick(901.0))
    assert executed(commands) == [GOOD]


@pytest.mark.parametrize("on_for_s", [120.0, 1800.0, 3000.0])
def test_a_host_that_is_never_on_for_long_serves_its_delay_bit_by_bit(on_for_s: float) -> None:
    record = died(GOOD)
    for boot in range(1, 80):
        rig = Rig(record, boot_id=f"b{boot}")
        if rig.look(5.0) and rig.running:
            break
        for at in range(60, int(on_for_s), 30):
            rig.send(Tick(float(at)))
            if rig.state.looking:
                rig.look(at + 1.0)
        if rig.running:
            break
        record = rig.state.committed
    assert rig.running == GOOD
    assert boot <= 3600 / (on_for_s - 60) + 3


def test_a_trial_that_loses_the_cell_is_reverted_after_two_hours() -> None:
    """The one before had just reached it, so it is the release that does not."""
    rig = Rig(Record(current=GOOD))
    rig.look(1.0)
    rig.look(50.0, staged=NEW, sequence=2)
    rig.send(Tick(51.0))
    rig.send(Exited(52.0, -15))
    rig.no_answer(62.0)
    assert rig.running == NEW
    rig.send(Said(63.0, "READY"))
    assert not any(isinstance(c, Kill) for c in rig.send(Tick(62.0 + 7199)))
    assert any(isinstance(c, Kill) for c in rig.send(Tick(62.0 + 7201)))


def test_a_recall_that_arrives_meanwhile_means_it_never_runs_again() -> None:
    rig = Rig(died(NEW, last_known_good=GOOD))
    assert executed(rig.look(5.0, recalled=(NEW,))) == [GOOD]
    rig.send(Tick(90_000.0))
    assert rig.running == GOOD


def test_two_unrelated_power_cuts_cost_one_delay() -> None:
    rig = Rig(died(GOOD))
    rig.look(5.0)
    rig.send(Tick(3606.0))
    rig.look(3607.0)
    rig.send(Said(3608.0, "READY"))
    rig.send(Tick(3607.0 + 601))
    assert rig.state.record.vouched == GOOD
    second = Rig(replace(rig.state.record, run=Run(GOOD, "b1", ready=True)), boot_id="b2")
    assert executed(second.look(5.0)) == [GOOD]


def test_a_late_or_clean_end_is_no_reason_to_guard() -> None:
    for run in (Run(GOOD, "b0", survived=True), Run(GOOD, "b0", clean=True), Run(GOOD, "b1")):
        assert executed(Rig(Record(current=GOOD, run=run)).look(1.0)) == [GOOD]


# --- other ends ----------------------------------------------------------------------------------------------------


def test_a_confirmed_release_that_keeps_crashing_gives_way() -> None:
    rig = Rig(Record(current=NEW, last_known_good=GOOD))
    at = 0.0
    for _ in range(3):
        rig.look(at + 1)
        assert rig.running == NEW
        rig.send(Exited(at + 2, 1))
        at += 100
        rig.send(Tick(at))
    assert executed(rig.look(at + 1)) == [GOOD]


def test_damaged_files_are_not_executed_and_the_last_known_good_is() -> None:
    rig = Rig(Record(current=NEW, last_known_good=GOOD))
    rig.look(1.0)
    assert Check((NEW,)) in rig.send(Refused(1.0, NEW, "manifest", "agent.pyz is not what the manifest says"))
    assert executed(rig.look(2.0)) == [GOOD]


def test_a_release_of_the_record_that_is_missing_is_fetched_again() -> None:
    rig = Rig(Record(current=NEW, last_known_good=GOOD), installed=frozenset({GOOD}))
    assert rig.done == [Check((NEW,))]
    assert executed(rig.look(1.0)) == [GOOD]
    alone = Rig(Record(current=GOOD), installed=frozenset())
    assert alone.done == [Check((GOOD,))]
    alone.look(1.0)
    assert isinstance(alone.state.phase, Alone)
    assert Check((GOOD,)) in alone.send(Tick(302.0))
    assert executed(alone.send(CheckEnded(303.0, Found(True, Floors(), mended=(GOOD,)), frozenset({GOOD})))) == [GOOD]


def test_what_was_mended_late_is_gone_back_to() -> None:
    rig = Rig(Record(current=NEW, last_known_good=GOOD))
    rig.look(1.0)
    rig.send(Refused(1.0, NEW, "manifest", "agent.pyz is not what the manifest says"))
    assert executed(rig.no_answer(2.0)) == [GOOD]
    assert any(isinstance(c, Kill) for c in rig.look(400.0, mended=(NEW,)))
    rig.send(Exited(401.0, -15))
    assert executed(rig.look(402.0)) == [NEW]


def test_crashes_of_a_trial_are_not_those_of_the_release_that_runs_after_it() -> None:
    rig = Rig(Record(current=GOOD, last_known_good=OLD))
    rig.look(0.0, staged=NEW, sequence=2)
    for n in range(1, 4):
        rig.send(Exited(100.0 * n, 1))
        rig.send(Tick(100.0 * n + 99))
        rig.look(100.0 * n + 99)
    assert (rig.running, rig.state.record.quarantined) == (GOOD, (NEW,))
    rig.send(Exited(500.0, 1))
    rig.send(Tick(599.0))
    rig.look(599.0)
    assert rig.running == GOOD, "one crash is no loop"


def test_not_enrolled_is_no_crash() -> None:
    rig = Rig(Record(current=GOOD))
    for at in range(1, 1000, 100):
        rig.look(float(at))
        rig.send(Exited(at + 1.0, 2))
        rig.send(Tick(at + 62.0))
    assert rig.state.crashes == 0


def test_an_exit_for_a_look_is_looked_after_at_once() -> None:
    rig = Rig(Record(current=GOOD))
    rig.look(1.0)
    assert any(isinstance(c, Check) for c in rig.send(Exited(500.0, 75)))


def test_a_power_cut_after_ready_gives_the_execution_back_twice_at_most() -> None:
    record = Record(current=GOOD, trial=NEW, trial_sequence=2)
    for n in range(1, 6):
        rig = Rig(replace(record, run=None, suspect="", suspected=0), boot_id=f"b{n}")
        commands = rig.look(1.0)
        if executed(commands) != [NEW]:
            break
        rig.send(Said(2.0, "READY"))
        after = Rig(rig.state.record, boot_id=f"c{n}")
        record = after.state.record
    assert record.attempt(NEW).runs == 5
    assert NEW in record.quarantined


def test_told_to_stop_it_ends_cleanly() -> None:
    rig = Rig(Record(current=GOOD))
    rig.look(1.0)
    assert Kill("stopping") in rig.send(StopAsked(5.0))
    rig.send(Exited(6.0, -15))
    assert rig.state.record.run is not None
    assert rig.state.record.run.clean


def test_what_a_look_had_verified_before_it_was_cut_off_counts() -> None:
    rig = Rig(Record(current=GOOD, last_known_good=OLD))
    rig.look(1.0)
    assert rig.running == GOOD
    answer = Found(True, Floors(), recalled=(GOOD,))
    done = rig.send(CheckEnded(100.0, answer, ALL, "no answer in time"))
    assert [c.why for c in done if isinstance(c, Kill)] == ["recalled"]
    assert rig.state.problems == ("check: no answer in time",)
    assert rig.state.check_due_s == 400.0, "sooner than an hour later, as after any look that came to nothing"


def test_a_download_that_is_not_through_goes_on_within_a_minute() -> None:
    rig = Rig(Record(current=GOOD))
    rig.look(1.0, unfinished=True)
    assert (rig.running, rig.state.check_due_s) == (GOOD, 61.0)
    rig.look(70.0)
    assert rig.state.check_due_s == 61.0, "the look that was due; the next one is an hour after it"
    rig.send(Tick(71.0))
    assert rig.state.check_due_s == 3671.0


def test_a_machine_that_starts_before_its_network_looks_again_soon_and_then_as_ever() -> None:
    rig = Rig(Record(current=GOOD))
    due = []
    for at in (0.0, 60.0, 360.0, 3960.0):
        rig.send(CheckEnded(at, Found(False, Floors(), problems=("unreachable: no route",)), ALL))
        due.append(rig.state.check_due_s - at)
        rig.send(Tick(rig.state.check_due_s))
    assert rig.running == GOOD, "it runs all the while"
    assert due == [60.0, 300.0, 3600.0, 3600.0]
    rig.look(8000.0)
    rig.send(CheckEnded(9000.0, Found(False, Floors()), ALL))
    assert rig.state.check_due_s == 9060.0, "it was heard in between"
