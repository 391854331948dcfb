"""What every reader of a vendor's document needs: texts, lists and times, strict and bounded, or `ValueError`. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from brakeline.advisories.osv.documents import TEXT_MAX, encodable

REASON_MAX: Final = 200  # kept of what a vendor says; the whole text stays with its maker
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
    if type(value) is not str or not 10 <= len(value) <= 40 or not value.isascii():
        raise ValueError(f"{what} is a time such as 2026-11-20T09:30:00Z")
    try:
        said = datetime.fromisoformat(value)
        said = said.replace(tzinfo=UTC) if said.tzinfo is None else said.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{what} is a time such as 2026-11-20T09:30:00Z, not {value!r}") from None
    return f"{said.replace(microsecond=0, tzinfo=None).isoformat()}Z"
