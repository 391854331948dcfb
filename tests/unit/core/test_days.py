"""Days agree with the standard library's calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.core.days import day_of, days_since, number

EPOCH = date(1970, 1, 1)


@given(st.dates(date(1900, 1, 1), date(2999, 12, 31)))
def test_it_is_the_calendar_of_the_standard_library(day: date) -> None:
    days = (day - EPOCH).days
    assert number(day.isoformat()) == days
    assert day_of(days * 86_400_000) == day.isoformat()
    assert day_of((days + 1) * 86_400_000 - 1) == day.isoformat()


def test_ages() -> None:
    now_ms = int(datetime(2026, 11, 26, 15, tzinfo=UTC).timestamp() * 1000)
    assert days_since("2026-11-26", now_ms) == 0
    assert days_since("2026-11-20T23:59:59Z", now_ms) == 6
    assert days_since((date(2026, 11, 26) + timedelta(3)).isoformat(), now_ms) == -3


@pytest.mark.parametrize("text", ["", "yesterday", "2026.11.20", "2026-13-01", "2026-00-01"])
def test_what_is_no_day_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        number(text)
