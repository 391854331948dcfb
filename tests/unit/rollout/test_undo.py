"""Who takes part in a rollback, in which order, and why others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.rollout import arms
from brakeline.rollout.lanes import why_fast
from brakeline.rollout.model import ROLLBACK, Change, Harmed, Pin, Progress
from brakeline.rollout.undo import (
    OLDER,
    PROVEN_HARM,
    UNTOLD,
    Exposed,
    Told,
    UndoPlan,
    judged,
    left_out_line,
    planned,
    policy_of,
)

GOOD = Told(
    "ep_1", "web-1", "eu", Progress.INSTALLED, explicit=False, unhealthy=0, detail="", told=True, changed=True,
    kept=True, packages=2,
)  # fmt: skip


def able(count: int, harmed: int) -> UndoPlan:
    told = [replace(GOOD, endpoint_id=f"ep_{i:03}", explicit=i < harmed) for i in range(count)]
    return planned("ro_1", "openssl", ("openssl 2",), told, frozenset(t.endpoint_id for t in told), "careful")


@pytest.mark.parametrize(
    ("told", "harm", "code", "reason"),
    [
        (GOOD, "", "", ""),
        (replace(GOOD, explicit=True, detail="postinst returned 1"), "postinst returned 1", "", ""),
        (replace(GOOD, explicit=True), "it failed through the update itself", "", ""),
        (replace(GOOD, unhealthy=2), "unhealthy since", "", ""),
        (replace(GOOD, kept=False, code="gone", reason="x 1 is gone"), "", "gone", "x 1 is gone"),
        (replace(GOOD, kept=None), "", "older_agent", OLDER),
        (replace(GOOD, told=False, progress=Progress.STARTED), "", "untold", UNTOLD),
        (replace(GOOD, told=False, changed=False, progress=Progress.OFFERED), "", "untold", UNTOLD),
    ],
)
def test_each_treated_endpoint_has_a_way_back_or_a_reason(told: Told, harm: str, code: str, reason: str) -> None:
    found = judged(told, active=True)
    assert found is not None
    assert (found.harm, found.code) == (harm, code)
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    "told",
    [
        replace(GOOD, changed=False),
        replace(GOOD, back=True),
        replace(GOOD, told=False, progress=Progress.REFUSED),
        replace(GOOD, told=False, progress=Progress.EXPIRED),
    ],
)
def test_where_nothing_was_changed_there_is_nothing_to_take_back(told: Told) -> None:
    assert judged(told, active=True) is None


def test_an_endpoint_that_is_not_managed_any_more_is_named() -> None:
    found = judged(GOOD, active=False)
    assert found is not None
    assert found.code == "not_active"


@pytest.mark.parametrize("count", [1, 5, 20, 120, 3_000, 40_000])
@pytest.mark.parametrize("harmed", [0, 1, 2, 7])
def test_a_ring_ends_where_the_harmed_end_and_none_is_larger_than_usual(count: int, harmed: int) -> None:
    plan = able(count, min(harmed, count))
    policy, change = policy_of(plan, "careful"), Change((Pin("openssl", "2"),), kind=ROLLBACK)
    uptos = [upto for _, upto in arms.rings_for(policy, change, count)]
    assert uptos[-1] == count, "nobody is held out"
    if harmed:
        assert len(plan.first) in uptos
    assert why_fast(policy, change, count) == ""
    if plan.first and PROVEN_HARM in dict(plan.rings):
        assert dict(plan.rings)[PROVEN_HARM] == len(plan.first)


def test_places_of_the_harmed_are_in_their_regions() -> None:
    change = Change((), kind=ROLLBACK, harmed=(Harmed("eu", 1), Harmed("us", 3)))
    sizes = {"ap": 10, "eu": 10, "us": 10}
    assert arms.goals(change, 4, sizes) == {"ap": 0, "eu": 1, "us": 3}
    assert sum(arms.goals(change, 2, sizes).values()) == 2
    assert arms.goals(change, 2, sizes)["ap"] == 0
    assert arms.goals(change, 30, sizes) == sizes
    assert sum(arms.goals(change, 17, sizes).values()) == 17
    assert arms.goals(Change(()), 7, sizes) == arms.allot(7, sizes), "any other change as before"


def test_draws_keep_their_order_and_the_harmed_lie_below_everybody() -> None:
    us = [0, 1, 1 << 40, (1 << 61) + 5, arms.U_END - 1]
    harmed = [arms.ahead(u, harmed=True) for u in us]
    others = [arms.ahead(u, harmed=False) for u in us]
    assert harmed == sorted(harmed)
    assert others == sorted(others)
    assert max(harmed) < min(others)
    assert min(harmed) >= 0
    assert max(others) < arms.U_END


def test_the_report_names_who_keeps_the_update_and_why() -> None:
    left = tuple(Exposed(f"ep_{i}", f"web-{i}", "eu", "", "gone", "openssl 1 is gone") for i in range(7))
    line = left_out_line(left)
    assert line.text.startswith("7 keep the update until somebody sees to them: web-0: openssl 1 is gone; web-1")
    assert line.text.endswith(" and 2 more")
