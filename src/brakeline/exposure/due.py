"""By when a finding is to be closed, and why by then. Pure.

The clock of a CVE begins when it is known *here*: when its source stands open, and never before its advisory was there;
for what is exploited, never before the catalogue named it. The terms are an organisation's own; the defaults are those
of published directives (see `DEFAULT_SOURCES`). CISA's own date counts where it is earlier, unless that is turned off.

Invariants: more days never make anything due earlier; what is not known since when is not due, and that is said;
what cannot run has no date. Next: `marking`, which asks for a fleet.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import Final, NamedTuple

from brakeline.advisories.model import CRITICAL, HIGH
from brakeline.core.days import DAY_MS, day_of, number
from brakeline.exposure.priority import Facts

MODERATE: Final = 4.0  # CVSS from which a score is medium, by the standard's own words
DAYS: Final = (1, 365)  # a term beyond a year is none
SOON_DAYS: Final = 7
DEFAULT_SOURCES: Final = (
    "exploited 14 days: CISA's Binding Operational Directive 22-01; critical 15, high 30: its directive 19-02; "
    "moderate 90, low 180: FedRAMP; what nobody scored counts as high."
)


class TwoPeople(StrEnum):
    """When accepting a finding takes a second person."""

    NEVER = "never"
    EXPLOITED = "exploited"
    ALWAYS = "always"


class Terms(NamedTuple):
    """Days from becoming known here until closed, by class; and who may accept."""

    exploited: int = 14
    critical: int = 15
    high: int = 30
    moderate: int = 90
    low: int = 180
    unscored: int = 30
    catalogue: bool = True
    two_people: TwoPeople = TwoPeople.EXPLOITED


CLASSES: Final = ("exploited", "critical", "high", "moderate", "low", "unscored")
DEFAULTS: Final = Terms()


class Due(NamedTuple):
    """`day` = the last day in time, "" = none. `late` = days since then, 0 = in time."""

    day: str = ""
    late: int = 0
    kind: str = ""  # one of CLASSES
    why: str = ""

    @property
    def overdue(self) -> bool:
        return self.late > 0


NOT_DUE: Final = Due()


def class_of(facts: Facts) -> str:
    """Which term holds: what is exploited before how bad it is."""
    if facts.exploited:
        return "exploited"
    if facts.severity is None:
        return "unscored"
    score = facts.severity.score
    return "critical" if score >= CRITICAL else "high" if score >= HIGH else "moderate" if score >= MODERATE else "low"


def due_of(facts: Facts, terms: Terms) -> Due:
    """When what these facts are of has to be closed."""
    kind = class_of(facts)
    if not facts.runs:
        return Due("", 0, kind, "no date: it cannot run where it is")
    if facts.open_days is None or not facts.today:
        return _unknown(facts, terms, kind)
    today = number(facts.today)
    start, days = today - facts.open_days, int(getattr(terms, kind))
    since = "it became known here"
    if facts.exploited:
        with suppress(ValueError):  # the catalogue names no day
            added = number(facts.exploited.added)
            start, since = (added, "the catalogue named it") if added > start else (start, since)
    last, why = start + days, f"{kind}: {days} {'day' if days == 1 else 'days'} from when {since}"
    return _capped(facts, terms, Due("", 0, kind, why), last, today)


def _capped(facts: Facts, terms: Terms, due: Due, last: int, today: int) -> Due:
    if facts.exploited and terms.catalogue:
        with suppress(ValueError):
            cisa = number(facts.exploited.due)
            if cisa < last:
                last, due = cisa, due._replace(why="exploited: the catalogue's own date is earlier than your term")
    return due._replace(day=_text(last), late=max(0, today - last))


def _unknown(facts: Facts, terms: Terms, kind: str) -> Due:
    """Since when it stands open is not known: only the catalogue can give a date."""
    why = "no date: since when it stands open is not known"
    if not facts.exploited or not terms.catalogue or not facts.today:
        return Due("", 0, kind, why)
    try:
        cisa = number(facts.exploited.due)
    except ValueError:
        return Due("", 0, kind, why)
    return Due(_text(cisa), max(0, number(facts.today) - cisa), kind, "exploited: the catalogue's own date")


def due_within(due: Due, today: str, days: int) -> bool:
    """Whether its day comes at most so many days from `today` on, or has passed."""
    return bool(due.day) and number(due.day) - number(today) <= days


def _text(day: int) -> str:
    return day_of(day * DAY_MS)


def loosened(now: Terms, wanted: Terms) -> tuple[str, ...]:
    """What `wanted` lets pass that `now` does not; this takes two people. Empty = it only tightens, or is the same."""
    said = [
        f"{name}: {getattr(wanted, name)} days instead of {getattr(now, name)}"
        for name in CLASSES if getattr(wanted, name) > getattr(now, name)
    ]  # fmt: skip
    if now.catalogue and not wanted.catalogue:
        said.append("the catalogue's own dates count no more")
    order = list(TwoPeople)
    if order.index(wanted.two_people) < order.index(now.two_people):
        said.append(f"a second person is needed to accept: {wanted.two_people.value} instead of {now.two_people.value}")
    return tuple(said)
