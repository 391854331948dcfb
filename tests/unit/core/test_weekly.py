"""Hours of a week: what people type is a set of minutes, and the same set is always written in the same way."""

from __future__ import annotations

import itertools
import random

import pytest

from brakeline.core import weekly
from brakeline.core.errors import Invalid
from brakeline.core.weekly import DAY_MIN, NEVER, WEEK_MIN

SAT = 5 * DAY_MIN


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        (("mon-fri 22:00/06:00",), ("mon,tue,wed,thu,fri 22:00/06:00",)),
        (("sat,sun 00:00/24:00",), ("sat 00:00/sun 24:00",)),
        (("sun 20:00/24:00", "mon 00:00/04:00"), ("sun 20:00/mon 04:00",)),
        (("sun 22:00/mon 02:00", "wed 10:00/12:00"), ("wed 10:00/12:00", "sun 22:00/mon 02:00")),
        (("daily 00:00/24:00",), ()),
    ],
)
def test_the_same_minutes_are_always_written_alike(typed: tuple[str, ...], written: tuple[str, ...]) -> None:
    assert weekly.canonical(typed) == written
    if written:
        assert weekly.canonical(written) == written
    assert weekly.spans(written) == weekly.spans(typed)


def test_windows_that_overlap_are_refused_and_named() -> None:
    with pytest.raises(Invalid, match=r"'mon-fri 22:00/06:00' and 'tue 05:00/07:00' overlap"):
        weekly.canonical(["mon-fri 22:00/06:00", "tue 05:00/07:00"])


def test_what_is_no_window_is_refused_with_what_can_be_written() -> None:
    with pytest.raises(Invalid, match="write"):
        weekly.canonical(["at night"])


def test_what_an_agent_cannot_read_is_open_never() -> None:
    assert weekly.opens_in(("at night",), 0) is None
    assert weekly.next_opening(("at night",), 0) == "never opens"


def test_no_window_is_always_and_two_without_a_common_minute_are_never() -> None:
    assert weekly.is_open((), 17)
    assert weekly.common(("mon 01:00/02:00",), ("tue 01:00/02:00",)) == (NEVER,)
    assert weekly.common((NEVER,), ()) == (NEVER,)
    assert not any(weekly.is_open((NEVER,), m) for m in range(0, WEEK_MIN, 60))


def test_the_next_opening_is_told_over_the_end_of_the_week() -> None:
    windows = ("sat 22:00/sun 02:00",)
    assert weekly.next_opening(windows, SAT + 22 * 60) == "open now"
    assert weekly.next_opening(windows, SAT + 28 * 60) == "opens sat 22:00"
    assert weekly.opens_in(windows, SAT + 28 * 60) == WEEK_MIN - 6 * 60
    assert weekly.next_opening(("mon 00:30/01:00",), WEEK_MIN - 1) == "opens mon 00:30"


def test_a_local_time_falls_into_the_week_that_begins_on_monday() -> None:
    thursday_noon_1970 = 12 * 3_600_000
    assert weekly.minute_of(thursday_noon_1970) == 3 * DAY_MIN + 12 * 60
    assert weekly.minute_of(thursday_noon_1970 - 4 * 86_400_000) == 6 * DAY_MIN + 12 * 60


def test_what_is_common_is_what_both_say_minute_by_minute() -> None:
    chance = random.Random(7)
    texts = [f"{a}{b} {x:02}:00/{y:02}:30" for a, b in (("mon", ",wed"), ("sat", ""), ("daily", ""), ("sun", ",tue"))
             for x, y in itertools.product((0, 9, 22), (6, 17))]  # fmt: skip
    for _ in range(60):
        one, other = (tuple(chance.sample(texts, 1)) for _ in range(2))
        both = weekly.common(one, other)
        assert both == weekly.common(other, one) == weekly.common(both, one)
        for minute in range(0, WEEK_MIN, 29):
            assert weekly.is_open(both, minute) == (weekly.is_open(one, minute) and weekly.is_open(other, minute))
