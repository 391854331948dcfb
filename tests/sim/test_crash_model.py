"""The launcher's real code over a disk that loses power: no promise is broken, and planted faults are seen.

Two cuts in a row here; `./dev crash-test --depth 3` walks deeper.
"""

from __future__ import annotations

import pytest
from tools.crashtest import __main__ as crash_test
from tools.crashtest import modelcheck, mutants, simdisk, slotwalk
from tools.crashtest.simdisk import EIO, ENOSPC

from brakeline.launcher.model import CONTENT, REFUNDS_MAX, TRIES

LONGER = ("good", "hang", "poisons", "ruins", "rots")
CHARACTERS = ("good", "crash", "hang", "killer", "poisons", "ruins", "rots", "ready-crash", "ready-killer")


@pytest.mark.parametrize("character", CHARACTERS)
def test_power_cuts_break_no_promise(character: str) -> None:
    outcome = modelcheck.walk(character, 1)
    assert outcome.violations == []
    assert outcome.outcomes > 10


@pytest.mark.parametrize("character", ["good", "crash", "killer", "ready-crash", "ready-killer"])
def test_power_cuts_break_no_promise_about_content(character: str) -> None:
    outcome = modelcheck.walk(character, 1, product=CONTENT)
    assert outcome.violations == []
    assert outcome.outcomes > 10


@pytest.mark.parametrize(
    ("character", "cuts", "runs"),
    [("ready-killer", 0, TRIES + REFUNDS_MAX), ("ready-killer", 1, TRIES + REFUNDS_MAX), ("ready-crash", 0, TRIES),
     ("ready-crash", 1, TRIES + 1), pytest.param("ready-crash", 2, TRIES + REFUNDS_MAX, marks=pytest.mark.long)],
)  # fmt: skip
def test_how_often_a_bad_release_runs_that_says_ready_first(character: str, cuts: int, runs: int) -> None:
    """The bound is reached, and not passed: what ends with the host after READY is given back, twice at most."""
    assert modelcheck.runs_max(character, cuts) == runs
    outcome = modelcheck.walk(character, cuts)
    assert (outcome.violations, outcome.ready_runs_max) == ([], runs)


def test_more_refunds_than_promised_are_counted() -> None:
    with mutants.CAUGHT["more executions are given back to power cuts than may be"][0]() as shell:
        outcome = modelcheck.walk("ready-killer", 0, shell)
    assert (outcome.ran_more_than_allowed, outcome.ran_more_than_three) == (1, 0)
    assert outcome.ready_runs_max > TRIES + REFUNDS_MAX


def test_what_is_not_walked_is_said() -> None:
    answer = crash_test.Answer(modelcheck.walk("ready-killer", 0))
    said = answer.as_dict()
    assert (said["bad_ran_more_than_three"], said["bad_ran_more_than_allowed"], said["ready_runs_max"]) == (0, 0, 5)
    assert any(f"up to {simdisk.EXHAUSTIVE_MAX} pending" in line for line in said["not_run"])
    assert any("keepsake" in line for line in said["not_run"])


@pytest.mark.parametrize("agent", ["good", "crash"])
@pytest.mark.parametrize("content", ["good", "crash"])
def test_agent_and_content_offered_at_once_come_one_after_the_other(agent: str, content: str) -> None:
    assert modelcheck.both_at_once(agent, content).violations == []


@pytest.mark.long
@pytest.mark.parametrize("character", CHARACTERS)
def test_two_power_cuts_in_a_row(character: str) -> None:
    assert modelcheck.walk(character, 2).violations == []


@pytest.mark.long
@pytest.mark.parametrize("character", ["good", "crash", "hang", "killer", "ready-crash"])
def test_two_power_cuts_in_a_row_for_content(character: str) -> None:
    assert modelcheck.walk(character, 2, product=CONTENT).violations == []


@pytest.mark.parametrize("error", [ENOSPC, EIO])
@pytest.mark.parametrize(
    "character", ["crash", "ready-crash", *(pytest.param(c, marks=pytest.mark.long) for c in LONGER)]
)
def test_a_disk_that_refuses_stops_no_good_release(character: str, error: int) -> None:
    assert modelcheck.refusing_disk(character, error).violations == []


@pytest.mark.parametrize("character", ["good", "crash", "hang"])
def test_a_full_disk_stops_no_good_content(character: str) -> None:
    assert modelcheck.refusing_disk(character, ENOSPC, product=CONTENT).violations == []


@pytest.mark.parametrize("character", ["good", "crash"])
def test_a_power_cut_behind_a_failed_sync_loses_no_record(character: str) -> None:
    """The slot whose sync had failed was read back whole, taken for the newest, and the other one overwritten."""
    assert modelcheck.walk_refusals(character, EIO).violations == []


@pytest.mark.long
def test_a_restart_and_a_power_cut_behind_a_failed_sync_lose_no_record() -> None:
    assert modelcheck.walk_restarts(EIO).violations == []


def test_a_torn_record_is_the_old_one_the_new_one_or_none() -> None:
    outcome = modelcheck.torn_records()
    assert outcome.violations == []
    assert outcome.outcomes == 12 * 256


def test_a_confirmed_release_that_kills_its_host_runs_once() -> None:
    assert modelcheck.killer_confirmed().violations == []


@pytest.mark.parametrize("name", mutants.CAUGHT)
def test_planted_faults_are_seen(name: str) -> None:
    assert mutants.caught(name)


@pytest.mark.long
@pytest.mark.parametrize("name", mutants.HARMLESS)
def test_harmless_faults_are_harmless(name: str) -> None:
    assert mutants.harm(name) == []


@pytest.mark.parametrize("character", slotwalk.CHARACTERS)
def test_power_cuts_and_full_disks_lose_no_launcher(character: str) -> None:
    cut, full = slotwalk.walk(character, 1), slotwalk.full_disk(character)
    assert (cut.violations, full.violations) == ([], [])
    assert min(cut.outcomes, full.outcomes) > 10


@pytest.mark.parametrize("name", slotwalk.MUTANTS)
def test_faults_planted_in_the_stub_are_seen(name: str) -> None:
    assert slotwalk.caught(name)
