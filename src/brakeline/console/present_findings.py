"""Accepted risk, terms and due dates -> view-models. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from brakeline.console.present import ago, cve_link, endpoints_href, plural, span
from brakeline.console.views import Badge, Link, Need, Tone
from brakeline.console.views_findings import AcceptanceRow, AcceptancesView, TermRow, TermsView
from brakeline.exposure.acceptance import Standing
from brakeline.exposure.accepting import AcceptanceView
from brakeline.exposure.answers import FleetExposure, OpenFinding, Vulnerability
from brakeline.exposure.due import CLASSES, DEFAULT_SOURCES, Terms

STANDINGS: Final = {
    Standing.FORCE: Badge("●", "in force", Tone.INFO), Standing.EXPIRED: Badge("–", "expired", Tone.IDLE),
    Standing.ENDED: Badge("–", "ended", Tone.IDLE), Standing.EXPLOITED: Badge("!", "exploited since", Tone.BAD),
}  # fmt: skip
LABELS: Final = {
    "exploited": "Exploited", "critical": "Critical (CVSS 9 on)", "high": "High (CVSS 7 on)",
    "moderate": "Moderate (CVSS 4 on)", "low": "Low", "unscored": "Nobody scored it",
}  # fmt: skip


def day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def due_text(v: Vulnerability) -> tuple[str, Tone]:
    """By when, and what was accepted, for lists."""
    if v.accepted_whole and v.accepted_until_ms:
        return f"accepted until {day(v.accepted_until_ms)}", Tone.IDLE
    late = f"{plural(v.overdue_days, 'day')} over" if v.overdue_days else ""
    parts = [f"{v.due} ({late})" if late else v.due or "none set"]
    parts += [f"accepted on {v.accepted:,}"] if v.accepted else []
    return ", ".join(parts), Tone.BAD if v.overdue_days else Tone.IDLE


def finding_notes(f: OpenFinding) -> list[str]:
    """The same for one finding of one endpoint."""
    if f.accepted_until_ms:
        return [f"accepted until {day(f.accepted_until_ms)}"]
    if f.overdue_days:
        return [f"{plural(f.overdue_days, 'day')} over"]
    return [f"due {f.due}"] if f.due else []


def overdue_needs(summary: FleetExposure) -> tuple[Need, ...]:
    """What is past its day needs a person."""
    if not summary.overdue:
        return ()
    href = f"/vulnerabilities?{urlencode({'q': 'due:overdue'})}"
    link = Link(plural(summary.overdue, "vulnerability").replace("vulnerabilitys", "vulnerabilities"), href)
    return (Need(Badge("!", "overdue", Tone.BAD), link, "past the day until which they are to be closed"),)


def acceptances_view(found: tuple[AcceptanceView, ...], now_ms: int, *, every: bool, may_write: bool
                     ) -> AcceptancesView:  # fmt: skip
    return AcceptancesView(tuple(acceptance_row(a, now_ms) for a in found), every, may_write)


def acceptance_row(one: AcceptanceView, now_ms: int) -> AcceptanceRow:
    a = one.acceptance
    left = (a.until_ms - now_ms) / 1000
    until = f"{day(a.until_ms)}, in {span(left)}" if left > 0 else day(a.until_ms)
    note = f"{a.ended_why}, {a.ended_by}, {ago(a.ended_ms, now_ms)}" if a.ended_ms else ""
    if one.standing is Standing.EXPLOITED:
        note = "it was accepted as not known to be exploited: it counts as open"
    by = a.approved_by if a.persons > 1 or a.approved_by == a.asked_by else f"{a.approved_by}, asked by {a.asked_by}"
    return AcceptanceRow(
        a.id, cve_link(a.cve), STANDINGS[one.standing], until,
        Link(a.filter or "every endpoint", endpoints_href(a.filter)),
        "none" if one.endpoints is None else f"{one.endpoints:,}", f"{by}, {ago(a.made_ms, now_ms)}", a.reason, note,
        ends=one.standing in (Standing.FORCE, Standing.EXPLOITED),
    )  # fmt: skip


def terms_view(terms: Terms, summary: FleetExposure, *, may_write: bool) -> TermsView:
    sentence = (
        f"{summary.overdue:,} past their day, {summary.due_soon:,} due within a week, {summary.accepted:,} accepted "
        f"wherever they can run; {summary.cves:,} stand open in what can run."
    )
    rows = tuple(TermRow(name, LABELS[name], getattr(terms, name)) for name in CLASSES)
    return TermsView(rows, terms.catalogue, terms.two_people.value, DEFAULT_SOURCES, sentence, may_write)
