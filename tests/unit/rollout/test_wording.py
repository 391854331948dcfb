"""Reasons as people read them: the state once, the ring once, host names instead of ids."""

from __future__ import annotations

import pytest

from brakeline.rollout.wording import reason

ONE, OTHER = "ep_01M82P53Z6D4HM9ZN7VR9ZMHNC", "ep_01M82P53QZDWRGMAQJYH9Q0H6Z"


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("rolling: ring canary; ring canary: bake time is over", "ring canary: bake time is over"),
        (f"rolling: ring canary; waiting for the result of 1: {ONE}", "ring canary: waiting for the result of 1: eu2"),
        ("ring canary opened: up to 1 of 6 endpoints", "ring canary opened: up to 1 of 6 endpoints"),
        ("holding: paused by me: lunch; back at one", "paused by me: lunch; back at one"),
        (f"halted: 2 of 3 treated failed; {ONE}: why; {OTHER}: why", f"2 of 3 treated failed; eu2: why; {OTHER}: why"),
        ("rolling: ring all; ring canary: a line of another ring", "ring all: ring canary: a line of another ring"),
    ],
)
def test_a_reason_says_everything_once(why: str, said: str) -> None:
    assert reason(why, {ONE: "eu2"}) == said
