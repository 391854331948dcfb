"""What people type about limits, understood or refused with what to write instead; and how limits are called. Pure."""

from __future__ import annotations

from typing import Final

from brakeline.core.errors import Invalid
from brakeline.fleet.query import Age, InvalidQuery, Match, parse, render
from brakeline.rollout import windows
from brakeline.rollout.budget import DEFAULT, FLEET, Group, Limit, Per
from brakeline.rollout.windows import Span, Weekly

# Who is in a window must not change by what is (not) done in it; `seen` or `missing` do.
FILTER_KEYS: Final = ("os", "tag", "region", "class", "host", "id", "arch")


def standard(group: Group, per: Per) -> Limit | None:
    """The limit that holds where nobody has set one; None = there is none."""
    return DEFAULT if (group, per) == (FLEET, Per.HOUR) else None


def name_of(group: Group) -> str:
    """For ids and the log."""
    return str(group) or "fleet"


def per_of(text: str) -> Per:
    """`hour` or `at_once`."""
    if text not in tuple(Per):
        raise Invalid(f"a budget is per hour or at_once, not {text[:40]!r}", got=text[:40])
    return Per(text)


def when_of(weekly: str, begins: str, ends: str, zone: str, now_ms: int) -> Span | Weekly:
    """Weekly hours, or a begin and an end."""
    if weekly and (begins or ends):
        raise Invalid("a freeze window is weekly or has a begin and an end, not both")
    if weekly:
        return windows.parse_weekly(weekly)
    if not begins and not ends:
        raise Invalid(f"when? Give a begin and an end, or weekly hours: {windows.HINT}")
    start = windows.parse_instant(begins, zone, latest=False) if begins else now_ms
    return Span(start, windows.parse_instant(ends, zone, latest=True) if ends else None)


def filter_of(text: str) -> str:
    """The filter in its one way of being written; only of keys that what is frozen does not change."""
    query = parse(text)
    for term in query.terms:
        if isinstance(term, Age) or (isinstance(term, Match) and term.key not in FILTER_KEYS):
            raise InvalidQuery(
                f"{term.key} changes by itself, so endpoints would slip out of the window; "
                f"it may speak of {', '.join(FILTER_KEYS)}"
            )
    return render(query)


def of_group(group: Group) -> str:
    """In a sentence."""
    return str(group) or "the fleet"


def each(per: Per) -> str:
    """In a sentence."""
    return "an hour" if per is Per.HOUR else "at once"
