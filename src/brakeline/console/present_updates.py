"""Exposure over time, and updates with what they close -> view-models. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlencode

from brakeline.console.present import endpoint_href, plural, refused_query, span
from brakeline.console.present_risk import PRIORITIES, exposure_row
from brakeline.console.trend_charts import DayChart, DayCounts
from brakeline.console.views import Badge, Link, QueryBar, Tone
from brakeline.console.views_findings import (
    FollowedRow,
    KeptOutRow,
    PendingRow,
    TimeRowView,
    TrendView,
    UpdateGainRow,
    UpdatesView,
    UpdateView,
)
from brakeline.core.errors import Invalid
from brakeline.exposure.priority import Level
from brakeline.exposure.times import OUTSIDE, ExposureDay, Followed
from brakeline.exposure.trend import TimeRow
from brakeline.exposure.updates import UpdateDetail, UpdatePage
from brakeline.exposure.updates_listing import UpdateGain
from brakeline.protocol.messages import PendingUpdate, UpdateState
from brakeline.rollout.declining import Quarantined

NOTHING: Final = Badge("–", "nothing known", Tone.IDLE)
HOLDS: Final = {
    UpdateState.AVAILABLE: Badge("○", "available", Tone.INFO),
    UpdateState.NEEDS_NEW: Badge("○", "brings new packages", Tone.INFO),
    UpdateState.NEEDS_REMOVAL: Badge("■", "would remove packages", Tone.WARN),
    UpdateState.KEPT_BACK: Badge("■", "kept back", Tone.WARN), UpdateState.HELD: Badge("■", "held", Tone.WARN),
    UpdateState.PHASED: Badge("○", "phased by the vendor", Tone.IDLE),
}  # fmt: skip
UPDATES: Final = "/updates"
TREND: Final = "/vulnerabilities/trend"
UPDATES_HELP: Final = (
    "Words: priority:act, kev:yes, due:overdue, closes:yes, held:no, security:yes, source:openssl, or part of a name."
)
NOTE: Final = (
    "Closed is what an inventory shows: the version that had it is gone. The clock begins when it was known here: when "
    "its source stood open, and never before its advisory. What went away with its package is counted apart."
)


def trend_view(found: tuple[ExposureDay, ...], times: tuple[TimeRow, ...], days: int) -> TrendView:
    charts = (
        DayChart("open", "Vulnerabilities that stand open", "open", "accepted wherever they can run",
                 tuple(DayCounts(d.day, d.cves, d.accepted) for d in found)),
        DayChart("late", "Exploited and overdue", "known to be exploited", "past their day",
                 tuple(DayCounts(d.day, d.kev, d.overdue) for d in found)),
        DayChart("hosts", "Endpoints", "assessed", "with something open",
                 tuple(DayCounts(d.day, d.assessed, d.vulnerable) for d in found)),
    )  # fmt: skip
    return TrendView(charts, tuple(map(time_row, times)), days, NOTE)


def followed_row(one: Followed, chosen: str, days: int) -> FollowedRow:
    href = f"{TREND}?{urlencode({'days': days, 'q': one.query})}"
    return FollowedRow(one.query, href, one.since, one.by, one.query == chosen)


def time_row(r: TimeRow) -> TimeRowView:
    def told(hours: float | None) -> str:
        return "–" if hours is None else span(hours * 3600)

    def at_most(hours: float | None) -> str:
        return f"≤ {span(hours * 3600)}" if hours is not None else "> 1 year" if r.closed else "–"

    ring = "outside of rollouts" if r.ring == OUTSIDE else f"ring {r.ring + 1}"
    return TimeRowView(
        r.kind, ring, f"{r.closed:,}", told(r.mean_h), at_most(r.median_h), at_most(r.p90_h),
        told(r.published_known_h), told(r.known_fixable_h), told(r.fixable_closed_h), f"{r.removed:,}",
    )  # fmt: skip


def update_href(name: str) -> str:
    return f"/updates/{quote(name)}"


def gain_row(one: UpdateGain) -> UpdateGainRow:
    u = one.update
    closes = plural(one.closes, "CVE") if one.closes else "no known CVE"
    if one.overdue:
        closes += f", {one.overdue:,} overdue"
    waits = u.endpoints - u.available
    return UpdateGainRow(
        f"{u.name}-{u.candidate}", Link(u.name, update_href(u.name)), u.candidate, u.security,
        u.source if u.source != u.name else "", closes, PRIORITIES[Level(one.worst)] if one.worst else NOTHING,
        bool(one.kev), u.endpoints, plural(waits, "endpoint") if waits else "",
    )  # fmt: skip


def updates_view(found: UpdatePage, query: str) -> UpdatesView:
    closing = sum(bool(one.closes) for one in found.items)
    note = f"{plural(found.total, 'update')}, {closing:,} of those shown close something that stands open"
    if len(found.items) < found.total:
        note += f"; the {len(found.items):,} most urgent are shown"
    note += f". {found.cut}" if found.cut else ""
    bar = QueryBar(UPDATES, query, matched=found.total, total=found.known, help=UPDATES_HELP)
    return UpdatesView(tuple(map(gain_row, found.items)), bar, note)


def updates_refused(query: str, wrong: Invalid) -> UpdatesView:
    return UpdatesView((), refused_query(UPDATES, query, wrong, UPDATES_HELP))


def kept_out_rows(name: str, found: Iterable[Quarantined]) -> tuple[KeptOutRow, ...]:
    """What of one package no rollout offers."""
    return tuple(
        KeptOutRow(q.pin.version, q.told, q.declined,
                   None if q.declined else Link("that rollout", f"/rollouts/{q.rollout_id}"))
        for q in found if q.pin.name == name
    )  # fmt: skip


def without(pending: Iterable[PendingUpdate], found: Iterable[Quarantined]) -> list[PendingUpdate]:
    """Of an endpoint's pending updates those that no rollout offers are kept back, and say so."""
    told = {(q.pin.name, q.pin.version): q.told for q in found}
    return [
        replace(u, state=UpdateState.KEPT_BACK, reason=f"{u.candidate} {told[u.name, u.candidate]}")
        if (u.name, u.candidate) in told else u for u in pending
    ]  # fmt: skip


