"""Freeze windows: what people type, what is in force when and until when, also over clocks put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from brakeline.core.errors import Invalid
from brakeline.rollout.windows import (
    Span,
    Weekly,
    Window,
    check,
    frozen,
    over,
    parse_instant,
    parse_weekly,
    zone_of,
)

BERLIN = "Europe/Berlin"
HOUR = 3_600_000


def at(text: str) -> int:
    """`2026-12-20 18:00` in UTC as milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def weekly(text: str, zone: str = "UTC", name: str = "w") -> Window:
    return Window(name, parse_weekly(text), zone)


def span(begin: str, end: str | None, name: str = "s") -> Window:
    return Window(name, Span(at(begin), at(end) if end else None))


def until(windows: list[Window], now: str) -> str | None:
    """Until when, in UTC; "for ever"; None = nothing is frozen."""
    found = frozen(windows, at(now))
    if found is None:
        return None
    if found.until_ms is None:
        return "for ever"
    return datetime.fromtimestamp(found.until_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def test_a_span_is_in_force_from_its_begin_to_before_its_end() -> None:
    windows = [span("2026-12-20 18:00", "2027-01-04 08:00", "year end")]
    assert until(windows, "2026-12-20 17:59") is None
    assert until(windows, "2026-12-20 18:00") == "2027-01-04 08:00"
    assert until(windows, "2027-01-04 07:59") == "2027-01-04 08:00"
    assert until(windows, "2027-01-04 08:00") is None
    assert str(frozen(windows, at("2026-12-24 00:00"))) == "freeze window 'year end' until 2027-01-04 08:00 UTC"


def test_without_windows_nothing_is_frozen() -> None:
    assert frozen([], 0) is None


def test_the_weekend_from_friday_afternoon_to_monday_morning() -> None:
    windows = [weekly("fri 16:00/mon 08:00", BERLIN, "weekend")]  # 2026-11-27 is a Friday, UTC+1
    assert until(windows, "2026-11-27 14:59") is None
    for now in ("2026-11-27 15:00", "2026-11-28 12:00", "2026-11-30 06:59"):
        assert until(windows, now) == "2026-11-30 07:00"
    assert until(windows, "2026-11-30 07:00") is None
    assert (
        str(frozen(windows, at("2026-11-28 12:00"))) == "freeze window 'weekend' until 2026-11-30 08:00 Europe/Berlin"
    )


def test_office_hours_and_nights() -> None:
    office = [weekly("mon-fri 09:00/17:00")]
    assert until(office, "2026-11-27 12:00") == "2026-11-27 17:00"
    assert until(office, "2026-11-28 12:00") is None
    night = [weekly("daily 22:00/06:00")]
    assert until(night, "2026-11-27 23:00") == "2026-11-28 06:00"
    assert until(night, "2026-11-28 05:59") == "2026-11-28 06:00"
    assert until(night, "2026-11-28 06:00") is None


def test_days_of_a_zone_far_from_the_prime_meridian() -> None:
    kiritimati = [weekly("sat 00:00/24:00", "Pacific/Kiritimati")]  # UTC+14
    assert until(kiritimati, "2026-11-27 09:59") is None
    assert until(kiritimati, "2026-11-27 10:00") == "2026-11-28 10:00"
    midway = [weekly("sat 00:00/24:00", "Pacific/Midway")]  # UTC-11
    assert until(midway, "2026-11-29 10:59") == "2026-11-29 11:00"


def test_when_clocks_are_put_forward_the_longer_reading_counts() -> None:
    """2026-03-29: in Berlin 02:00 becomes 03:00 (01:00 UTC)."""
    into = [weekly("sun 02:30/05:00", BERLIN)]  # 02:30 does not exist: 00:30 UTC by winter's, 01:30 by summer's clock
    assert until(into, "2026-03-29 00:29") is None
    assert until(into, "2026-03-29 00:30") == "2026-03-29 03:00"
    out_of = [weekly("sun 01:00/02:30", BERLIN)]
    assert until(out_of, "2026-03-29 01:29") == "2026-03-29 01:30"
    inside = [weekly("sun 02:15/02:45", BERLIN)]  # wholly in the hour that is left out
    assert until(inside, "2026-03-29 01:00") == "2026-03-29 01:45"
    assert until(into, "2026-03-22 01:30") == "2026-03-22 04:00"  # a week before: winter's clock alone


def test_when_clocks_are_put_back_the_longer_reading_counts() -> None:
    """2026-10-25: in Berlin 03:00 becomes 02:00 (01:00 UTC), so 02:30 comes twice: 00:30 and 01:30 UTC."""
    windows = [weekly("sun 02:30/02:45", BERLIN)]
    assert until(windows, "2026-10-25 00:29") is None
    assert until(windows, "2026-10-25 00:30") == "2026-10-25 01:45"
    assert until(windows, "2026-10-25 01:44") == "2026-10-25 01:45"
    whole = [weekly("sun 00:00/24:00", BERLIN)]  # a day of 25 hours
    found = frozen(whole, at("2026-10-25 12:00"))
    assert found is not None
    assert found.until_ms == at("2026-10-25 23:00")
    assert until(whole, "2026-10-24 22:00") == "2026-10-25 23:00"


def test_a_local_time_without_an_offset_is_read_with_care_on_such_days() -> None:
    assert parse_instant("2026-10-25T02:30", BERLIN, latest=False) == at("2026-10-25 00:30")
    assert parse_instant("2026-10-25T02:30", BERLIN, latest=True) == at("2026-10-25 01:30")
    assert parse_instant("2026-10-25T02:30+01:00", BERLIN, latest=False) == at("2026-10-25 01:30")
    assert parse_instant("2026-12-20 18:00", "UTC", latest=True) == at("2026-12-20 18:00")


def test_of_overlapping_windows_the_one_that_ends_last_is_named_and_the_end_of_all_is_said() -> None:
    windows = [
        span("2026-12-24 00:00", "2026-12-27 00:00", "christmas"),
        span("2026-12-20 00:00", "2026-12-25 00:00", "audit"),
        span("2026-12-27 00:00", "2026-12-28 00:00", "no gap before it"),
        span("2026-12-28 00:01", "2026-12-29 00:00", "a gap before it"),
    ]
    found = frozen(windows, at("2026-12-24 12:00"))
    assert found is not None
    assert (found.window.name, found.until_ms) == ("christmas", at("2026-12-28 00:00"))
    assert until(windows, "2026-12-21 00:00") == "2026-12-28 00:00"
    assert until(windows, "2026-12-28 00:00") is None


def test_weekly_windows_that_touch_follow_each_other() -> None:
    windows = [weekly("fri 16:00/24:00"), weekly("sat,sun 00:00/24:00"), weekly("mon 00:00/08:00")]
    assert until(windows, "2026-11-27 16:00") == "2026-11-30 08:00"


def test_windows_that_never_end_say_so_and_the_question_ends_all_the_same() -> None:
    assert until([span("2026-01-01 00:00", None, "for good")], "2027-01-01 00:00") == "for ever"
    assert str(frozen([span("2026-01-01 00:00", None, "x")], at("2027-01-01 00:00"))) == (
        "freeze window 'x' until somebody removes it"
    )
    assert until([weekly("daily 00:00/24:00")], "2026-11-27 16:00") == "for ever"
    assert until([weekly("mon 08:00/mon 08:00")], "2026-11-27 16:00") == "for ever"
    later = [span("2026-11-27 00:00", "2026-11-28 00:00"), span("2026-11-28 00:00", None, "then for good")]
    assert until(later, "2026-11-27 16:00") == "for ever"


def test_a_window_whose_zone_is_unknown_here_is_in_force() -> None:
    found = frozen([Window("w", Weekly((0,), 0, 60), "Mars/Olympus")], at("2026-11-27 16:00"))
    assert found is not None
    assert str(found) == "freeze window 'w': its time zone Mars/Olympus is unknown here, so it holds"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "Europe", "", "Europe/Berlin\0"])
