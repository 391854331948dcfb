"""What every reader of a vendor's document needs: texts, lists and times, strict and bounded, or `ValueError`. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from brakeline.advisories.osv.documents import TEXT_MAX
from brakeline.advisories.texts import encodable
from brakeline.core.days import DAY_MS, day_of, number

REASON_MAX: Final = 200  # kept of what a vendor says; the whole text stays with its maker
DAY_S: Final = DAY_MS // 1000
TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,9})?)?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
PROSE_MAX: Final = 200_000  # of one text that is only looked at


def text(value: Any, what: str, most: int = TEXT_MAX) -> str:
    """A text with something in it."""
    if type(value) is not str or not value.strip() or len(value) > most:
        raise ValueError(f"{what} is a text of 1 to {most} characters")
    return encodable(value, what)


def prose(value: Any, what: str, most: int = REASON_MAX) -> str:
    """The beginning of a text for people, on one line; "" where there is none."""
    if value is None:
        return ""
    if type(value) is not str or len(value) > PROSE_MAX:
        raise ValueError(f"{what} is a text of at most {PROSE_MAX} characters")
    return encodable(" ".join(value[: most * 4].replace("\0", " ").split())[:most], what)


def listed(value: Any, what: str, most: int) -> list[Any]:
    """A list; none at all is an empty one."""
    if value is None:
        return []
    if type(value) is not list or len(value) > most:
        raise ValueError(f"{what} is a list of at most {most}")
    return value


def mapped(value: Any, what: str) -> dict[str, Any]:
    """An object; none at all is an empty one."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise ValueError(f"{what} is an object")
    return value


def moment(value: Any, what: str) -> str:
    """A time as `2026-11-20T09:30:00Z`, whatever zone it is told in; one without a zone counts as UTC."""
    found = TIME.fullmatch(value) if type(value) is str else None
    if found is None:
        raise ValueError(f"{what} is a time such as 2026-11-20T09:30:00Z")
    hours, minutes, seconds = (int(found[n] or 0) for n in (2, 3, 4))
    if hours > 23 or minutes > 59 or seconds > 60:
        raise ValueError(f"{what} is a time of a day, not {value[:40]!r}")
    here = number(day(found[1])) * DAY_S + hours * 3600 + minutes * 60 + seconds
    return at(here - _offset(found[5] or "Z"))


def _offset(zone: str) -> int:
    """Seconds east of Greenwich."""
    if zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return -seconds if zone[0] == "-" else seconds


def at(seconds: int) -> str:
    """A Unix time as text."""
    clock = seconds % DAY_S
    return f"{day_of(seconds * 1000)}T{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}Z"


def day(text: str) -> str:
    """`text`, if it is a day of the calendar."""
    if day_of(number(text) * DAY_MS) != text:
        raise ValueError(f"no day of the calendar: {text[:20]!r}")
    return text
