"""Freeze windows: spans in which endpoints get no new offers. Pure: time comes in, zones are the system's data.

One span (`Span`, perhaps without an end) or every week (`Weekly`: days and local hours in a time zone). Where clocks
are put forward or back the longer reading counts: a window begins with the earlier and ends with the later instant
that its wall time may mean. A window whose zone this machine does not know is in force: who cannot tell offers nothing.
It says nothing of recalls, brakes, halts and what launchers take back: those are never held up. (*Maintenance window*:
when an endpoint may be changed, in its own time; that is the endpoint's.)
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Final

from brakeline.core.errors import Invalid

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAILY: Final = "daily"
DAY_MIN: Final = 24 * 60
NAME_CHARS_MAX: Final = 80
HORIZON_MS: Final = 400 * 86_400_000  # frozen for more than a year without a gap: nobody waits for that end
YEARS_MAX: Final = 10  # a span that begins later was mistyped
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
_WEEKLY: Final = re.compile(r"(?P<days>[a-z,-]+)\s+(?P<start>[\d:]+)\s*/\s*(?:(?P<last>[a-z]+)\s+)?(?P<end>[\d:]+)")
HINT: Final = 'write "fri 16:00/mon 08:00", "mon-fri 09:00/17:00", "sat,sun 00:00/24:00" or "daily 22:00/06:00"'


@dataclass(frozen=True, slots=True)
class Span:
    """Once. `until_ms` None = until somebody removes it."""

    from_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class Weekly:
    """Every week from each of `days` (0 = Monday) at `start_min` to `days_on` days later at `end_min`, local time."""

    days: tuple[int, ...]
    start_min: int
    end_min: int
    days_on: int = 0

    def __str__(self) -> str:
        times = f"{_clock(self.start_min)}/"
        if len(self.days) == 1 and self.days_on:
            return f"{DAYS[self.days[0]]} {times}{DAYS[(self.days[0] + self.days_on) % 7]} {_clock(self.end_min)}"
        days = DAILY if len(self.days) == 7 else ",".join(DAYS[d] for d in self.days)
        return f"{days} {times}{_clock(self.end_min)}"


@dataclass(frozen=True, slots=True)
class Window:
    """For whom (`filter` "" = everybody) and when; `zone` is that of its wall times."""

    name: str
    when: Span | Weekly
    zone: str = "UTC"
    filter: str = ""
    id: str = ""
    created_ms: int = 0
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class InForce:
    """In force now. `until_ms`: when nothing is frozen any more, windows that follow without a gap included."""

    window: Window
    until_ms: int | None

    def __str__(self) -> str:
        """`freeze window 'year end' until 2027-01-04 08:00 Europe/Berlin`."""
        if zone_of(self.window.zone) is None:
            return f"freeze window '{self.window.name}': its time zone {self.window.zone} is unknown here, so it holds"
        if self.until_ms is None:
            return f"freeze window '{self.window.name}' until somebody removes it"
        return f"freeze window '{self.window.name}' until {_local(self.until_ms, self.window.zone)} {self.window.zone}"


def frozen(windows: Iterable[Window], now_ms: int) -> InForce | None:
    """Whether one of `windows` is in force, and until when they are: of several the one that ends last."""
    windows = tuple(windows)
    begun = [(end, w) for w in windows for start, end in _around(w, now_ms) if start <= now_ms and _before(now_ms, end)]
    if not begun:
        return None
    until, window = max(begun, key=lambda x: float("inf") if x[0] is None else x[0])
    while until is not None:
        ends = [end for w in windows for start, end in _around(w, until) if start <= until and _before(until, end)]
        if not ends:
            return InForce(window, until)
        until = None if any(e is None for e in ends) else max(e for e in ends if e is not None)
        if until is not None and until > now_ms + HORIZON_MS:
            until = None
    return InForce(window, None)


def in_words(window: Window) -> str:
    """`2026-12-20 18:00 to 2027-01-04 08:00 Europe/Berlin`, `fri 16:00/mon 08:00 Europe/Berlin`."""
    if isinstance(window.when, Weekly):
        return f"{window.when} {window.zone}"
    end = window.when.until_ms
    begin = _local(window.when.from_ms, window.zone)
    if end is None:
        return f"from {begin} {window.zone} until it is removed"
    return f"{begin} to {_local(end, window.zone)} {window.zone}"


def _local(at_ms: int, zone: str) -> str:
    return f"{(EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone_of(zone) or UTC):%Y-%m-%d %H:%M}"


def over(window: Window, now_ms: int) -> bool:
    """Whether it will never be in force again."""
    return isinstance(window.when, Span) and window.when.until_ms is not None and window.when.until_ms <= now_ms


def _before(at: int, end: int | None) -> bool:
    return end is None or at < end


def _around(window: Window, at_ms: int) -> Iterator[tuple[int, int | None]]:
    """Spans (begin, end) of a window that may contain `at_ms`."""
    zone = zone_of(window.zone)
    if zone is None:
        yield 0, None
    elif isinstance(window.when, Span):
        yield window.when.from_ms, window.when.until_ms
    else:
        when, today = window.when, (EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone).date()
        for back in range(when.days_on + 2, -2, -1):  # a day more on both sides: instants and dates differ by zone
            day = today - timedelta(days=back)
            if day.weekday() in when.days:
                last = day + timedelta(days=when.days_on)
                yield _instants(day, when.start_min, zone)[0], _instants(last, when.end_min, zone)[1]


def _instants(day: date, minute: int, zone: tzinfo) -> tuple[int, int]:
    """The earliest and the latest instant that a wall time may mean; two where clocks are put forward or back."""
    at = datetime.combine(day, time()) + timedelta(minutes=minute)
    found = [(at.replace(tzinfo=zone, fold=fold) - EPOCH) // timedelta(milliseconds=1) for fold in (0, 1)]
    return min(found), max(found)


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo | None:
    """The time zone of that name; None = this machine does not know it."""
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


# --- what people type -------------------------------------------------------------------------------------------------


def parse_weekly(text: str) -> Weekly:
    """`fri 16:00/mon 08:00`, `mon-fri 09:00/17:00`. `Invalid` says what is wrong and what was meant perhaps."""
    found = _WEEKLY.fullmatch(text.strip().lower())
    if found is None:
        raise Invalid(f"{text[:80]!r} is no weekly window; {HINT}", got=text[:80])
    days, start, end = _days(found["days"]), _minute(found["start"]), _minute(found["end"])
    if start == DAY_MIN:
        raise Invalid("a window begins at 00:00 of the next day, not at 24:00", got=text[:80])
    if found["last"] is None:
        if start == end:
            raise Invalid(f"{text[:80]!r} is empty: it ends when it begins. Whole days are 00:00/24:00", got=text[:80])
        return Weekly(days, start, end, 0 if end > start else 1)
    if len(days) != 1:
        raise Invalid("a window with a last day has one first day", got=text[:80])
    days_on = (_day(found["last"]) - days[0]) % 7
    return Weekly(days, start, end, days_on if days_on or end > start else 7)


def parse_instant(text: str, zone_name: str, *, latest: bool) -> int:
    """`2026-12-20 18:00` in that zone, or with an offset of its own. Of two instants the `latest` or the earliest."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Invalid(f"{text[:40]!r} is no time; write 2026-12-20T18:00", got=text[:40]) from None
    if at.tzinfo is not None:
        return (at - EPOCH) // timedelta(milliseconds=1)
    zone = checked_zone(zone_name)
    found = [(at.replace(tzinfo=zone, fold=fold) - EPOCH) // timedelta(milliseconds=1) for fold in (0, 1)]
    return max(found) if latest else min(found)


def checked_zone(name: str) -> tzinfo:
    """`Invalid` names the nearest zone that there is."""
    zone = zone_of(name)
    if zone is None:
        known = zoneinfo.available_timezones()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; write a name such as Europe/Berlin, or UTC"
        if not known:
            hint = "; this server has no time zones (install the package tzdata), only UTC"
        raise Invalid(f"there is no time zone {name[:60]!r}{hint}", got=name[:60])
    return zone


def check(window: Window, now_ms: int) -> None:
    """What no new window may be."""
    if not 0 < len(window.name) <= NAME_CHARS_MAX or not window.name.isprintable() or "'" in window.name:
        raise Invalid(f"a freeze window needs a name of 1 to {NAME_CHARS_MAX} printable characters without '")
    checked_zone(window.zone)
    when = window.when
    if isinstance(when, Weekly):
        return
    if when.until_ms is not None and when.until_ms <= when.from_ms:
        raise Invalid("the window ends before it begins, so nothing would be frozen; give a later end")
    if over(window, now_ms):
        raise Invalid("the window is over already, so nothing would be frozen; give an end that is to come")
    if when.from_ms > now_ms + YEARS_MAX * 366 * 86_400_000:
        raise Invalid(f"the window begins in more than {YEARS_MAX} years; is the year right?")


def _days(text: str) -> tuple[int, ...]:
    if text == DAILY:
        return tuple(range(7))
    found: set[int] = set()
    for part in text.split(","):
        ends = [_day(p) for p in part.split("-")]
        found.add(ends[0])
        for first, last in pairwise(ends):
            found.update((first + i) % 7 for i in range((last - first) % 7 + 1))
    return tuple(sorted(found))


def _day(text: str) -> int:
    if text not in DAYS:
        near = difflib.get_close_matches(text, DAYS, n=1)
        raise Invalid(f"{text[:20]!r} is no day{f'; did you mean {near[0]}?' if near else f'; {HINT}'}", got=text[:20])
    return DAYS.index(text)


def _minute(text: str) -> int:
    found = _TIME.fullmatch(text)
    minute = int(found[1]) * 60 + int(found[2]) if found else DAY_MIN + 1
    if minute > DAY_MIN:
        raise Invalid(f"{text[:20]!r} is no time of a day; write 00:00 to 24:00", got=text[:20])
    return minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
