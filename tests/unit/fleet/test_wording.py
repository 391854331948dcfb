"""What launchers say, in words: every code that our own source can say has some, and an unknown one is not hidden."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from brakeline.fleet import wording
from brakeline.protocol.messages import LauncherReport, TrialReport

SRC = Path(wording.__file__).parents[1]
OF_PUBLISHERS_AND_PROGRAMS = {"platform"}  # reasons that no launcher tells


def said(pattern: str, *places: str) -> set[str]:
    """What the source of these packages says by `pattern`."""
    texts = [p.read_text() for place in places for p in sorted((SRC / place).glob("*.py"))]
    return {found for text in texts for found in re.findall(pattern, text)}


def test_every_reason_of_the_verifier_has_words_of_its_own() -> None:
    kinds = said(r'Distrust\(\s*"([a-z_]+)"', "trust", "launcher") | said(r'Problem\(\s*"([a-z_]+)"', "trust")
    assert len(kinds) > 15, "the pattern finds nothing any more"
    unknown = wording.problem("no-such-kind: x").what
    missing = [k for k in kinds - OF_PUBLISHERS_AND_PROGRAMS if wording.problem(f"{k}: text").what == unknown]
    assert not missing


def test_every_problem_that_the_launcher_names_has_words_of_its_own() -> None:
    kinds = said(r'f?"(busy|check|disk|unreachable|state_lost|settings|quarantined|recalled): ', "launcher")
    assert kinds >= {"busy", "check", "disk", "unreachable", "state_lost", "settings", "quarantined", "recalled"}
    assert kinds <= set(wording.PROBLEMS)


def test_every_end_of_a_trial_has_words() -> None:
    codes = said(r'failed\(record, "([a-z_]+)"', "launcher") | said(r'_end_run\(state, f?"([a-z_]+):', "launcher")
    codes |= said(r'TrialEnd\([^)]*?"(?:reverted|confirmed|refused)", "([a-z_]+)"', "launcher")
    codes |= said(r'model\.Refused\([^)]*?, "([a-z]+)"', "launcher") | {"exited", "killed", "recalled"}
    codes |= said(r'f?"(damaged|disk|late|ended|stub): ', "launcher")  # told by the stub
    assert codes >= {"cut_off", "late", "damaged", "not_ready", "not_healthy", "over_budget", "manifest"}
    assert not codes - set(wording.TRIALS)


@pytest.mark.parametrize("text", ["metadata_expired: the root has expired", "brand_new: it says", "no colon at all"])
def test_a_problem_says_what_it_is_as_told_and_what_to_do(text: str) -> None:
    found = wording.problem(text)
    assert found.what
    assert found.told in text
    assert found.next.endswith((".", "status"))


def test_a_trial_is_told_with_how_often_it_was_executed() -> None:
    assert wording.trial_sentence(TrialReport("r", "reverted", "exited", "", 3)) == (
        "reverted after 3 executions: it ended by itself"
    )
    assert wording.trial_sentence(TrialReport("r", "confirmed", "ok", "", 1)) == "confirmed after 1 execution"
    assert wording.trial_sentence(TrialReport("r", "refused", "new_code", "", 2)).endswith(": new code")


def test_codes_inside_sentences_become_words() -> None:
    assert wording.with_trials("web-01: trial_not_ready: slow") == (
        "web-01: the trial failed, it did not get ready in time: slow"
    )
    assert wording.trial_note("trial_exited: code 3") == "it ended by itself: code 3"
    assert wording.with_trials("no_space: full") == "no_space: full"


def test_what_is_executed_says_how_far_it_is_trusted() -> None:
    report = LauncherReport("1", "b", "a", "a", trial="b")
    assert wording.executed(report) == "b, on probation"
    assert wording.executed(LauncherReport("1", "a", "a")) == "a, confirmed"
    assert wording.executed(LauncherReport("1", "z", "a", "z")) == "z, the last known good"
    assert wording.executed(LauncherReport("1")).startswith("nothing")
