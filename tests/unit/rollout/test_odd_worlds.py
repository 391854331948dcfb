"""Odd situations of the world: everybody offline, clocks put back. Nothing opens, and the reason is on the screen."""

from __future__ import annotations

from brakeline.rollout import planner
from brakeline.rollout.model import (
    Arm,
    Blocked,
    Blueprint,
    Change,
    Goal,
    Observed,
    Phase,
    Pin,
    Progress,
    State,
    Subject,
)
from brakeline.rollout.presets import policy_for

NOW_MS = 10_000_000_000
HOUR_MS = 3_600_000
CHANGE = Change((Pin("curl", "2"),))
POLICY = policy_for(6)
FIRST = planner.first_blueprint("ro_1", 0)
TAKEN = Subject("ep_1", Arm.TREATED, 0, 2, "eu", "server", 1, NOW_MS, 2, progress=Progress.INSTALLED,
                proven_ms=NOW_MS, last_heard_ms=NOW_MS)  # fmt: skip
RUNNING = Blueprint("ro_1", 2, 1, Phase.ROLLING, 0, NOW_MS, goals=(Goal("eu", 1),), ring_opened_ms=(NOW_MS,))
REST = tuple(range(2, 7))


def test_while_everybody_is_offline_nothing_is_offered_and_it_says_so() -> None:
    nobody = Observed(CHANGE, 6, (), {"eu": ()}, {"eu": ()}, eligible={"eu": 6}, data_ms=NOW_MS - 24 * HOUR_MS)
    opened, _ = planner.plan(POLICY, FIRST, nobody, NOW_MS)
    again, report = planner.plan(POLICY, opened, nobody, NOW_MS + 1000)
    assert (opened.gates, again.gates) == ((), ())
    line = next(x for x in report.stuck() if x.gate == "enrolled")
    assert line.text.endswith("none of the 6 that are left is here now, each gets its offer when it checks in")


def test_who_was_not_heard_for_a_week_takes_no_part_and_is_named() -> None:
    gone = tuple(Blocked(f"ep_{i}", "not_seen", f"web-{i} was not heard for a long time") for i in range(6))
    found, _ = planner.plan(POLICY, FIRST, Observed(CHANGE, 6, (), {"eu": ()}, {}, blocked=gone,
                                                    eligible={"eu": 0}), NOW_MS)  # fmt: skip
    assert found.phase is Phase.HOLDING
    assert "no endpoint can take part; ep_0: web-0 was not heard for a long time" in found.why


def test_a_server_clock_that_was_put_back_holds() -> None:
    seen = Observed(CHANGE, 6, (TAKEN,), {"eu": REST}, {"eu": REST}, data_ms=NOW_MS)
    found, report = planner.plan(POLICY, RUNNING, seen, NOW_MS - 24 * HOUR_MS)
    assert found.phase is Phase.HOLDING
    assert "lies 24 h 00 in the future: this server's clock was put back" in found.why
    assert next(x for x in report.lines if x.gate == "own data").state is State.HOLD


def test_a_clock_that_is_off_by_minutes_holds_nothing_and_opens_nothing() -> None:
    seen = Observed(CHANGE, 6, (TAKEN,), {"eu": REST}, {"eu": REST}, data_ms=NOW_MS)
    for late_ms in (-600_000, 0, 600_000):
        found, _ = planner.plan(POLICY, RUNNING, seen, NOW_MS + late_ms)
        assert (found.phase, found.ring, found.gates) == (Phase.ROLLING, 0, ())
