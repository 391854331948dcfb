"""Hours of a week, in somebody's local time: what people type, and when they are open. Pure; minutes, no dates.

Used twice, with two meanings that are not to be confused. A *freeze window* (`rollout.windows`) says when nothing is
offered, in a zone that it names. A *maintenance window* says when an endpoint may be changed or restarted, in the
local time of that endpoint; several are one set of minutes of the week. No window at all means always; `NEVER` is what
is left where two policies have no minute in common. The same set is always written in the same way, so that texts can
be compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from brakeline.core.errors import Invalid

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAILY: Final = "daily"
DAY_MIN: Final = 24 * 60
WEEK_MIN: Final = 7 * DAY_MIN
NEVER: Final = "never"
_TIME: Final = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
_WEEKLY: Final = re.compile(r"(?P<days>[a-z,-]+)\s+(?P<start>[\d:]+)\s*/\s*(?:(?P<last>[a-z]+)\s+)?(?P<end>[\d:]+)")
HINT: Final = 'write "fri 16:00/mon 08:00", "mon-fri 09:00/17:00", "sat,sun 00:00/24:00" or "daily 22:00/06:00"'
Spans = tuple[tuple[int, int], ...]  # minutes of the week, sorted, apart from each other; the end is not in it
ALWAYS: Final[Spans] = ((0, WEEK_MIN),)


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


# --- sets of minutes of a week ----------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def spans(texts: tuple[str, ...]) -> Spans:
    """When windows are open; none = always. What cannot be read is open never: who cannot tell changes nothing."""
    if not texts:
        return ALWAYS
    try:
        return _merged(part for text in texts if text != NEVER for part in _parts(parse_weekly(text)))
    except Invalid:
        return ()


@lru_cache(maxsize=512)
def common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The windows in which both are open, as they are always written."""
    found = [(max(a, c), min(b, d)) for a, b in spans(one) for c, d in spans(other)]
    return written(_merged((begin, end) for begin, end in found if begin < end))


def canonical(texts: Iterable[str]) -> tuple[str, ...]:
    """The same windows as they are always written. `Invalid` for what is no window, and for two that overlap."""
    given = [(text, _merged(_parts(parse_weekly(text)))) for text in texts]
    for i, (text, mine) in enumerate(given):
        for earlier, theirs in given[:i]:
            if any(a < d and c < b for a, b in mine for c, d in theirs):
                raise Invalid(f"the windows {earlier!r} and {text!r} overlap; write what they are together once")
    return written(_merged(part for _, parts in given for part in parts)) if given else ()


def is_open(texts: tuple[str, ...], minute: int) -> bool:
    """Whether that minute of the week is in a window."""
    return any(begin <= minute < end for begin, end in spans(texts))


def opens_in(texts: tuple[str, ...], minute: int) -> int | None:
    """Minutes until a window is open; 0 = it is; None = never."""
    if is_open(texts, minute):
        return 0
    return min(((begin - minute) % WEEK_MIN for begin, _ in spans(texts)), default=None)


def minute_of(local_ms: int) -> int:
    """The minute of the week of a local time, counted as if it were UTC (the epoch was a Thursday)."""
    return (local_ms // 60_000 + 3 * DAY_MIN) % WEEK_MIN


def next_opening(texts: tuple[str, ...], minute: int) -> str:
    """For people: `open now`, `opens sat 22:00`, `never opens`."""
    wait = opens_in(texts, minute)
    if wait is None:
        return "never opens"
    at = (minute + wait) % WEEK_MIN
    return f"opens {DAYS[at // DAY_MIN]} {_clock(at % DAY_MIN)}" if wait else "open now"


def written(found: Spans) -> tuple[str, ...]:
    """Windows of these minutes: days with the same hours are one line."""
    if found == ALWAYS:
        return ()
    if not found:
        return (NEVER,)
    if found[0][0] == 0 and found[-1][1] == WEEK_MIN and len(found) > 1:  # over the end of the week: one window
        found = (*found[1:-1], (found[-1][0], WEEK_MIN + found[0][1]))
    hours: dict[tuple[int, int], list[int]] = {}
    for begin, end in found:
        day = begin // DAY_MIN
        hours.setdefault((begin - day * DAY_MIN, end - day * DAY_MIN), []).append(day)
    lines = [line for (begin, end), days in hours.items() for line in _lines(begin, end, days)]
    return tuple(str(line) for line in sorted(lines, key=lambda w: (w.days, w.start_min)))


def _lines(begin: int, end: int, days: list[int]) -> list[Weekly]:
    """`end` in minutes from the first day's midnight; hours over more than a day stand for one day each."""
    days_on, end_min = divmod(end, DAY_MIN)
    if not end_min:
        days_on, end_min = days_on - 1, DAY_MIN
    if days_on == 0 or (days_on == 1 and end_min <= begin):
        return [Weekly(tuple(sorted(days)), begin, end_min, days_on)]
    return [Weekly((day,), begin, end_min, days_on) for day in days]


def _parts(weekly: Weekly) -> list[tuple[int, int]]:
    found = []
    for day in weekly.days:
        begin = day * DAY_MIN + weekly.start_min
        end = (day + weekly.days_on) * DAY_MIN + weekly.end_min
        found.append((begin, min(end, WEEK_MIN)))
        if end > WEEK_MIN:
            found.append((0, min(end - WEEK_MIN, WEEK_MIN)))
    return found


def _merged(parts: Iterable[tuple[int, int]]) -> Spans:
    found: list[tuple[int, int]] = []
    for begin, end in sorted(parts):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return tuple(found)


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
        import difflib  # late: the resident agent reads windows all day and never mistypes a day

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
