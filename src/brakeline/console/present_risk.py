"""What exposure answers -> view-models. Pure. What is not known stands beside what is, never under it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from brakeline.advisories.ecosystems import shown
from brakeline.advisories.model import Advisory, FeedState
from brakeline.console.present import ago, cve_link, endpoint_href, plural, span
from brakeline.console.present_findings import day, due_text, finding_notes, overdue_needs
from brakeline.console.views import (
    AffectedRow,
    Badge,
    CveView,
    ExposureRow,
    Fact,
    FindingRow,
    Link,
    Need,
    Tone,
)
from brakeline.console.views_findings import AcceptanceRow
from brakeline.core.days import day_of
from brakeline.exposure.answers import (
    Affected,
    EndpointFindings,
    FleetExposure,
    OpenFinding,
    Vulnerability,
    VulnerabilityDetail,
)
from brakeline.exposure.checking import IndexStatus
from brakeline.exposure.model import FindingState, NotAssessed, Role
from brakeline.exposure.priority import Level

STATES: Final = {
    FindingState.FIXABLE: Badge("!", "fixable now", Tone.BAD),
    FindingState.BLOCKED: Badge("■", "blocked", Tone.WARN),
    FindingState.REBOOT: Badge("↻", "restart due", Tone.WARN),
    FindingState.NOT_OFFERED: Badge("‖", "not offered", Tone.WARN),
    FindingState.NO_FIX: Badge("○", "no fix yet", Tone.IDLE),
    FindingState.DEFERRED: Badge("○", "postponed", Tone.IDLE),
    FindingState.UNKNOWN: Badge("?", "not known", Tone.WARN),
}
PRIORITIES: Final = {
    Level.ACT: Badge("!", "act", Tone.BAD), Level.ATTEND: Badge("▲", "attend", Tone.WARN),
    Level.UNRATED: Badge("?", "unrated", Tone.WARN), Level.PLAN: Badge("○", "plan", Tone.IDLE),
    Level.TRACK: Badge("–", "track", Tone.IDLE),
}  # fmt: skip
CARRIER: Final = Badge("–", "carried only", Tone.IDLE)
QUERY_HELP: Final = (
    "Words: priority:act, kev:yes, due:overdue, due:<7d, accepted:yes, state:fixable_now, source:curl, ecosystem:pypi, "
    "role:active, or part of an id or a name."
)
SHOWN_ENDPOINT_ROWS: Final = 200


def state_badge(state: str) -> Badge:
    """A FindingState or "carrier"."""
    return CARRIER if state == "carrier" else STATES[FindingState(state)]


def worst_state(v: Vulnerability) -> Badge:
    """The state that asks most of people, over all endpoints that have it."""
    return next((STATES[s] for s in FindingState if v.states.get(s.value)), CARRIER)


def exposure_row(v: Vulnerability) -> ExposureRow:
    """One line of the list."""
    href = f"/vulnerabilities/{v.cve}"
    fixed = sorted({f for f in v.fixed.values() if f})
    due, tone = due_text(v)
    return ExposureRow(
        v.cve, cve_link(v.cve), ", ".join(v.sources), v.kev, worst_state(v), v.endpoints, href,
        ", ".join(fixed) if fixed else "none yet", due, tone,
        PRIORITIES[v.priority.level], scores(v.epss, v.cvss), ", ".join(map(named, v.ecosystems)),
    )  # fmt: skip


def named(ecosystem: str) -> str:
    """An ecosystem for people: "AlmaLinux 9", "PyPI"."""
    return shown(ecosystem).replace(":", " ", 1)


def ecosystem_links(summary: FleetExposure) -> tuple[Link, ...]:
    """How many CVEs stand open in each ecosystem, each a link to these."""
    return tuple(
        Link(f"{count:,} in {named(name)}", f"/vulnerabilities?{urlencode({'q': f'ecosystem:{name}'})}")
        for name, count in summary.ecosystems.items()
    )


UNMATCHED: Final = "no_advisories"  # of a whole system that was looked at, and whose inventory nothing is matched with
GAPS: Final = {
    "no_data": "without advisory data for their ecosystem or release",
    "third_party": "built by somebody else",
    "other_lineage": "backports",
    "unmapped_source": "signed from a source that is not known",
    "bad_version": "of a version that its ecosystem does not know",
    "owned": "judged as the system package that owns them",
    "other_manager": "of another package manager than the system's",
    "no_order": "of an ecosystem whose order of versions is not known",
    "running_kernel_unknown": "running kernels of no installed package",
    "no_provider": "of a system that has no provider yet",
    UNMATCHED: "of a system whose inventory is matched with no advisories yet",
}


def gap_lines(counts: Mapping[str, int]) -> tuple[str, ...]:
    """What was not assessed, by reason, the most first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(f"{count:,} {GAPS.get(code, code.replace('_', ' '))}" for code, count in ordered)


