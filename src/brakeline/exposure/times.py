"""How long a finding took: published, known here, fixable, closed; as histograms, never a row per endpoint. Pure.

A finding is closed when an inventory shows it: the version that had it is gone. That a job ended well proves nothing.
New advisories close nothing: both versions are judged by the same book. Known here = since its source stands open here,
and never before it was published; fixable = since a fix of the source is among the endpoint's pending updates, and
never before it was known. What is not known has no span, and makes no other one shorter.

Next: `timing`, which watches inventories.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Final, NamedTuple

from brakeline.advisories.model import Advisory, KnownExploited, Severity
from brakeline.core.days import DAY_MS, number
from brakeline.exposure.due import class_of
from brakeline.exposure.priority import Facts

HOUR_MS: Final = 3_600_000
LIMITS_H: Final = (1, 4, 12, 24, 48, 96, 168, 336, 720, 1440, 2160, 4320, 8760)  # of the buckets; the last has none
BUCKETS: Final = len(LIMITS_H) + 1
OUTSIDE: Final = -1  # closed outside of any rollout


class Span(StrEnum):
    """From when to when."""

    KNOWN = "published_known"
    FIXABLE = "known_fixable"
    PATCHED = "fixable_closed"
    HERE = "known_closed"  # what is called time to remediate
    ALL = "published_closed"


class Way(StrEnum):
    """How it was closed."""

    PATCHED = "patched"  # the version with the fix is there
    REMOVED = "removed"  # the package is gone


class Key(NamedTuple):
    """What a histogram is of."""

    kind: str
    ring: int
    way: Way
    span: Span


class Stood(NamedTuple):
    """A source that stood open on an endpoint until now. Times in milliseconds; `offered_ms` 0 = not known."""

    first_seen_ms: int
    offered_ms: int
    way: Way


class ExposureDay(NamedTuple):
    """One line of the trend: what stood open when this day was looked at last."""

    day: str
    endpoints: int
    assessed: int
    vulnerable: int
    cves: int
    kev: int
    overdue: int
    accepted: int


class Followed(NamedTuple):
    """A filter of vulnerabilities that has a line a day of its own."""

    query: str
    since: str  # the day on which it began
    by: str  # whose wish it was


class Spread(NamedTuple):
    """A histogram over `LIMITS_H`, and the sum of all hours."""

    counts: tuple[int, ...] = (0,) * BUCKETS
    hours: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.counts)

    @property
    def mean_h(self) -> float | None:
        """What is called MTTR; None where there was none."""
        return self.hours / self.total if self.total else None

    def quantile_h(self, share: float) -> float | None:
        """The limit of the bucket in which it is: at most so many hours; `inf` beyond the last, None of nothing."""
        wanted, seen = share * self.total, 0
        for limit, count in zip((*LIMITS_H, float("inf")), self.counts, strict=True):
            seen += count
            if count and seen >= wanted:
                return float(limit)
        return None

    def plus(self, other: Spread) -> Spread:
        return Spread(tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)), self.hours + other.hours)


EMPTY: Final = Spread()


def bucket_of(hours: float) -> int:
    return bisect_left(LIMITS_H, hours)


def one(hours: float) -> Spread:
    at = bucket_of(hours)
    return Spread(tuple(int(i == at) for i in range(BUCKETS)), hours)


def closed(before: Iterable[Advisory], after: Iterable[Advisory]) -> dict[str, str]:
    """CVE -> day on which it was published, of what was open and is not any more."""
    left = {row.cve for row in after}
    found: dict[str, str] = {}
    for row in before:
        if row.cve not in left:
            days = [day for day in (found.get(row.cve, ""), row.date) if day]
            found[row.cve] = min(days, default="")
    return found


def spans(stood: Stood, day: str, now_ms: int) -> dict[Span, float]:
    """Hours of each span that can be told of one closed CVE."""
    published = None
    with suppress(ValueError):  # its advisory has no day
        published = number(day) * DAY_MS
    known = max(stood.first_seen_ms, published or 0)
    known = min(known, now_ms)
    found = {Span.HERE: now_ms - known}
    if published is not None and published <= now_ms:
        found[Span.KNOWN] = known - published
        found[Span.ALL] = now_ms - published
    if stood.offered_ms:
        fixable = min(max(stood.offered_ms, known), now_ms)
        found[Span.FIXABLE], found[Span.PATCHED] = fixable - known, now_ms - fixable
    return {span: ms / HOUR_MS for span, ms in found.items()}


def added(
    gone: Iterable[tuple[Stood, Mapping[str, str]]], exploited: Mapping[str, KnownExploited],
    cvss: Mapping[str, Severity], ring: int, now_ms: int,
) -> dict[Key, Spread]:  # fmt: skip
    """What an inventory adds to the histograms: for each source that changed, its closed CVEs with their days."""
    found: dict[Key, Spread] = {}
    for stood, cves in gone:
        tally = Counter(
            (class_of(Facts(exploited.get(cve), None, cvss.get(cve))), day) for cve, day in cves.items()
        )  # a kernel closes thousands at once, of few days
        for (kind, day), times in tally.items():
            for span, hours in spans(stood, day, now_ms).items():
                key, at = Key(kind, ring, stood.way, span), bucket_of(hours)
                more = Spread(tuple(times * (i == at) for i in range(BUCKETS)), hours * times)
                found[key] = found.get(key, EMPTY).plus(more)
    return found
