"""Risk that people have accepted: a CVE, on the endpoints of a filter, until a day, for a reason. Pure.

Invariants: an acceptance hides nothing, it is counted beside what is open; it ends by itself, by whoever takes it
back, or when the CVE turns out to be exploited and was not known to be when it was accepted; what cannot be judged
(its filter is not understood any more) applies to nobody. Next: `accepting` does it, `marking` counts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Final, NamedTuple

from brakeline.core.days import DAY_MS
from brakeline.exposure.due import TwoPeople

UNTIL_MAX_DAYS: Final = 366  # what shall hold for longer is decided anew: nobody remembers the reason
REASON_CHARS_MAX: Final = 500


class Acceptance(NamedTuple):
    """One decision. Times are Unix milliseconds, 0 = not yet."""

    id: str
    cve: str
    filter: str  # "" = every endpoint
    reason: str
    exploited: bool  # known to be, when it was accepted
    made_ms: int
    asked_by: str
    approved_by: str
    persons: int
    until_ms: int
    ended_ms: int = 0
    ended_by: str = ""
    ended_why: str = ""


class Standing(StrEnum):
    """Where an acceptance stands."""

    FORCE = "in force"
    EXPIRED = "expired"
    ENDED = "ended"
    EXPLOITED = "exploited since"  # it was accepted as not known to be


def standing(one: Acceptance, now_ms: int, exploited: AbstractSet[str]) -> Standing:
    """Where it stands now."""
    if one.ended_ms:
        return Standing.ENDED
    if now_ms >= one.until_ms:
        return Standing.EXPIRED
    return Standing.EXPLOITED if one.cve in exploited and not one.exploited else Standing.FORCE


def takes_two(rule: TwoPeople, *, exploited: bool) -> bool:
    """Whether a second person has to agree."""
    return rule is TwoPeople.ALWAYS or (rule is TwoPeople.EXPLOITED and exploited)


def last_ms(days: int, now_ms: int) -> int:
    """When an acceptance for so many days ends."""
    return now_ms + days * DAY_MS


class Accepted(NamedTuple):
    """On how many of the endpoints that have a CVE it is accepted, and until when at the latest it all still holds."""

    endpoints: int = 0
    until_ms: int = 0  # the earliest end among those that apply; 0 = none applies
    whole: bool = False  # on every endpoint on which it can run


NOBODY: Final = Accepted()
Reach = tuple[Acceptance, AbstractSet[str] | None]  # endpoints that its filter matches; None = every one


def accepted_on(cve: str, endpoint_id: str, reaches: Iterable[Reach]) -> int:
    """Until when a CVE is accepted on an endpoint, by the last of several `reaches` in force; 0 = it is not."""
    return max((a.until_ms for a, ids in reaches if a.cve == cve and (ids is None or endpoint_id in ids)), default=0)


def counted(endpoints: Iterable[str], reaches: Iterable[Reach]) -> Accepted:
    """`reaches`: those in force for this CVE; `endpoints`: on which it can run."""
    until: dict[str, int] = {}
    affected = set(endpoints)
    for one, ids in reaches:
        for endpoint_id in affected if ids is None else affected & ids:
            until[endpoint_id] = max(until.get(endpoint_id, 0), one.until_ms)
    if not until:
        return NOBODY
    return Accepted(len(until), min(until.values()), len(until) == len(affected))


def by_cve(reaches: Iterable[Reach]) -> Mapping[str, tuple[Reach, ...]]:
    found: dict[str, tuple[Reach, ...]] = {}
    for reach in reaches:
        found[reach[0].cve] = (*found.get(reach[0].cve, ()), reach)
    return found
