"""The priority of every vulnerability of a fleet, from what is known of each and where it stands. Pure.

A CVE takes the worst place it has in the fleet: one endpoint that is tagged internet-facing is enough. It is open since
its source stands open there, and never since before its advisory: an old source with a new flaw is not late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple

from brakeline.advisories.model import Epss, KnownExploited, Severity
from brakeline.core.days import DAY_MS, number
from brakeline.exposure.index import Exposed
from brakeline.exposure.priority import Facts, Priority, prioritise, sort_key


class Rank(NamedTuple):
    """A priority, what it rests on, and its place in the order."""

    priority: Priority
    facts: Facts
    key: tuple[int, int, float, float, int]


class Known(NamedTuple):
    """What is known of CVEs, whoever has them; `epss` empty where it is too old. `today` as text, `now_ms` as time."""

    exploited: Mapping[str, KnownExploited]
    epss: Mapping[str, Epss]
    cvss: Mapping[str, Severity]
    today: str
    now_ms: int


def ranked(
    entries: Iterable[Exposed], known: Known, internet: AbstractSet[str], oldest: Mapping[str, int],
    before: Mapping[str, Rank] = MappingProxyType({}), same: Mapping[str, Exposed] = MappingProxyType({}),
) -> dict[str, Rank]:  # fmt: skip
    """CVE -> its rank. `internet`: endpoints that are tagged so; `oldest`: source -> since when it stands open;
    `before`: ranks whose words are kept where the facts are the same; `same`: the entries that they are of, where
    `internet`, the hour and `oldest` of their sources are what they were then."""
    found = {}
    for entry in entries:
        if same.get(entry.cve) is entry and _scored_as(before[entry.cve].facts, entry.cve, known):
            found[entry.cve] = before[entry.cve]
            continue
        facts = Facts(
            known.exploited.get(entry.cve), known.epss.get(entry.cve), known.cvss.get(entry.cve),
            entry.among(internet) > 0, bool(entry.endpoints) or not entry.carriers,
            _longest(entry, oldest, known.now_ms), known.today,
        )  # fmt: skip
        was, count = before.get(entry.cve), len(entry.endpoints)
        if was is not None and was.facts == facts:
            found[entry.cve] = was if was.key[-1] == -count else was._replace(key=(*was.key[:-1], -count))
            continue
        priority = prioritise(facts)
        found[entry.cve] = Rank(priority, facts, sort_key(priority, facts, count))
    return found


def standing(
    entries: Mapping[str, Exposed], was: Mapping[str, int], oldest: Mapping[str, int]
) -> Mapping[str, Exposed]:  # fmt: skip
    """Those of `entries` whose sources stand open since they did when it `was` so."""
    moved = {source for source in was.keys() | oldest.keys() if was.get(source) != oldest.get(source)}
    return {cve: one for cve, one in entries.items() if moved.isdisjoint(one.sources)} if moved else entries


def _scored_as(facts: Facts, cve: str, known: Known) -> bool:
    """Whether these facts rest on what is known of it now."""
    return (  # by identity: what is equal and another object is ranked anew, which gives the same rank
        known.exploited.get(cve) is facts.exploited and known.epss.get(cve) is facts.epss
        and known.cvss.get(cve) is facts.severity and known.today == facts.today
    )  # fmt: skip


def of_finding(cve: str, known: Known, *, internet: bool, runs: bool, since_ms: int | None, dated: str) -> Rank:
    """The same for one finding of one endpoint."""
    facts = Facts(
        known.exploited.get(cve), known.epss.get(cve), known.cvss.get(cve), internet, runs,
        open_days(since_ms, dated, known.now_ms), known.today,
    )  # fmt: skip
    priority = prioritise(facts)
    return Rank(priority, facts, sort_key(priority, facts, 1))


def open_days(since_ms: int | None, dated: str, now_ms: int) -> int | None:
    """For how many days it stands open: since its source does, and not before its advisory."""
    if since_ms is None:
        return None
    days = (now_ms - since_ms) // DAY_MS
    with suppress(ValueError):  # the advisory has no day
        days = min(days, now_ms // DAY_MS - number(dated))
    return max(0, days)


def _longest(entry: Exposed, oldest: Mapping[str, int], now_ms: int) -> int | None:
    ages = [open_days(oldest.get(source), entry.dated.get(source, ""), now_ms) for source in entry.sources]
    return max((age for age in ages if age is not None), default=None)
