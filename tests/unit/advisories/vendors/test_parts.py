"""Times as vendors write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.vendors.parts import moment


@pytest.mark.parametrize(
    ("said", "time"),
    [
        ("2024-03-05T01:00:00+01:00", "2024-03-05T00:00:00Z"), ("2024-03-12T07:00:00", "2024-03-12T07:00:00Z"),
        ("2026-06-25T13:18:21.382313", "2026-06-25T13:18:21Z"), ("2024-03-05", "2024-03-05T00:00:00Z"),
        ("2020-12-01 12:42:54", "2020-12-01T12:42:54Z"), ("2024-01-01T00:30:00+0100", "2023-12-31T23:30:00Z"),
    ],
)  # fmt: skip
def test_times_in_every_zone(said: str, time: str) -> None:
    assert moment(said, "it") == time


@pytest.mark.parametrize(
    "said", ["", "today", "2024-13-01", "2024-02-30", "2024-01-01T25:00:00Z", None, 5, "0000-00-00"]
)
def test_what_is_no_time(said: object) -> None:
    with pytest.raises(ValueError, match=r"it is|no day"):
        moment(said, "it")


@given(st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_as_the_standard_library_has_it(at: datetime, minutes: int) -> None:
    there = at.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    expected = there.astimezone(UTC).replace(tzinfo=None)
    assert moment(there.isoformat(), "it") == f"{expected.isoformat()}Z"
