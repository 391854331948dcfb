"""What of an upload is new, what entries add up to, and who made a change."""

from __future__ import annotations

from brakeline.fleet.history import Changed, Step
from brakeline.protocol.messages import RunEntry, RunKind, RunPart
from brakeline.runlog import decide
from brakeline.runlog.model import OUTSIDE, Author, Done, Run

RUN = Run("tx_1", "ep_1", "of_1", "ro_1", 1000, 1000)


def entries(*numbers: int, at_ms: int = 5) -> tuple[RunEntry, ...]:
    return tuple(RunEntry(n, at_ms, RunKind.OUTPUT, 1, f"line {n}") for n in numbers)


def part(*numbers: int, at_ms: int = 5, sent_ms: int = 0) -> RunPart:
    return RunPart("tx_1", "of_1", entries(*numbers, at_ms=at_ms), sent_ms=sent_ms)


def test_each_entry_is_taken_once() -> None:
    from dataclasses import replace

    first = decide.take(RUN, part(1, 2, 3), 1000)
    assert ([e.n for e in first.entries], first.next, first.missing) == ([1, 2, 3], 4, 0)
    again = decide.take(replace(RUN, next=4), part(2, 3, 4), 1000)
    assert ([e.n for e in again.entries], again.next) == ([4], 5)


def test_a_gap_is_counted_and_not_waited_for() -> None:
    found = decide.take(RUN, part(4, 5, 9), 1000)
    assert (found.next, found.missing) == (10, 3 + 3)


def test_times_of_a_wrong_clock_are_put_right_and_a_slow_line_is_no_wrong_clock() -> None:
    decades = decide.take(RUN, part(1, at_ms=100, sent_ms=160), 1_000_000)
    assert decades.entries[0].at_ms == 1_000_000 - 60
    slow = decide.take(RUN, part(1, at_ms=990_000, sent_ms=991_000), 1_000_000)
    assert slow.entries[0].at_ms == 990_000


def test_commands_have_words_duration_exit_code_and_their_lines() -> None:
    said = (
        RunEntry(1, 10, RunKind.COMMAND, 1, argv=("apt-get", "install", "a b")),
        RunEntry(2, 11, RunKind.OUTPUT, 1, "one"), RunEntry(3, 12, RunKind.OUTPUT, 1, "two"),
        RunEntry(4, 13, RunKind.EXIT, 1, rc=100, took_ms=3),
        RunEntry(5, 14, RunKind.COMMAND, 2, argv=("dpkg",)),
    )  # fmt: skip
    first, second = decide.commands(said)
    assert (first.argv, first.rc, first.took_ms, first.lines) == (("apt-get", "install", "a b"), 100, 3, 2)
    assert second.rc is None, "it runs"


def test_a_run_that_is_not_heard_is_silent_and_not_called_ended() -> None:
    assert decide.state(RUN, False, 1000 + decide.SILENT_MS) == "running"
    assert decide.state(RUN, False, 1001 + decide.SILENT_MS) == "silent"
    assert decide.state(RUN, True, 10**9) == "ended"
    assert "goes on" in decide.note(RUN, "silent", 500_000)


def step(sequence: int, at_ms: int, *changes: tuple[str, str, str]) -> Step:
    found = tuple(Changed(name, "amd64", before, after) for name, before, after in changes)
    return Step(sequence, at_ms, 10, found, len(found))


def test_a_change_is_a_deployment_s_only_where_its_result_says_so() -> None:
    done = (Done("ro_1", "October", 900, (Changed("a", "amd64", "1", "2"),)),)
    found = decide.attributed((step(2, 1000, ("a", "1", "2"), ("b", "", "7")),), done)
    assert {c.name: c.author for c in found} == {"a": Author("ro_1", "October"), "b": OUTSIDE}


def test_a_result_explains_one_change_and_not_the_one_that_somebody_makes_later() -> None:
    done = (Done("ro_1", "October", 900, (Changed("a", "amd64", "1", "2"),)),)
    history = (step(2, 1000, ("a", "1", "2")), step(3, 2000, ("a", "2", "1")), step(4, 3000, ("a", "1", "2")))
    found = decide.attributed(history, done)
    assert [(c.at_ms, c.author.rollout_id) for c in found] == [(3000, ""), (2000, ""), (1000, "ro_1")]


def test_a_result_of_long_after_explains_nothing() -> None:
    late = (Done("ro_1", "", 1001 + decide.SLACK_MS, (Changed("a", "amd64", "1", "2"),)),)
    assert decide.attributed((step(2, 1000, ("a", "1", "2")),), late)[0].author == OUTSIDE


def test_what_goes_to_and_fro_is_no_difference() -> None:
    history = (step(2, 10, ("a", "1", "2"), ("b", "", "1")), step(3, 20, ("a", "2", "3")), step(4, 30, ("b", "1", "")))
    assert [(c.name, c.before, c.after, c.kind) for c in decide.net(decide.attributed(history, ()))] == [
        ("a", "1", "3", "changed")
    ]


def test_what_cannot_be_known_is_said() -> None:
    assert "Nothing is kept" in decide.told(0, 0, (), more=False)[0]
    assert "begins within" in decide.told(5, 10, (), more=False)[0]
    assert decide.told(10, 5, (), more=False) == ()
    large = Step(2, 10, 10, (), 7_000)
    assert "7,000 changes" in decide.told(10, 5, (large,), more=False)[0]
