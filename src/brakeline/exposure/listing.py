"""The filter of the list of vulnerabilities: `priority:act due:overdue accepted:no ecosystem:pypi CVE-2025`. Pure.

Terms are joined by *and*; a word without a key is part of a CVE id or of a source's name; unknown keys and values are
errors with a suggestion, because a filter that is silently ignored reads as an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from brakeline.advisories.ecosystems import base_of, canonical
from brakeline.core.errors import Invalid
from brakeline.exposure.due import due_within
from brakeline.exposure.index import Exposed
from brakeline.exposure.marks import Mark
from brakeline.exposure.model import FindingState
from brakeline.exposure.priority import Level
from brakeline.exposure.ranks import Rank
from brakeline.exposure.terms import split

_VALUES = {
    "kev": ("yes", "no"), "state": tuple(s.value for s in FindingState), "role": ("active", "carrier"),
    "priority": tuple(level.value for level in Level), "accepted": ("yes", "no", "partly"),
}  # fmt: skip
KEYS = (*_VALUES, "source", "ecosystem", "due")
OVERDUE, NO_DAY = "overdue", "none"
_WITHIN = re.compile(r"<([0-9]{1,3})d")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a query asks for; "" = anything."""

    words: tuple[str, ...] = ()
    kev: str = ""
    state: str = ""
    role: str = ""
    source: str = ""
    priority: str = ""
    ecosystem: str = ""  # with or without its release
    accepted: str = ""
    due: str = ""  # "overdue", "none" or "<7d"; what is past its day is within any number of days


ANY = Wanted()


def parse(query: str) -> Wanted:
    """Raises `Invalid`, with what was probably meant."""
    words, terms = split(query, KEYS, _VALUES)
    due = terms.get("due", OVERDUE)
    if due not in (OVERDUE, NO_DAY) and not _WITHIN.fullmatch(due):
        raise Invalid(f"due: cannot be {due!r}; it is {OVERDUE}, {NO_DAY} or within days, such as <7d")
    if "ecosystem" in terms:
        terms["ecosystem"] = canonical(terms["ecosystem"])
    return Wanted(words, **terms)


def fits(entry: Exposed, rank: Rank, mark: Mark, wanted: Wanted, today: str) -> bool:
    """Whether one CVE of a fleet matches."""
    return (
        wanted.priority in ("", rank.priority.level) and _matches(entry, wanted) and beside(mark, wanted, today)
    )  # fmt: skip


def beside(mark: Mark, wanted: Wanted, today: str) -> bool:
    """Whether what is beside a vulnerability matches. What is accepted everywhere is never overdue."""
    accepted, due = mark
    share = "yes" if accepted.whole else "partly" if accepted.endpoints else "no"
    if wanted.accepted not in ("", share):
        return False
    if not wanted.due or wanted.due == NO_DAY:
        return not wanted.due or not due.day
    if accepted.whole:
        return False
    within = _WITHIN.fullmatch(wanted.due)
    return due_within(due, today, int(within[1])) if within else due.overdue


def _matches(entry: Exposed, wanted: Wanted) -> bool:
    return (
        (not wanted.kev or entry.kev == (wanted.kev == "yes"))
        and (not wanted.source or wanted.source in entry.sources)
        and (not wanted.ecosystem or any(_is_in(name, wanted.ecosystem) for name in entry.ecosystems))
        and (not wanted.role or bool(entry.endpoints) == (wanted.role == "active"))
        and (not wanted.state or any(state.value == wanted.state for state in entry.states()))
        and all(word in entry.cve.lower() or any(word in source for source in entry.sources) for word in wanted.words)
    )


def _is_in(ecosystem: str, wanted: str) -> bool:
    return wanted in (ecosystem, base_of(ecosystem))
