"""Accepted risk: when it holds, on whom, and that it ends by itself; what the filter of the list makes of it."""

from __future__ import annotations

import pytest

from brakeline.core.errors import Invalid
from brakeline.exposure.acceptance import (
    NOBODY,
    Acceptance,
    Accepted,
    Standing,
    accepted_on,
    by_cve,
    counted,
    standing,
    takes_two,
)
from brakeline.exposure.due import Due, TwoPeople
from brakeline.exposure.listing import beside, parse
from brakeline.exposure.marks import UNMARKED, Mark

ONE = Acceptance("ac_1", "CVE-2025-1", "", "behind a proxy", False, 1000, "Ada", "Ada", 1, 5000)
TODAY = "2026-11-26"


def test_it_ends_by_itself_by_somebody_or_by_becoming_exploited() -> None:
    assert standing(ONE, 4999, frozenset()) is Standing.FORCE
    assert standing(ONE, 5000, frozenset()) is Standing.EXPIRED
    assert standing(ONE._replace(ended_ms=2000), 3000, frozenset()) is Standing.ENDED
    assert standing(ONE, 3000, {"CVE-2025-1"}) is Standing.EXPLOITED
    assert standing(ONE._replace(exploited=True), 3000, {"CVE-2025-1"}) is Standing.FORCE


def test_it_is_counted_where_it_applies_and_only_there() -> None:
    web = ONE._replace(id="ac_2", filter="tag:web", until_ms=9000)
    assert counted(["a", "b"], []) is NOBODY
    assert counted(["a", "b"], [(web, {"b", "c"})]) == Accepted(1, 9000, whole=False)
    assert counted(["a", "b"], [(web, {"b"}), (ONE, None)]) == Accepted(2, 5000, whole=True)
    assert counted([], [(ONE, None)]) is NOBODY
    assert accepted_on("CVE-2025-1", "b", [(ONE, None), (web, {"b"})]) == 9000
    assert accepted_on("CVE-2025-2", "b", [(ONE, None)]) == 0
    assert accepted_on("CVE-2025-1", "a", [(web, frozenset())]) == 0


def test_reaches_are_kept_by_cve() -> None:
    other = ONE._replace(id="ac_3", cve="CVE-2025-2")
    assert {cve: len(found) for cve, found in by_cve([(ONE, None), (other, None), (ONE, {"a"})]).items()} == {
        "CVE-2025-1": 2, "CVE-2025-2": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "exploited", "two"),
    [
        (TwoPeople.NEVER, True, False), (TwoPeople.EXPLOITED, True, True), (TwoPeople.EXPLOITED, False, False),
        (TwoPeople.ALWAYS, False, True),
    ],
)  # fmt: skip
def test_when_it_takes_two_people(rule: TwoPeople, *, exploited: bool, two: bool) -> None:
    assert takes_two(rule, exploited=exploited) is two


LATE = Mark(NOBODY, Due("2026-11-20", 6, "high", ""))
WHOLE = LATE._replace(accepted=Accepted(3, 5000, whole=True))
PARTLY = LATE._replace(accepted=Accepted(1, 5000, whole=False))
SOON = Mark(NOBODY, Due("2026-11-30", 0, "high", ""))


@pytest.mark.parametrize(
    ("query", "marks"),
    [
        ("due:overdue", [LATE, PARTLY]), ("due:<7d", [LATE, PARTLY, SOON]), ("due:<2d", [LATE, PARTLY]),
        ("due:none", [UNMARKED]), ("accepted:yes", [WHOLE]), ("accepted:partly", [PARTLY]),
        ("accepted:no", [LATE, SOON, UNMARKED]), ("accepted:no due:overdue", [LATE]), ("curl", [LATE, WHOLE, UNMARKED]),
    ],
)  # fmt: skip
def test_the_filter_of_the_list(query: str, marks: list[Mark]) -> None:
    wanted = parse(query)
    found = [m for m in (LATE, WHOLE, PARTLY, SOON, UNMARKED) if beside(m, wanted, TODAY)]
    assert all(m in found for m in marks)
    if query != "curl":
        assert found == [m for m in (LATE, WHOLE, PARTLY, SOON, UNMARKED) if m in marks]


@pytest.mark.parametrize("query", ["due:soon", "due:<7", "due:<9999d", "accepted:maybe"])
def test_a_value_that_is_not_understood_is_no_answer(query: str) -> None:
    with pytest.raises(Invalid, match="cannot be"):
        parse(query)