def scores(epss: float | None, cvss: float | None) -> str:
    """How likely and how bad, as far as anything says."""
    said = [f"EPSS {epss:.1%}"] if epss is not None else []
    said += [f"CVSS {cvss:.1f}"] if cvss is not None else []
    return ", ".join(said) or "not scored"


def sources_text(feeds: tuple[FeedState, ...]) -> str:
    """Which advisory data is loaded and how old it is; without any, that."""
    if not feeds:
        return "No advisory data is loaded: nothing can be assessed."
    return " · ".join(f"{f.feed} of {f.content_day}" + (f" ({f.problem})" if f.problem else "") for f in feeds)


def index_facts(s: IndexStatus, now_ms: int) -> tuple[Fact, ...]:
    """What answers here, and whether it was compared with the database."""
    compared = "not yet: the server has just started" if not s.rounds else (
        f"{ago(s.last_check_ms, now_ms)}; {plural(s.checked_endpoints, 'endpoint')} so far"
    )  # fmt: skip
    facts = [
        Fact("Index", f"{plural(s.endpoints, 'endpoint')}, {plural(s.units, 'version')} of packages"),
        Fact("Opened from", s.origin + (f" ({s.refused})" if s.refused else ""), Tone.WARN if s.refused else None),
        Fact("Compared with the database", compared),
        Fact("Advisories", s.advisories[0].upper() + s.advisories[1:]),
    ]
    if s.differences:
        text = f"{s.differences:,}, mended; the last {ago(s.last_difference_ms, now_ms)}: {s.last_difference}"
        facts.append(Fact("Differences", text, Tone.WARN))
    else:
        facts.append(Fact("Differences", "none found" if s.rounds else "not known yet"))
    return tuple(facts)


def risk_needs(summary: FleetExposure, exploited: tuple[Vulnerability, ...]) -> tuple[Need, ...]:
    """What of the exposure needs a person."""
    needs = [
        Need(
            Badge("!", "exploited", Tone.BAD), cve_link(v.cve),
            f"in {', '.join(v.sources)}: exploited in the wild, on {plural(v.endpoints, 'endpoint')}, "
            + worst_state(v).word,
        )
        for v in exploited if v.endpoints > v.accepted
    ]  # fmt: skip
    needs += overdue_needs(summary)
    if summary.no_data:
        needs.append(Need(
            Badge("?", "not assessed", Tone.WARN), Link(plural(summary.no_data, "endpoint"), "/endpoints"),
            "not assessed: no inventory, or a release without advisory data",
        ))  # fmt: skip
    return tuple(needs)


def finding_row(f: OpenFinding, now_ms: int) -> FindingRow:
    """One finding of one endpoint."""
    found = f.finding
    carried = found.role == Role.CARRIER.value
    badge = CARRIER if carried else STATES[f.state]
    named_by = f"closed by {found.advisory}" if found.advisory not in ("", found.cve) and found.fixed else ""
    notes = [f.note, "headers or documents, does not run" if carried else "", named_by]
    notes += [] if carried else finding_notes(f)
    if f.since_ms:
        notes.append(f"open for {span((now_ms - f.since_ms) / 1000)}")
    note = "; ".join(n for n in notes if n)
    return FindingRow(
        cve_link(found.cve), found.package, found.installed, found.fixed or "none yet", found.kev, badge, note,
        PRIORITIES[f.priority.level], named(found.ecosystem),
    )  # fmt: skip


def findings_note(answer: EndpointFindings, shown: int, now_ms: int) -> str:
    """What the table does not say."""
    whole = answer.not_assessed[0] if answer.not_assessed else None
    if whole is not None and whole.code == UNMATCHED:
        return f"Not assessed: {whole.package}: {whole.reason}. What stands open is not, neither good nor bad."
    if whole is not None and not answer.inventory_ms:
        return f"Not assessed: {whole.package}: {whole.reason}. Nothing is known, neither good nor bad."
    if not answer.inventory_ms:
        return "Not assessed: no inventory has arrived, so nothing is known, neither good nor bad."
    parts = []
    if not answer.findings:
        parts.append(f"No open finding in {answer.packages:,} packages that could be assessed.")
    if len(answer.findings) > shown:
        parts.append(f"{len(answer.findings) - shown:,} more are not shown here.")
    if answer.not_assessed:
        codes = Counter(n.code for n in answer.not_assessed)
        firsts = {n.code: n for n in reversed(answer.not_assessed)}
        told = (_gap(firsts[code], count - 1) for code, count in codes.most_common(GAPS_SHOWN))
        parts.append(f"Not assessed: {'; '.join(told)}.")
    if answer.dismissed:
        counts = ", ".join(f"{n:,} {code.replace('_', ' ')}" for code, n in answer.dismissed_counts.items())
        first_row = answer.dismissed[0]
        parts.append(f"Advisories that make no finding: {counts}; such as {first_row.cve} ({first_row.reason}).")
    if answer.unknown_since_ms:
        parts.append(f"Not heard for {ago(answer.unknown_since_ms, now_ms).removesuffix(' ago')}: this may be old.")
    return " ".join(parts)


