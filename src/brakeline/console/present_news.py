"""What new advisories did -> lines of pages that are open. Pure.

The same arrival has the same id on every page and at every look, so that a line that stands stays the same element.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from brakeline.console.present import ago, cve_link, plural
from brakeline.console.present_risk import STATES
from brakeline.console.views import ArrivalRow, NewsLine
from brakeline.core.days import DAY_MS
from brakeline.exposure.answers import OpenFinding
from brakeline.exposure.model import Role
from brakeline.exposure.news import Arrival

SHOWN: Final = 10
LINES: Final = 3  # on pages that are about something else
FRESH_MS: Final = 10 * 60 * 1000


def arrival_rows(arrivals: Sequence[Arrival], now_ms: int) -> tuple[ArrivalRow, ...]:
    """What the newest advisories did, the newest first."""
    return tuple(
        ArrivalRow(
            cve_link(a.cve), ", ".join(a.sources), a.opened, a.patchable, a.closed, ago(a.at_ms, now_ms), _id(a),
            now_ms - a.at_ms < FRESH_MS,
        )
        for a in arrivals[:SHOWN]
    )  # fmt: skip


def newest(arrivals: Sequence[Arrival]) -> str:
    """The newest in one sentence that says no age: it is read out when it changes."""
    return f"{arrivals[0].cve} in {', '.join(arrivals[0].sources)}: {told(arrivals[0])}" if arrivals else ""


def told(a: Arrival) -> str:
    """One arrival in words."""
    parts = []
    if a.opened:
        can = f", {a.patchable:,} of them patchable now" if a.patchable else ", none of them patchable yet"
        parts.append(f"open on {plural(a.opened, 'endpoint')}{can}")
    if a.closed:
        parts.append(f"closed on {plural(a.closed, 'endpoint')}")
    return "; ".join(parts)


def news_lines(arrivals: Iterable[Arrival], now_ms: int) -> tuple[NewsLine, ...]:
    """What happened within a day, for the overview."""
    return tuple(
        NewsLine(_id(a), cve_link(a.cve), ", ".join(a.sources), told(a), ago(a.at_ms, now_ms))
        for a in arrivals if now_ms - a.at_ms < DAY_MS
    )[:LINES]  # fmt: skip


def finding_news(arrivals: Iterable[Arrival], found: Iterable[OpenFinding], now_ms: int) -> tuple[NewsLine, ...]:
    """Of these findings of an endpoint, those that an advisory of the last day has opened."""
    running = {f.finding.cve: f for f in found if f.finding.role == Role.ACTIVE.value}
    return tuple(
        NewsLine(
            _id(a), cve_link(a.cve), running[a.cve].finding.source, STATES[running[a.cve].state].word,
            ago(a.at_ms, now_ms),
        )
        for a in arrivals if a.opened and a.cve in running and now_ms - a.at_ms < DAY_MS
    )[:LINES]  # fmt: skip


def _id(a: Arrival) -> str:
    return f"{a.cve}-{a.at_ms}"
