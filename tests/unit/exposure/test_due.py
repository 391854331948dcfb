"""By when a finding is due: each class, the catalogue's own date, what has no date, and what counts as looser."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.model import KnownExploited, Severity
from brakeline.exposure.due import CLASSES, DEFAULTS, TwoPeople, class_of, due_of, due_within, loosened
from brakeline.exposure.priority import Facts

TODAY = "2026-11-26"


def facts(score: float | None = None, days: int | None = 0, kev: KnownExploited | None = None, *, runs: bool = True
          ) -> Facts:  # fmt: skip
    severity = None if score is None else Severity("CVE-2025-1", "v", "3.1", score, "NVD")
    return Facts(kev, None, severity, False, runs, days, TODAY)


def kev(added: str, due: str) -> KnownExploited:
    return KnownExploited("CVE-2025-1", added, due)


@pytest.mark.parametrize(
    ("score", "kind", "day"),
    [
        (9.8, "critical", "2026-12-11"), (7.0, "high", "2026-12-26"), (4.0, "moderate", "2027-02-24"),
        (3.9, "low", "2027-05-25"), (None, "unscored", "2026-12-26"),
    ],
)  # fmt: skip
def test_each_class_has_its_term_from_when_it_became_known_here(score: float | None, kind: str, day: str) -> None:
    found = due_of(facts(score), DEFAULTS)
    assert (found.kind, found.day, found.late) == (kind, day, 0)
    assert "from when it became known here" in found.why


def test_the_last_day_is_in_time_and_the_next_is_not() -> None:
    assert due_of(facts(9.8, 15), DEFAULTS)[:2] == (TODAY, 0)
    late = due_of(facts(9.8, 16), DEFAULTS)
    assert (late.day, late.late, late.overdue) == ("2026-11-25", 1, True)


def test_what_is_exploited_counts_from_when_the_catalogue_named_it() -> None:
    found = due_of(facts(9.8, 300, kev("2026-11-20", "2027-01-01")), DEFAULTS)
    assert (found.kind, found.day) == ("exploited", "2026-12-04")
    assert "the catalogue named it" in found.why


def test_the_catalogue_s_own_date_counts_where_it_is_earlier_unless_turned_off() -> None:
    known = kev("2026-11-20", "2026-11-25")
    found = due_of(facts(9.8, 2, known), DEFAULTS)
    assert (found.day, found.late) == ("2026-11-25", 1)
    assert "earlier than your term" in found.why
    own = due_of(facts(9.8, 2, known), DEFAULTS._replace(catalogue=False))
    assert (own.day, own.late) == ("2026-12-08", 0)


def test_what_is_not_known_is_not_due_and_that_is_said() -> None:
    assert due_of(facts(9.8, None), DEFAULTS).why == "no date: since when it stands open is not known"
    assert due_of(facts(9.8, 400, runs=False), DEFAULTS)[:2] == ("", 0)
    only = due_of(facts(None, None, kev("2026-11-01", "2026-11-22")), DEFAULTS)
    assert (only.day, only.late) == ("2026-11-22", 4)
    assert due_of(facts(None, None, kev("garbage", "soon")), DEFAULTS).day == ""


def test_a_catalogue_without_days_leaves_the_term() -> None:
    assert due_of(facts(9.8, 3, kev("", "")), DEFAULTS).day == "2026-12-07"


@given(st.integers(0, 4000), st.integers(1, 364), st.sampled_from(CLASSES))
def test_more_days_never_make_anything_due_earlier(age: int, days: int, kind: str) -> None:
    known = kev("2026-01-01", "2026-02-01") if kind == "exploited" else None
    score = {"critical": 9.5, "high": 8.0, "moderate": 5.0, "low": 1.0}.get(kind)
    asked = facts(score, age, known)
    assert class_of(asked) == kind
    terms: list[dict[str, Any]] = [{kind: days}, {kind: days + 1}]
    shorter, longer = (due_of(asked, DEFAULTS._replace(**changed)) for changed in terms)
    assert shorter.day <= longer.day
    assert shorter.late >= longer.late


def test_only_what_lets_more_pass_is_looser() -> None:
    assert loosened(DEFAULTS, DEFAULTS._replace(high=7, two_people=TwoPeople.ALWAYS)) == ()
    assert loosened(DEFAULTS, DEFAULTS._replace(high=31)) == ("high: 31 days instead of 30",)
    assert len(loosened(DEFAULTS, DEFAULTS._replace(catalogue=False, two_people=TwoPeople.NEVER))) == 2


def test_within_counts_what_has_passed_too() -> None:
    due = due_of(facts(9.8, 16), DEFAULTS)
    assert due_within(due, TODAY, 0)
    assert not due_within(due_of(facts(9.8, 0), DEFAULTS), TODAY, 14)
    assert not due_within(due_of(facts(9.8, None), DEFAULTS), TODAY, 365)
