"""Freeze windows: spans in which endpoints get no new offers. Pure: time comes in, zones are the system's data.

One span (`Span`, perhaps without an end) or every week (`Weekly`: days and local hours in a time zone). Where clocks
are put forward or back the longer reading counts: a window begins with the earlier and ends with the later instant
that its wall time may mean. A window whose zone this machine does not know is in force: who cannot tell offers nothing.
It says nothing of recalls, brakes, halts and what launchers take back: those are never held up. (*Maintenance window*:
when an endpoint may be changed, in its own time; that is the endpoint's.)
"""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from brakeline.core.errors import Invalid
from brakeline.core.weekly import HINT as HINT
from brakeline.core.weekly import Weekly as Weekly
from brakeline.core.weekly import parse_weekly as parse_weekly

NAME_CHARS_MAX: Final = 80
HORIZON_MS: Final = 400 * 86_400_000  # frozen for more than a year without a gap: nobody waits for that end
YEARS_MAX: Final = 10  # a span that begins later was mistyped
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """Once. `until_ms` None = until somebody removes it."""

    from_ms: int
    until_ms: int | None


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
