"""A drill on real endpoints: what it plans, whom it tells to fail, how it ends, what its report says."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from brakeline.core.errors import Invalid
from brakeline.drills import decide_real
from brakeline.drills.model import REAL_MAX, State
from brakeline.protocol.messages import DRILL_FAILURE
from brakeline.rollout import drilling, plan_lint, planner, view
from brakeline.rollout.model import Arm, Blueprint, Line, Phase, Progress, Subject, Wish
from brakeline.rollout.model import State as GateState
from brakeline.rollout.view import LogLine, RolloutView

POLICY = drilling.policy_of(4)
FAILURE = LogLine(9_000, "result", "ep_0", f"ep_0: failed, {DRILL_FAILURE}: a failure on purpose")
HALT = LogLine(9_500, "halted", "brakeline", "generation 3: explicit")


@dataclass(frozen=True)
class Place:
    endpoint_id: str
    region: str
    u: int


def seen(phase: Phase, *log: LogLine, ring: int = 0) -> RolloutView:
    """A drill over four endpoints, one of which took it and failed."""
    blueprint = Blueprint("ro_1", 2, 1, phase, ring, planner.first_blueprint("ro_1", 0).made_ms)
    names = [view.TargetName(f"ep_{n}", f"host-{n}", "eu", "") for n in range(4)]
    took = Subject("ep_0", Arm.TREATED, 0, 0, "eu", "server", 1, 1_000, 1, progress=Progress.FAILED, explicit=True)
    return view.build(
        rollout_id="ro_1", title="Drill", change=drilling.change_of("dr_1", 4), policy=POLICY, attributes=(),
        created_ms=0, created_by="x", wish=Wish.RUN, blueprint=blueprint,
        lines=(Line("state", GateState.HALT, "halted: explicit"),), names=names, subjects=[took], samples=[], log=log,
        population=4, now_ms=10_000,
    )  # fmt: skip


@pytest.mark.parametrize("endpoints", [1, 2, 6, 21, 500, REAL_MAX])
@pytest.mark.parametrize("fails", [0, 1, None])
def test_a_plan_can_be_run_and_says_that_nothing_is_changed(endpoints: int, fails: int | None) -> None:
    plan = decide_real.plan_of(endpoints, 2, fails, "tag:web", consent=True)
    assert plan.fails == (endpoints if fails is None else fails)
    assert plan.rings[-1].upto == endpoints
    assert plan.longest_s > 0
    assert "no package, file, service or setting is touched" in plan.sentences[1]
    assert ("must end braked" if plan.fails else "must complete") in plan.sentences[0]
    policy = drilling.policy_of(endpoints)
    assert not plan_lint.problems(policy, drilling.change_of("dr_1", plan.fails), endpoints)
    assert policy.small_halts == 1
    assert policy.check_in_interval_s <= 60, "never slower than endpoints check in anyway"


@pytest.mark.parametrize(
    ("endpoints", "fails", "says"), [(0, None, "no active endpoint"), (REAL_MAX + 1, 0, "filter"), (5, 6, "0 .* to 5")]
)
def test_what_cannot_be_run_says_why(endpoints: int, fails: int | None, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        decide_real.check(endpoints, fails)


def test_the_lowest_draws_fail_region_after_region() -> None:
    places = [Place(f"{region}{n}", region, 10 * n + at) for at, region in enumerate("ab") for n in range(3)]
    assert drilling.failing(places, 0) == frozenset()
    assert drilling.failing(places, 1) == {"a0"}
    assert drilling.failing(places, 3) == {"a0", "b0", "a1"}
    assert len(drilling.failing(places, 99)) == 6


def test_a_halt_counts_once_everybody_who_was_heard_knows() -> None:
    halted, everybody = seen(Phase.HALTED, HALT, FAILURE), frozenset({"ep_0", "ep_1"})
    assert decide_real.over(halted, 4, {"ep_0": 1}, everybody, 0, POLICY) is None
    assert decide_real.over(halted, 4, {"ep_0": 1, "ep_1": 2}, everybody, 0, POLICY) is State.HALTED


@pytest.mark.parametrize(
    ("phase", "fails", "held_s", "state"),
    [
        (Phase.COMPLETED, 0, 0, State.PASSED), (Phase.COMPLETED, 2, 0, State.MISSED), (Phase.ROLLING, 2, 0, None),
        (Phase.HOLDING, 2, 1e6, State.HELD), (Phase.HOLDING, 0, 1e6, None), (Phase.WITHDRAWN, 0, 0, State.STOPPED),
    ],
)  # fmt: skip
def test_every_other_end(phase: Phase, fails: int, held_s: float, state: State | None) -> None:
    assert decide_real.over(seen(phase), fails, {}, frozenset(), held_s, POLICY) is state


def test_the_report_measures_from_evidence_to_the_last_one_told() -> None:
    found = seen(Phase.HALTED, HALT, FAILURE)
    evidence = decide_real.evidence_ms(found)
    report = decide_real.report_of(found, 4, {"ep_0": 9_600, "ep_1": 10_100, "ep_9": 1}, frozenset({"ep_0", "ep_1"}),
                                   evidence)  # fmt: skip
    assert (evidence, report.to_halt_s, report.to_last_told_s) == (9_000, 0.5, 0.6)
    assert (report.offered, report.harmed, report.spared, report.told, report.to_tell) == (1, 1, 3, 2, 2)
    said = decide_real.told_of(State.HALTED, report)
    assert said.startswith("BRAKED in the first ring: 1 reported the ordered failure, 3 of 4 real endpoints")
    assert "nothing was changed" in said
    pressed = seen(Phase.HALTED, HALT, LogLine(9_400, "brake", "Olga", "brake"))
    assert decide_real.evidence_ms(pressed) == 9_400, "a press is evidence too"
    assert decide_real.report_of(None, 4, {}, frozenset(), 0).phase == ""
