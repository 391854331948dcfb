"""Drills and replays as their pages say them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.drills.test_decide import BAD, seen

from brakeline.core.errors import Conflict, Invalid
from brakeline.drills import decide, present
from brakeline.drills.decide import Twin
from brakeline.drills.model import Drill, State
from brakeline.drills.replaying import Key, Replays, text
from brakeline.rollout.model import Phase
from brakeline.sim import incidents, replay

DATA = Path(__file__).resolve().parents[2] / "data/incidents/incidents.json"
DRILL = Drill("dr_1", "bad-release", 300, 1_000, "Olga", State.RUNNING, 0, "", None)


def test_a_running_drill_can_be_stopped_by_who_may_and_one_that_is_over_by_nobody() -> None:
    assert present.view(DRILL, 2_000, may_stop=True).stop_action == ""
    report = decide.report_of(BAD, decide.policy_of(300), None, [Twin(n) for n in range(300)], 4, 0)
    running = replace(DRILL, report=report)
    assert present.view(running, 2_000, may_stop=True).stop_action == "/drills/dr_1/stop"
    assert present.view(running, 2_000, may_stop=False).stop_action == ""
    assert present.view(replace(running, state=State.HALTED), 2_000, may_stop=True).stop_action == ""


def test_real_endpoints_are_spoken_of_apart() -> None:
    report = decide.report_of(BAD, decide.policy_of(300), seen(Phase.HALTED), [Twin(n) for n in range(300)], 4, 0)
    view = present.view(replace(DRILL, state=State.HALTED, report=report, why="x"), 2_000, may_stop=True)
    assert view.real.startswith("4 real endpoints are in this organisation; none of them was asked")
    assert {c.id for row in view.grid for c in row.cells} >= {"drill-east-canary", "drill-west-all"}


def test_a_drill_without_a_report_says_so_and_is_not_green() -> None:
    view = present.view(replace(DRILL, state=State.BROKEN_OFF, why="the server ended"), 2_000, may_stop=True)
    assert (view.alert, view.alert_tone) == ("the server ended", "warn")
    assert view.kpis == ()


def test_the_file_of_incidents_that_ships_is_the_one_that_is_tested() -> None:
    assert json.loads(text()) == json.loads(DATA.read_text(encoding="utf-8"))


def test_a_replay_is_shown_beside_other_rules() -> None:
    found = incidents.parse(text())[:1]
    answer = replay.replay(found, replay.Request(2_000, 1))
    (row,) = present.replay_rows(answer)
    assert row.title == found[0].title
    assert row.naive.replace(",", "").isdigit()
    assert present.benign(answer).startswith("2,000 endpoints, one history each. A harmless change beside them: 0 of 1")


@pytest.mark.parametrize(("endpoints", "seeds"), [(99, 1), (10**9, 1), (1_000, 0), (1_000, 6)])
def test_a_replay_has_bounds(endpoints: int, seeds: int) -> None:
    with pytest.raises(Invalid, match="drill replay"):
        Replays().begin(endpoints, seeds)


def test_one_replay_at_a_time() -> None:
    replays = Replays()
    replays.running = Key(500, 1)
    with pytest.raises(Conflict):
        replays.begin(1_000, 1)