def test_no_name_of_a_zone_reads_another_file(name: str) -> None:
    assert zone_of(name) is None


def test_what_was_typed_is_shown_in_one_way() -> None:
    for text in ("fri 16:00/mon 08:00", "sat,sun 00:00/24:00", "daily 22:00/06:00", "mon 00:00/mon 00:00"):
        assert str(parse_weekly(text)) == text
    assert str(parse_weekly("Mon-Fri 9:00 / 17:00")) == "mon,tue,wed,thu,fri 09:00/17:00"
    assert parse_weekly("fri-mon 09:00/17:00").days == (0, 4, 5, 6)
    assert parse_weekly(str(parse_weekly("mon-fri 22:00/06:00"))) == parse_weekly("mon-fri 22:00/06:00")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no weekly window"),
        ("weekend", "is no weekly window"),
        ("fri 16:00", "is no weekly window"),
        ("fri 16:00/16:00", "is empty"),
        ("frri 16:00/17:00", "did you mean fri"),
        ("fri 25:00/26:00", "is no time of a day"),
        ("fri 24:00/24:00", "begins at 00:00 of the next day"),
        ("fri 24:30/08:00", "is no time of a day"),
        ("fri,sat 16:00/mon 08:00", "has one first day"),
    ],
)
def test_what_is_no_weekly_window(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        parse_weekly(text)


@pytest.mark.parametrize(
    ("window", "says"),
    [
        (span("2026-12-20 00:00", "2026-12-19 00:00"), "ends before it begins"),
        (span("2026-12-20 00:00", "2026-12-20 00:00"), "ends before it begins"),
        (span("2026-11-01 00:00", "2026-11-02 00:00"), "is over already"),
        (span("2206-12-20 00:00", "2207-01-04 00:00"), "is the year right"),
        (Window("w", Weekly((0,), 0, 60), "Europe/Berln"), "did you mean Europe/Berlin"),
        (Window("w", Weekly((0,), 0, 60), "nowhere at all"), "write a name such as"),
        (Window("", Weekly((0,), 0, 60)), "needs a name"),
        (Window("x" * 81, Weekly((0,), 0, 60)), "needs a name"),
        (Window("a'b", Weekly((0,), 0, 60)), "needs a name"),
    ],
)
def test_what_no_new_window_may_be(window: Window, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        check(window, at("2026-11-27 16:00"))


def test_what_is_no_instant() -> None:
    with pytest.raises(Invalid, match="is no time; write"):
        parse_instant("tomorrow", "UTC", latest=False)


def test_good_windows_pass_and_a_span_is_over_at_its_end() -> None:
    window = span("2026-12-20 00:00", "2027-01-04 08:00", "year end")
    check(window, at("2026-11-27 16:00"))
    check(weekly("fri 16:00/mon 08:00", BERLIN), at("2026-11-27 16:00"))
    assert not over(window, at("2027-01-04 07:59"))
    assert over(window, at("2027-01-04 08:00"))
    assert not over(weekly("fri 16:00/mon 08:00"), at("2027-01-04 08:00"))
