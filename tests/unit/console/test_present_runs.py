"""Runs and changes as pages say them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from brakeline.console.present_runs import LINES_SHOWN, changes_view, day_ms, place_row, runs_view, took
from brakeline.core.errors import Invalid
from brakeline.protocol.messages import RunEntry, RunKind
from brakeline.rollout.view import Member
from brakeline.runlog import decide
from brakeline.runlog.model import Author, ChangedBy, Outcome, Run, RunView, Story

ROLLOUT: Any = SimpleNamespace(id="ro_1", title="October", release="")  # all of a view that a row asks for
RUN = Run("tx_1", "ep_1", "of_1", "ro_1", 1_000, 9_000)
ENTRIES = (
    RunEntry(1, 1_000, RunKind.COMMAND, 1, argv=("apt-get", "install", "a b")),
    *(RunEntry(n, 2_000, RunKind.OUTPUT, 1, f"line {n}") for n in range(2, 502)),
    RunEntry(502, 3_000, RunKind.EXIT, 1, rc=-9, took_ms=2_000, text="ended because it took too long"),
)


def run(**changes: object) -> RunView:
    said = {"outcome": Outcome(), "state": "running", "note": "", "commands": decide.commands(ENTRIES),
            "entries": ENTRIES}  # fmt: skip
    return RunView(RUN, **{**said, **changes})  # type: ignore[arg-type]


def test_the_newest_lines_are_shown_and_what_is_not_is_said() -> None:
    shown = runs_view((run(),), run(), (), 10_000).shown
    assert shown is not None
    assert (len(shown.output), shown.before) == (LINES_SHOWN, "102 earlier entries are not on this page")
    assert shown.output[-1].text == "signal 9 after 2.00 s, ended because it took too long"
    (command,) = shown.commands
    assert (command.words, command.end.word, command.lines) == ("apt-get install 'a b'", "signal 9", "500")
    assert shown.what == "began 9 s ago, 1 command, 500 lines of output"


def test_without_runs_the_page_says_why() -> None:
    assert "older agents send no log" in runs_view((), None, (), 0).empty


def test_the_result_s_word_goes_before_the_log_s() -> None:
    ended = run(state="ended", outcome=Outcome("failed", "no_space", "Too little.", 9_500, "October"))
    (row,) = runs_view((ended,), None, (), 10_000).rows
    assert (row.state.word, row.of.text, row.took) == ("failed", "October", "8.50 s")


@pytest.mark.parametrize(("ms", "text"), [(310, "0.31 s"), (12_400, "12.4 s"), (200_000, "3 min")])
def test_durations(ms: int, text: str) -> None:
    assert took(ms) == text


def test_a_day_begins_and_ends_in_utc_and_nonsense_is_refused() -> None:
    assert (day_ms(""), day_ms("1970-01-02"), day_ms("1970-01-02", end=True)) == (0, 86_400_000, 172_800_000)
    with pytest.raises(Invalid, match="2026-11-26"):
        day_ms("26.11.2026")


def test_changes_lead_to_their_rollout_and_to_files_of_the_same_question() -> None:
    mine = ChangedBy("a", "amd64", "1", "2", "changed", 5_000, Author("ro_1", "October"))
    theirs = ChangedBy("b", "amd64", "", "1", "installed", 4_000)
    seen = changes_view(Story("ep_1", 7, 9_000, (mine, theirs), ("It begins here.",)), "", "", net=True, now_ms=9_000)
    assert [(r.what.word, r.by.text, r.by.href) for r in seen.rows] == [
        ("changed", "October", "/rollouts/ro_1"), ("installed", "outside of Brakeline", ""),
    ]  # fmt: skip
    assert seen.csv_href == "/api/v1/endpoints/ep_1/changes?since_ms=7&until_ms=9000&net=true&format=csv"


@pytest.mark.parametrize(
    ("state", "stop", "retry"),
    [("waiting", True, False), ("started", True, False), ("failed", False, True), ("proven", False, False)],
)
def test_only_what_can_be_done_is_offered(state: str, stop: bool, retry: bool) -> None:
    member = Member("ep_1", "web-1", "eu", "", "", state, "")
    row = place_row(ROLLOUT, member, may_stop=True, may_retry=True)
    assert (bool(row.stop_action), bool(row.retry_action)) == (stop, retry)
    nobody = place_row(ROLLOUT, member, may_stop=False, may_retry=False)
    assert (nobody.stop_action, nobody.retry_action) == ("", "")
