"""What lies ahead of a policy is foreseen by the same figures as a rollout's own page."""

from __future__ import annotations

import pytest

from brakeline.core.errors import Invalid
from brakeline.remediation.ahead import UPDATE, ahead, reached, smallest
from brakeline.rollout.forecast import forecast
from brakeline.rollout.pace import CHOICES, Risk, weigh
from brakeline.rollout.presets import policy_for

SIZES = (1, 6, 20, 300, 5_000, 100_000, 8_500_000)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pace", CHOICES)
def test_the_figures_are_those_of_a_rollout_of_that_many(size: int, pace: str) -> None:
    found = ahead(size, 2, pace)
    assert found.forecast == forecast(policy_for(size, pace), UPDATE, size, 2)
    option = next(o for o in weigh(Risk(assessed=False), UPDATE, size, 2) if o.pace == pace)
    assert found.harms == option.harms
    assert bool(found.two_people) == (pace != "careful")


def test_each_ring_says_the_smallest_harm_that_it_sees_or_that_proof_decides() -> None:
    few, many = ahead(6, 1, "careful"), ahead(8_500_000, 8, "careful")
    assert {smallest(r) for r in few.forecast.rings} == {"proof decides"}
    assert "No ring is large enough for statistics" in few.sentences[1]
    seeing = [r for r in many.forecast.rings if r.smallest is not None]
    assert [smallest(r) for r in seeing] == [f"{r.halts_at:,} silent ({100 * r.smallest:.2g} %)" for r in seeing]  # type: ignore[operator]
    assert "Ring 100 is the first to tell harm from chance" in many.sentences[1]


def test_hurrying_reaches_more_endpoints_before_a_fault_is_found() -> None:
    at_once = [ahead(8_500_000, 8, pace).harms[0] for pace in ("careful", "emergency")]
    assert at_once[0].taken < at_once[1].taken
    unseen = ahead(6, 1, "careful").harms[3]
    assert not unseen.found
    assert "not found in time" in reached(unseen)


def test_nobody_and_no_such_pace() -> None:
    assert ahead(0, 0, "fast").sentences == ("It concerns nobody now, so there is nothing ahead.",)
    with pytest.raises(Invalid, match="careful, fast, emergency"):
        ahead(5, 1, "rehearsal")
