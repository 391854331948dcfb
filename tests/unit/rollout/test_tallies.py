"""What the executor keeps between two steps: right whatever it forgets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.rollout.test_tally import POLICY, History, plain

from brakeline.rollout.summary import summarise
from brakeline.rollout.tallies import KEPT_MAX, Tallies


def anew(story: History, policy: object = POLICY) -> dict[str, object]:
    return plain(summarise(policy, story.blueprint(), story.observed(), story.now_ms))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_step_after_step_it_counts_as_if_anew(seed: int) -> None:
    story, kept = History(seed), Tallies()
    for _ in range(12):
        story.step()
        assert plain(kept.count(POLICY, story.blueprint(), story.observed(), story.now_ms)) == anew(story)
    assert len(kept) == 1


def test_another_policy_and_subjects_that_are_gone_are_counted_anew() -> None:
    story, kept = History(4), Tallies()
    for _ in range(8):
        story.step()
    kept.count(POLICY, story.blueprint(), story.observed(), story.now_ms)
    slower = replace(POLICY, checkpoints_s=(3600, 7200))
    assert plain(kept.count(slower, story.blueprint(), story.observed(), story.now_ms)) == anew(story, slower)
    for key in list(story.subjects)[::2]:
        del story.subjects[key]
    assert plain(kept.count(slower, story.blueprint(), story.observed(), story.now_ms)) == anew(story, slower)


def test_of_many_rollouts_the_least_recently_led_is_forgotten_and_counted_again() -> None:
    story, kept = History(5), Tallies()
    for _ in range(6):
        story.step()
    for i in [*range(KEPT_MAX + 3), 0]:
        blueprint = replace(story.blueprint(), rollout_id=f"ro_{i}")
        assert plain(kept.count(POLICY, blueprint, story.observed(), story.now_ms)) == anew(story)
    assert len(kept) == KEPT_MAX
