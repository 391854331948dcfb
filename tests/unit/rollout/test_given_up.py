"""When waiting for the result of an endpoint of a small ring is over: for whom, after how long, and what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.rollout import brake
from brakeline.rollout.model import Arm, Change, Halt, Hold, Observed, Pin, Policy, Progress, Subject
from brakeline.rollout.planner import first_blueprint
from brakeline.rollout.presets import for_release, policy_for
from brakeline.rollout.summary import summarise

H_MS = 3_600_000
NOW_MS = 1_000 * H_MS
POLICY = policy_for(6)
GONE = Subject("ep_gone", Arm.TREATED, 0, 2, "eu", "server", 1, NOW_MS - 3 * H_MS, 2, progress=Progress.OFFERED,
               last_heard_ms=NOW_MS - 3 * H_MS)  # fmt: skip
CONTROL = replace(GONE, endpoint_id="ep_c", arm=Arm.CONTROL, progress=Progress.NONE, last_heard_ms=NOW_MS)
AWAY_A_DAY = replace(GONE, ready_ms=NOW_MS - 27 * H_MS, last_heard_ms=NOW_MS - 27 * H_MS)


def judged(subject: Subject, policy: Policy = POLICY, population: int = 6) -> brake.Judgement:
    away = population - 1
    observed = Observed(Change((Pin("curl", "2"),)), population, (subject, CONTROL), {"eu": ()}, {}, data_ms=NOW_MS,
                        eligible={"eu": away})  # fmt: skip
    return brake.judge(policy, summarise(policy, first_blueprint("ro_1", 0), observed, NOW_MS), NOW_MS)


def held(subject: Subject, policy: Policy = POLICY, population: int = 6) -> bool:
    return any(x.gate == brake.LOST for x in judged(subject, policy, population).lines)


def test_it_is_named_with_what_a_person_can_do() -> None:
    found = judged(GONE).verdict
    assert isinstance(found, Hold)
    assert found.reason.startswith("taken for lost: ep_gone, offered the change, told no result and not heard for 3 h")
    assert "resume, which sets it aside" in found.reason
    assert found.unproven, "who missed its offer may still get it again"


@pytest.mark.parametrize("progress", [Progress.OFFERED, Progress.STARTED])
def test_begun_or_not(progress: Progress) -> None:
    assert held(replace(GONE, progress=progress))


@pytest.mark.parametrize(
    ("why", "subject"),
    [
        ("it told its result", replace(GONE, progress=Progress.INSTALLED)),
        ("it is heard", replace(GONE, last_heard_ms=NOW_MS - 60_000)),
        ("too early", replace(GONE, ready_ms=NOW_MS - 2 * H_MS)),
        ("a person set it aside", replace(GONE, set_aside_ms=1)),
        ("a laptop's night", replace(GONE, machine_class="laptop")),
        ("said goodbye", replace(AWAY_A_DAY, asleep_now=True)),
    ],
)
def test_nobody_is_given_up_early(why: str, subject: Subject) -> None:
    assert not held(subject), why


def test_a_laptop_is_after_a_day_and_who_said_goodbye_after_a_week() -> None:
    assert held(replace(AWAY_A_DAY, machine_class="laptop"))
    week_ago = NOW_MS - 8 * 24 * H_MS
    assert held(replace(GONE, asleep_now=True, ready_ms=week_ago, last_heard_ms=week_ago))


def test_a_release_is_halted_by_it_and_a_large_ring_is_not_held() -> None:
    assert isinstance(judged(GONE, for_release(POLICY)).verdict, Halt)
    assert not held(GONE, policy_for(8_000), 8_000)