def update_view(
    d: UpdateDetail, *, may_deploy: bool, kept_out: Iterable[Quarantined] = (), may_decline: bool = False,
    may_allow: bool = False,
) -> UpdateView:  # fmt: skip
    rows = kept_out_rows(d.name, kept_out)
    declined = {r.version: r.why for r in rows}
    offered = dict.fromkeys(v.update.candidate for v in d.versions)
    may = tuple(v for v in offered if not any(r.version == v and r.by_people for r in rows)) if may_decline else ()
    source = d.versions[0].update.source
    of = f" The updates of {source} close them together." if source != d.name else ""
    shown = f" The first {len(d.closes):,} are here." if d.total > len(d.closes) else ""
    endpoints = sum(v.update.endpoints for v in d.versions)
    href = f"/rollouts/new?{urlencode({'selection': 'names', 'names': d.name})}"
    available = any(v.update.available for v in d.versions)
    return UpdateView(
        d.name, f"pending on {plural(endpoints, 'endpoint')}", tuple(map(gain_row, d.versions)),
        tuple(map(exposure_row, d.closes)), f"{plural(d.total, 'CVE')}.{of}{shown}",
        tuple(
            PendingRow(Link(e.hostname or e.endpoint_id, endpoint_href(e.endpoint_id)),
                       f"{e.installed} → {e.candidate}", HOLDS[UpdateState(e.state)],
                       f"{e.candidate} {declined[e.candidate]}" if e.candidate in declined else e.reason)
            for e in d.endpoints
        ),
        href if may_deploy and available else "", rows, may, may_allow,
    )  # fmt: skip
