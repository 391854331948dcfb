"""What a preview promises: no ring earlier than its policy allows, and the smallest harm that each can see."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from brakeline.rollout import arms
from brakeline.rollout.forecast import forecast, over_weekend
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.presets import policy_for

CHANGE = Change((Pin("libssl3", "3.0.17"),))
SIZES = (1, 6, 20, 21, 200, 5_000, 99_999, 100_000, 8_500_000)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pace", ["careful", "fast", "rehearsal"])
def test_rings_follow_one_another_and_reach_what_the_plan_reaches(size: int, pace: str) -> None:
    policy = policy_for(size, pace)
    found = forecast(policy, CHANGE, size, 2)
    assert found.rings[0].opens_s == 0
    for earlier, later in zip(found.rings, found.rings[1:], strict=False):
        assert later.opens_s == earlier.done_s
        assert later.upto == earlier.upto + later.treated
    assert found.rings[-1].upto <= size
    baking = sum(ring.bake_s for ring, _ in arms.rings_for(policy, CHANGE, size))
    assert found.finish_s == found.rings[-1].done_s >= baking


@pytest.mark.parametrize("size", SIZES)
def test_what_a_ring_sees_is_a_share_of_its_own_endpoints(size: int) -> None:
    for ring in forecast(policy_for(size), CHANGE, size).rings:
        assert (ring.halts_at is None) == (ring.smallest is None) == (ring.exposed is None)
        if ring.smallest is not None:
            assert 0 < ring.smallest <= 1
            assert ring.exposed == ring.upto


def test_six_endpoints_see_nothing_and_millions_see_ever_smaller_harm() -> None:
    assert forecast(policy_for(6), CHANGE, 6).first_seeing == ""
    found = forecast(policy_for(8_500_000), CHANGE, 8_500_000, 8)
    assert found.first_seeing == "100"
    seen = [r.smallest for r in found.rings if r.smallest is not None]
    assert seen[:4] == sorted(seen[:4], reverse=True), "as long as there are nine controls for each"
    assert max(seen[3:]) < 0.001


def test_regions_one_after_another_take_their_time() -> None:
    policy = policy_for(100_000)
    one, eight = (forecast(policy, CHANGE, 100_000, n).finish_s for n in (1, 8))
    assert eight - one == 7 * policy.region_stagger_s * len(arms.rings_for(policy, CHANGE, 100_000))


@pytest.mark.parametrize(
    ("size", "pace", "starts", "ends"),
    [
        (8_500_000, "careful", datetime(2026, 11, 27, 9, tzinfo=UTC), "Tuesday, 2026-12-08 19:30"),  # a Friday
        (8_500_000, "careful", datetime(2026, 11, 23, 9, tzinfo=UTC), ""),  # a Monday
        (8_500_000, "fast", datetime(2026, 11, 27, 9, tzinfo=UTC), "Monday, 2026-11-30 16:45"),
        (8_500_000, "rehearsal", datetime(2026, 11, 28, 9, tzinfo=UTC), ""),
    ],
)
def test_a_last_ring_that_opens_on_a_weekend_ends_after_it(size: int, pace: str, starts: datetime, ends: str) -> None:
    policy = policy_for(size, pace)
    found = over_weekend(forecast(policy, CHANGE, size, 8), round(starts.timestamp() * 1000), policy.enrolled)
    assert (found is not None) == bool(ends)
    if found is not None:
        when = f"{datetime.fromtimestamp(found.ends_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
        assert found.says(when).endswith(f"it ends about {ends} UTC.")
