"""Plans as people write them: the examples, what is refused, and that nothing written is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brakeline.cli.plan_file import read_plan
from brakeline.core.errors import Invalid
from brakeline.protocol.codec import Malformed
from brakeline.rollout import plan_lint, plans
from brakeline.rollout.lanes import why_fast
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.presets import policy_for

EXAMPLES = Path(__file__).parents[3] / "examples" / "plans"
CHANGE = Change((Pin("libssl3", "3.0.17"),))
RINGS: Any = [{"name": "canary", "count": 2, "bake_s": "26 h"}, {"name": "all", "share": 1, "bake_s": 93_600}]
MILLIONS = 8_500_000


@pytest.mark.parametrize(("file", "size"), [("careful-thousands.yaml", 4_000), ("emergency.yaml", MILLIONS)])
def test_the_examples_are_plans_that_work(file: str, size: int) -> None:
    assert {p.name for p in EXAMPLES.iterdir()} == {"careful-thousands.yaml", "emergency.yaml"}
    policy = plans.parse(read_plan(EXAMPLES / file))
    assert plan_lint.problems(policy, CHANGE, size) == ()
    hurried = {"rare-harm-that-a-large-step-meets", "nobody-is-held-out"}
    assert {n.rule for n in plan_lint.notes(policy, CHANGE, size)} == (hurried if size == MILLIONS else set())


def test_the_example_of_the_emergency_lane_is_the_lane() -> None:
    assert plans.parse(read_plan(EXAMPLES / "emergency.yaml")) == policy_for(MILLIONS, "emergency")


def test_the_careful_example_takes_nobody_s_agreement() -> None:
    assert why_fast(plans.parse(read_plan(EXAMPLES / "careful-thousands.yaml")), CHANGE, 4_000) == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("26 h", 93_600), ("6h15min", 22_500), ("6 h 15 m", 22_500), ("90 s", 90), ("1 d 1 h", 90_000)],
)
def test_durations_may_be_written_as_people_say_them(text: str, seconds: int) -> None:
    rings = [{"name": "all", "share": 1, "bake_s": text}]
    policy = plans.parse({"rings": rings, "checkpoints_s": ["30 min", 8_100]})
    assert (policy.rings[0].bake_s, policy.checkpoints_s) == (seconds, (1_800, 8_100))


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ({"rings": RINGS, "bake": 5}, r"plan: there is no key 'bake'; .*There are rings, guard, checkpoints_s"),
        ({"rings": [{"name": "x", "bakes_s": 1}]}, r"plan\.rings\[0\]: .*did you mean bake_s\? There are name, bake_s"),
        ({"rings": RINGS, "guard": {"alfa": 0.1}}, r"plan\.guard: .*did you mean alpha\?"),
        ({"rings": RINGS, "tick_s": "soon"}, r"plan\.tick_s: 'soon' is no duration; write seconds, or 26 h"),
        ({"rings": RINGS, "tick_s": ""}, "is no duration"),
    ],
)
def test_what_nobody_understands_is_refused_with_what_there_is(plain: Any, says: str) -> None:
    with pytest.raises(plans.BadPlan, match=says):
        plans.parse(plain)


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ({"rings": "many"}, r"plan\.rings: expected a list"),
        ({}, "plan: rings is missing"),
        ([], "expected an object"),
        (None, "expected an object"),
        ({"rings": RINGS, "quorum": "most"}, r"plan\.quorum: expected float"),
    ],
)
def test_what_has_the_wrong_type_is_refused_with_its_place(plain: Any, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        plans.parse(plain)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rings: [", "no policy file"),
        ("{", "no policy file"),
        ("rings: 1\nrings: 2\n", "line 1: the key 'rings' stands there twice"),
        ("tick_s: 6:15\nrings: []\n", "write 6 h 15 min, not '6:15'"),
        ("a: &a [1]\nb: [*a, *a]\n", "a plan has no aliases"),
        ("a: !!python/object/apply:os.system ['true']\n", "no policy file"),
        ("x: " + "y" * 70_000, "more than 65536 bytes"),
        ("\x00", "no policy file"),
    ],
)
def test_a_file_that_is_no_plan_says_why(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    with pytest.raises(Invalid, match=says):
        read_plan(file)


def test_json_is_read_with_tabs_and_all(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text('{\n\t"rings": [\n\t\t{"name": "all", "share": 1, "bake_s": 60}]}')
    assert plans.parse(read_plan(file)).rings[0].bake_s == 60