GAPS_SHOWN: Final = 4


def _gap(first: NotAssessed, rest: int) -> str:
    return f"{first.package} ({first.reason})" + (f" and {rest:,} more like it" if rest else "")


def closes(answer: EndpointFindings) -> dict[str, tuple[str, ...]]:
    """Package -> CVEs that its pending update would close, exploited ones first."""
    found: dict[str, list[str]] = {}
    for f in answer.findings:
        if f.state is FindingState.FIXABLE and f.finding.role != Role.CARRIER.value:
            found.setdefault(f.finding.package, []).append(f.finding.cve)
    return {package: tuple(dict.fromkeys(cves)) for package, cves in found.items()}


def affected_row(a: Affected) -> AffectedRow:
    return AffectedRow(
        Link(a.hostname or a.endpoint_id, endpoint_href(a.endpoint_id)), a.region, a.source, a.version,
        a.fixed or "none yet", state_badge(a.state), named(a.ecosystem),
        f"accepted until {day(a.accepted_until_ms)}" if a.accepted_until_ms else "",
    )  # fmt: skip


SHOWN_CORRECTIONS: Final = 8


def said_of(a: Advisory) -> str:
    """One row, in words."""
    module = f" in {a.module}" if a.module not in ("", "?") else ""
    why = f": {a.reason}" if a.reason else ""
    if a.state in ("not_affected", "withdrawn", "deferred"):
        return f"{'postponed' if a.state == 'deferred' else a.state.replace('_', ' ')}{module}{why}"
    since = f"from {a.introduced} on, " if a.introduced else ""
    end = f"up to {a.last_affected}" if a.last_affected else "no fix yet"
    return f"{since}fixed in {a.fixed}{module}" if a.fixed else f"{since}{end}{module}"


def cve_view(d: VulnerabilityDetail, may_deploy: bool, accepted: tuple[AcceptanceRow, ...] = (), *,
             may_accept: bool = False) -> CveView:  # fmt: skip
    """One CVE: what advisories say, where it is, and the way to close it."""
    v = d.vulnerability
    badges = [PRIORITIES[v.priority.level]]
    badges += [Badge("!", "exploited in the wild", Tone.BAD)] if v.kev else []
    badges.append(worst_state(v) if v.endpoints else CARRIER if v.carriers else Badge("✓", "nowhere open", Tone.OK))
    facts = [Fact("Source packages", ", ".join(sorted({a.source for a in d.advisories})))]
    for a in d.advisories[:8]:
        where = f", {a.dist}" if a.dist else ""
        by = f"{a.id}: " if a.id and a.id != v.cve else ""
        facts.append(Fact(f"{a.source}, {named(a.ecosystem)}",
                          f"{by}{said_of(a)}{where}{f' ({a.date})' if a.date else ''}"))  # fmt: skip
    for c in d.corrections[:SHOWN_CORRECTIONS]:
        now = f"says now “{c.after}”" if c.after else "is no longer there"
        facts.append(Fact(f"{c.kind} {day_of(c.at_ms)}", f"{c.id} of {c.name} said “{c.before}” and {now} ({c.feed})"))
    if v.kev_due:
        facts.append(Fact("Exploited: CISA's own date", v.kev_due, Tone.BAD))
    facts.append(Fact("Due", f"{due_text(v)[0]}: {v.due_why}" if v.due_why else due_text(v)[0], due_text(v)[1]))
    vector = f" ({v.cvss_vector})" if v.cvss_vector else ""
    facts.append(Fact("How likely and how bad", scores(v.epss, v.cvss) + vector))
    facts += [Fact("Not known", limit) for limit in d.limits]
    note = f"{plural(v.endpoints, 'endpoint')} can run it" + (f", {v.carriers:,} only carry it" if v.carriers else "")
    fixable = v.states.get(FindingState.FIXABLE.value, 0)
    sources = " ".join(v.sources)
    href = f"/rollouts/new?{urlencode({'selection': 'cve', 'names': v.cve})}"
    return CveView(
        v.cve, f"in {sources}" if sources else "not in this fleet", tuple(badges), tuple(facts),
        tuple(map(affected_row, d.affected[:SHOWN_ENDPOINT_ROWS])), note, href if fixable and may_deploy else "",
        tuple(reason.text for reason in v.priority.reasons), accepted,
        f"/vulnerabilities/{v.cve}/accept" if may_accept and v.endpoints else "",
    )  # fmt: skip
