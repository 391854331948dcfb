"""Plans that are refused, each with what to write instead, and plans that are noted; ready-made ones are neither."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.rollout import plan_lint
from brakeline.rollout.model import Change, Guard, Pin, Policy, Ring
from brakeline.rollout.presets import PACES, policy_for

CHANGE = Change((Pin("libssl3", "3.0.17"),))
GOOD = Policy((Ring("canary", 3600, count=2), Ring("all", 3600, share=1.0)))
SIZES = (1, 2, 6, 20, 21, 200, 2_000, 50_000, 100_000, 8_500_000)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pace", PACES)
def test_every_ready_made_plan_is_accepted(pace: str, size: int) -> None:
    assert plan_lint.problems(policy_for(size, pace), CHANGE, size) == ()


@pytest.mark.parametrize(
    ("fields", "rule", "says"),
    [
        ({"quorum": 1.2}, "it-can-finish", "more than 1 is never reached"),
        ({"enrolled": 1.01}, "it-can-finish", "more than 1 is never reached"),
        ({"tick_s": 0}, "it-can-finish", "nothing is ever offered"),
        ({"offers_per_tick": 0}, "it-can-finish", "nothing is ever offered"),
        ({"offer_lifetime_s": 30}, "it-can-finish", "expire unseen"),
        ({"data_age_max_s": 30}, "it-can-finish", "would always hold"),
        ({"rings": (Ring("a", 400 * 86_400, count=2), Ring("b", 1, share=1.0))}, "it-can-finish", "365 at most"),
        ({"offers_per_tick": 1, "tick_s": 86_400}, "it-can-finish", "allow more offers_per_tick"),
        ({"rings": (Ring("a", -1, count=2), Ring("b", 1, share=1.0))}, "times-are-not-negative", "bake_s"),
        ({"checkpoints_s": (0, 60)}, "times-are-not-negative", "checkpoints_s"),
        ({"check_in_interval_s": 0}, "times-are-not-negative", "check_in_interval_s"),
        ({"guard": Guard(controls_per_treated=0)}, "there-is-something-to-compare-with", "without a control arm"),
        ({"guard": Guard(controls_share=2.0)}, "there-is-something-to-compare-with", "controls_share a share"),
        ({"guard": Guard(holdout=0.9)}, "there-is-something-to-compare-with", "holdout is a share"),
        ({"rings": (Ring("a", 1, count=2), Ring("a", 1, share=1.0))}, "rings-say-what-they-do", "two rings are called"),
        ({"rings": (Ring(" ", 1, count=2), Ring("b", 1, share=1.0))}, "rings-say-what-they-do", "needs a name"),
        ({"rings": (Ring("only", 1, count=3),)}, "rings-say-what-they-do", "for 3 of 400 endpoints"),
        ({"rings": (Ring("half", 1, share=0.5),)}, "rings-say-what-they-do", "for 200 of 400 endpoints"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(fields: dict[str, object], rule: str, says: str) -> None:
    found = plan_lint.problems(replace(GOOD, **fields), CHANGE, 400)  # type: ignore[arg-type]
    assert rule in {f.rule for f in found}
    assert any(says in f.text for f in found if f.rule == rule)


@pytest.mark.parametrize(
    ("rings", "size", "says"),
    [
        ((Ring("wide", 30_000, count=900), Ring("all", 30_000, share=1.0)), 6, "there are 6: it ends at everybody"),
        ((Ring("wide", 30_000, count=900), Ring("all", 30_000, share=1.0)), 6, "takes all 6 endpoints at once"),
        ((Ring("a", 30_000, count=5), Ring("b", 30_000, count=3), Ring("c", 30_000, share=1.0)), 9, "adds nobody"),
        ((Ring("a", 60, count=5), Ring("c", 30_000, share=1.0)), 9, "watched for 60 s"),
    ],
)
def test_what_does_other_than_it_says_is_noted(rings: tuple[Ring, ...], size: int, says: str) -> None:
    assert plan_lint.problems(Policy(rings), CHANGE, size) == ()
    assert any(says in f.text for f in plan_lint.notes(Policy(rings), CHANGE, size))


def test_a_good_plan_has_no_notes() -> None:
    careful = policy_for(2_000)
    assert plan_lint.notes(careful, CHANGE, 2_000) == ()


def test_a_hurried_plan_says_what_its_steps_and_its_missing_hold_out_trade() -> None:
    notes = {n.rule: n.text for n in plan_lint.notes(policy_for(8_500_000, "fast"), CHANGE, 8_500_000)}
    assert set(notes) == {"rare-harm-that-a-large-step-meets", "nobody-is-held-out"}
    assert "ring 80,000 is 39 times all that came before" in notes["rare-harm-that-a-large-step-meets"]
    assert plan_lint.notes(policy_for(8_500_000), CHANGE, 8_500_000) == ()
    exploited = replace(CHANGE, exploited=True)
    assert "nobody-is-held-out" not in {
        n.rule for n in plan_lint.notes(policy_for(8_500_000, "fast"), exploited, 8_500_000)
    }
