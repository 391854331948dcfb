"""Which policies need a second person to start: those that are less careful than the careful one, in any respect."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.rollout.lanes import why_fast
from brakeline.rollout.model import Change, Guard, Pin, Policy, Ring
from brakeline.rollout.presets import for_release, policy_for

CHANGE = Change((Pin("libssl3", "3.0.17"),))
SIZES = (1, 2, 3, 6, 20, 21, 100, 999, 1001, 50_000)


@pytest.mark.parametrize("size", SIZES)
def test_the_careful_pace_is_careful_also_for_releases_and_exploited_findings(size: int) -> None:
    for change in (CHANGE, replace(CHANGE, exploited=True)):
        assert why_fast(policy_for(size), change, size) == ""
        assert why_fast(for_release(policy_for(size)), change, size) == ""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("pace", "bake"), [("fast", "6.25 h"), ("rehearsal", "1 min")])
def test_the_other_paces_are_fast(size: int, pace: str, bake: str) -> None:
    assert f"is watched for {bake} instead of 26 h" in why_fast(policy_for(size, pace), CHANGE, size)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"rings": (Ring("all", 26 * 3600, share=1.0),)}, "ring all reaches 100 endpoints where 2 are usual"),
        ({"rings": (Ring("canary", 26 * 3600, count=2), Ring("all", 26 * 3600, share=1.0))}, "where 10 are usual"),
        ({"checkpoints_s": (1800,)}, "the last checkpoint is after 30 min"),
        ({"quorum": 0.5}, "a quorum of 50%"),
        ({"enrolled": 0.5}, "50% of a ring"),
        ({"guard": Guard(alpha=0.001)}, "less sensitive"),
        ({"failure_baseline": 0.2}, "more failures"),
        ({"small_halts": 5}, "more failures"),
    ],
)
def test_a_policy_of_ones_own_is_fast_in_the_respect_in_which_it_is(fields: dict[str, object], says: str) -> None:
    assert says in why_fast(replace(policy_for(100), **fields), CHANGE, 100)  # type: ignore[arg-type]


def test_slower_and_smaller_is_careful() -> None:
    slow = Policy(
        (Ring("one", 100 * 3600, count=1), Ring("few", 100 * 3600, count=2), Ring("half", 50 * 3600, share=0.1),
         Ring("all", 50 * 3600, share=1.0)), guard=Guard(holdout=0.0, alpha=0.02), quorum=0.95,
    )  # fmt: skip
    assert why_fast(slow, CHANGE, 100) == ""
