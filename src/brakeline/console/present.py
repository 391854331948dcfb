"""Service data of the fleet -> view-models. Pure: the present moment comes in as `now_ms`.

Truth first: what was never reported is `None` ("? not known"), a count of nothing is only shown as 0 when an inventory
says so, and every update that is not installed says why.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode

from brakeline.console.screens import ENDPOINT_TABS
from brakeline.console.views import (
    Badge,
    Chip,
    EndpointRow,
    Fact,
    Kpi,
    Link,
    Need,
    QueryBar,
    SoftwareRow,
    Step,
    Tab,
    Tone,
    UpdateRow,
)
from brakeline.core.errors import Fault
from brakeline.core.limits import SILENCE_GRACE_INTERVALS
from brakeline.fleet.model import EndpointDetail, EndpointState, EndpointSummary, EnrolToken, FleetCounts
from brakeline.fleet.query import KEYS, Query, parse, render
from brakeline.protocol.managers import is_found, less_tried
from brakeline.protocol.messages import Facts, Mode, Package, PendingUpdate, SoftwareLook, UpdateState

TAB_LABELS: Final = {"agent": "Agent and launcher", "history": "Changes"}
QUERY_HELP: Final = f"Words: {', '.join(KEYS)}. A leading - means not; seen:<1h and seen:>3d compare times."
_DID_YOU_MEAN = re.compile(
    r"(?:unknown key (?P<key>'[^']*')|(?P<pair>\S+) is unknown); did you mean '(?P<meant>[^']*)'"
)
_CVE = re.compile(r"^[A-Za-z0-9-]{1,40}$")


def moment(ms: int) -> str:
    """`19:11:04 UTC`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S UTC")


def clock_text(ms: int, now_ms: int) -> str:
    """`19:11:04` today, else `11-20 19:11`."""
    at, now = datetime.fromtimestamp(ms / 1000, UTC), datetime.fromtimestamp(now_ms / 1000, UTC)
    return at.strftime("%H:%M:%S") if at.date() == now.date() else at.strftime("%m-%d %H:%M")


def full_time(ms: int) -> str:
    """RFC 3339 for `<time datetime>`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """A duration as people say it: `42 s`, `3 h 12 min`, `2 d`."""
    s = max(0, round(seconds))
    if s < 120:
        return f"{s} s"
    if s < 2 * 3600:
        return f"{s // 60} min"
    if s < 2 * 86400:
        rest = s % 3600 // 60
        return f"{s // 3600} h {rest} min" if rest else f"{s // 3600} h"
    return f"{s // 86400} d"


def ago(ms: int, now_ms: int) -> str:
    """`12 s ago`; 0 = never."""
    return f"{span((now_ms - ms) / 1000)} ago" if ms else "never"


def plural(count: int, noun: str) -> str:
    """`1 endpoint`, `1,204 endpoints`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def endpoints_href(query: str) -> str:
    return f"/endpoints?{urlencode({'q': query})}" if query else "/endpoints"


def endpoint_href(endpoint_id: str) -> str:
    return f"/endpoints/{quote(endpoint_id, safe='')}"


def cve_link(cve: str) -> Link:
    """Advisory ids become links where they are plain words."""
    return Link(cve, f"/vulnerabilities/{cve}" if _CVE.fullmatch(cve) else "")


# --- queries -------------------------------------------------------------------------------------------------------


def chips(query: Query, action: str) -> tuple[Chip, ...]:
    """One chip per term, each with the address of the list without it."""
    found = []
    for i, term in enumerate(query.terms):
        rest = render(Query(query.terms[:i] + query.terms[i + 1 :]))
        found.append(Chip(render(Query((term,))), f"{action}?{urlencode({'q': rest})}" if rest else action))
    return tuple(found)


def query_bar(action: str, text: str, matched: int | None, total: int | None, help_text: str) -> QueryBar:
    """The bar of a query that could be understood."""
    return QueryBar(action, text, chips(parse(text), action), matched, total, help=help_text)


def refused_query(action: str, text: str, fault: Fault, help_text: str, field: str = "q",
                  typed: Mapping[str, str | Sequence[str]] = MappingProxyType({})) -> QueryBar:  # fmt: skip
    """The bar of a query that could not, with the corrected one as a link where it can be guessed. `typed`: the rest of
    the form, which the link keeps."""
    meant = corrected(text, fault.detail)
    link = Link(meant, f"{action}?{urlencode({**typed, field: meant}, doseq=True)}") if meant else None
    said = fault.detail.split("; did you mean")[0] if link else fault.detail
    return QueryBar(action, text, error=f"{said}.", suggestion=link, help=help_text)


def corrected(text: str, detail: str) -> str:
    """`text` with the mistake in `detail` put right; "" if that is not known."""
    found = _DID_YOU_MEAN.search(detail)
    if found is None:
        return ""
    if found["key"]:
        wrong = found["key"].strip("'")
        return re.sub(rf"(?<![\w:]){re.escape(wrong)}:", f"{found['meant']}:", text, count=1, flags=re.IGNORECASE)
    key = found["pair"].partition(":")[0]
    return re.sub(rf"{re.escape(found['pair'])}", f"{key}:{found['meant']}", text, count=1, flags=re.IGNORECASE)


# --- endpoints -----------------------------------------------------------------------------------------------------


def endpoint_state(e: EndpointSummary, now_ms: int, interval_s: int) -> Badge:
    """Reporting, asleep, silent, cloned, retired; never calm without a recent check-in."""
    if e.state is EndpointState.CLONED:
        return Badge("✕", "cloned", Tone.BAD)
    if e.state is EndpointState.RETIRED:
        return Badge("–", "retired", Tone.IDLE)
    if not e.last_seen_ms:
        return Badge("?", "never heard", Tone.WARN)
    if e.asleep:
        return Badge("☾", "asleep", Tone.IDLE)
    if now_ms - e.last_seen_ms > SILENCE_GRACE_INTERVALS * interval_s * 1000:
        return Badge("?", "silent", Tone.WARN)
    if not e.healthy:
        return Badge("!", "unhealthy", Tone.WARN)
    return Badge("●", "reporting", Tone.OK)


def endpoint_row(
    e: EndpointSummary, now_ms: int, interval_s: int, modes: Mapping[str, Mode], findings: Mapping[str, int]
) -> EndpointRow:
    """One line of the list."""
    known = e.inventory_ms > 0
    mode = modes.get(e.id)
    return EndpointRow(
        id=e.id, link=Link(e.hostname or e.id, endpoint_href(e.id)),
        os=e.os_name or f"{e.os_id} {e.os_version}".strip(),
        region=e.region, state=endpoint_state(e, now_ms, interval_s),
        security=e.pending_security if known else None, other=e.pending_total - e.pending_security if known else None,
        findings=findings.get(e.id) if known else None, reboot=e.reboot_required if known else None,
        mode=mode.value if mode else "?", agent=e.agent_version or "?", seen=ago(e.last_seen_ms, now_ms),
    )  # fmt: skip


WHY: Final = {
    UpdateState.NEEDS_NEW: (Badge("+", "needs new packages", Tone.INFO), "installs further packages"),
    UpdateState.NEEDS_REMOVAL: (Badge("■", "needs removal", Tone.WARN), "would remove other packages; never by itself"),
    UpdateState.KEPT_BACK: (Badge("‖", "kept back", Tone.WARN), "the package manager keeps it back"),
    UpdateState.HELD: (Badge("■", "held", Tone.WARN), "held on the endpoint"),
    UpdateState.PHASED: (Badge("‖", "phased", Tone.IDLE), "the distribution has not released it to this machine yet"),
}


def update_row(
    update: PendingUpdate, mode: Mode | None, waiting: Mapping[str, str], closes: Mapping[str, tuple[str, ...]]
) -> UpdateRow:
    """A pending update and why it is not installed. `waiting`: package -> what its rollout waits for."""
    badge, why = why_not_yet(update, mode, waiting.get(update.name, ""))
    cves = closes.get(update.name, ())
    if tried := less_tried(update.name):
        why = f"{why.rstrip('.')}. {tried}"
    return UpdateRow(
        update.name, update.installed, update.candidate, update.security, update.suite, badge, why,
        tuple(cve_link(c) for c in cves[:3]), max(0, len(cves) - 3),
    )  # fmt: skip


def why_not_yet(update: PendingUpdate, mode: Mode | None, waiting: str) -> tuple[Badge, str]:
    """The endpoint's own reason first, then the rollout's, then the policy's."""
    if update.state in WHY and update.state is not UpdateState.NEEDS_NEW:
        badge, why = WHY[update.state]
        return badge, update.reason or why
    if waiting.startswith("spared"):
        return Badge("–", "spared", Tone.IDLE), waiting
    if waiting:
        return Badge("○", "in a rollout", Tone.INFO), waiting
    if mode is Mode.ASSESS:
        return Badge("○", "assess only", Tone.IDLE), "no policy lets this endpoint patch"
    if mode is None:
        return Badge("?", "not known", Tone.WARN), "its policy could not be read"
    return Badge("○", "available", Tone.INFO), "no rollout has it yet"


def software_row(p: Package) -> SoftwareRow:
    """One line; what was found on the disk has a place, and the system package that has it, if any."""
    if is_found(p.architecture):
        origin = f"part of the package {p.owner}" if p.owner else "found on the disk"
        return SoftwareRow(p.name, p.version, "", p.source, origin, "", p.ecosystem, p.where)
    return SoftwareRow(
        p.name, p.version, p.architecture, p.source, p.origin or "no repository has it", p.state, p.ecosystem, p.where
    )


def software_chosen(packages: Sequence[Package], query: str) -> list[Package]:
    """What matches `ecosystem:pypi words`; words are looked for in names, sources and places."""
    words = query.lower().split()
    ecosystems = [w.partition(":")[2] for w in words if w.startswith("ecosystem:")]
    parts = [w for w in words if not w.startswith("ecosystem:")]
    return [
        p for p in packages
        if (not ecosystems or p.ecosystem.lower() in ecosystems)
        and all(any(part in text.lower() for text in (p.name, p.source, p.where)) for part in parts)
    ]  # fmt: skip


def ecosystem_links(endpoint_id: str, packages: Sequence[Package]) -> tuple[Link, ...]:
    """A filter for each ecosystem that is there, the largest first; () where there is but one."""
    counts = Counter(p.ecosystem for p in packages)
    href = f"{endpoint_href(endpoint_id)}/software"
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    made = (Link(f"{name} {n:,}", f"{href}?{urlencode({'q': f'ecosystem:{name}'})}") for name, n in rows)
    return (Link(f"all {len(packages):,}", href), *made) if len(counts) > 1 else ()


def looked_text(look: SoftwareLook | None) -> str:
    """How far the search beside package managers came; never silent about what it left out."""
    if look is None:
        return "Only what package managers know: its agent looks for nothing beside them."
    extent = "everything within its bounds" if look.complete else "not everything"
    return f"Beside package managers: {look.found:,} found in {look.directories:,} directories; {extent} was looked at."


def endpoint_alerts(d: EndpointDetail) -> tuple[str, ...]:
    """What is wrong with the endpoint itself, in sentences."""
    found = [f"The package manager cannot work: {problem}" for problem in d.health.problems]
    if d.summary.state is EndpointState.CLONED:
        found.append(
            f"Two machines use this identity ({d.state_reason}). Both get no offers; enrol each of them again."
        )
    if d.health.lists_problem:
        found.append(f"The package lists could not be refreshed: {d.health.lists_problem}")
    found += [f"Service failed: {service}" for service in d.failed_services]
    if d.same_hostname:
        found.append(f"{plural(len(d.same_hostname), 'other endpoint')} with this host name: an earlier enrolment?")
    return tuple(found)


def endpoint_facts(d: EndpointDetail, now_ms: int, mode: Mode | None) -> tuple[Fact, ...]:
    """The card *About this endpoint*."""
    lists = ago(d.health.lists_refreshed_ms, now_ms)
    s = d.summary
    return (
        Fact("System", d.facts.os_name or "not known"), Fact("Kernel", f"{d.facts.kernel} · {d.facts.architecture}"),
        Fact("Package manager", manager_words(d.facts)),
        Fact("Class", s.machine_class), Fact("Region", s.region), Fact("Tags", " ".join(s.tags) or "none"),
        Fact("Mode", mode.value if mode else "not known"), Fact("Package lists", f"refreshed {lists}"),
        Fact("Inventory", f"{d.packages:,} packages, {ago(s.inventory_ms, now_ms)}" if s.inventory_ms else "none yet"),
        Fact("Enrolled", ago(s.enrolled_ms, now_ms)), Fact("Id", s.id), Fact("Key", d.public_key[:16] + "…"),
    )  # fmt: skip


def manager_words(facts: Facts) -> str:
    """The system's package manager, in the version that it says it has."""
    if facts.package_manager == "none":
        return "none that could be driven: not assessed"
    if facts.package_manager == "windows":
        return "Windows Installer, Windows Update, winget: not run on the real system, orders are not carried out yet"
    return f"{facts.package_manager} {facts.package_manager_version}".strip()


def endpoint_kpis(d: EndpointDetail, findings: int | None, exploited: int, agent: Badge) -> tuple[Kpi, ...]:
    """Four figures at the top of an endpoint."""
    base, s = endpoint_href(d.summary.id), d.summary
    known = s.inventory_ms > 0
    restart = ("due", "; ".join(d.reboot.reasons) or "due") if d.reboot.required else ("no", "nothing waits for one")
    worst = f"{exploited} exploited in the wild" if exploited else "none known to be exploited"
    return (
        Kpi("missing", "Missing updates", f"{s.pending_total:,}" if known else None,
            f"{s.pending_security:,} of them security" if known else "no inventory yet", f"{base}/missing",
            Tone.BAD if s.pending_security else None),
        Kpi("findings", "Findings", None if findings is None else f"{findings:,}",
            worst if findings is not None else "not assessed yet", f"{base}/findings", Tone.BAD if exploited else None),
        Kpi("restart", "Restart", restart[0] if known else None, restart[1] if known else "no inventory yet",
            f"{base}/summary", Tone.WARN if d.reboot.required else None),
        Kpi("agent", "Agent", agent.word, f"version {s.agent_version or 'not known'}", f"{base}/agent", agent.tone),
    )  # fmt: skip


def endpoint_tabs(endpoint_id: str, current: str, notes: Mapping[str, int | None]) -> tuple[Tab, ...]:
    return tuple(
        Tab(TAB_LABELS.get(n, n.capitalize()), f"{endpoint_href(endpoint_id)}/{n}", n == current,
            f"{notes[n]:,}" if notes.get(n) else "")
        for n in ENDPOINT_TABS
    )  # fmt: skip


# --- add endpoint, overview ----------------------------------------------------------------------------------------


def token_facts(token: EnrolToken, now_ms: int) -> str:
    uses = "once" if token.uses == 1 else f"{token.uses} times"
    return f"The token works {uses}, for {span((token.expires_ms - now_ms) / 1000)}, and can only enrol."


def add_steps(
    enrolled: EndpointDetail | None, findings: int | None, now_ms: int, token: EnrolToken
) -> tuple[Step, ...]:
    """The three ticks: connection, inventory, findings."""
    inventory = enrolled is not None and enrolled.summary.inventory_ms > 0
    done = (enrolled is not None, inventory, inventory and findings is not None)
    late = token.expires_ms <= now_ms and not done[0]
    details = (
        enrolled.summary.hostname if enrolled else "the token has expired: make a new line" if late else "",
        f"{enrolled.packages:,} packages, {enrolled.summary.pending_total:,} updates missing"
        if inventory and enrolled
        else "",
        plural(findings or 0, "finding") if done[2] else "",
    )
    texts = (
        "Connected" if done[0] else "Waiting for the first connection…", "Inventory: packages and versions",
        "Findings: what they expose",
    )  # fmt: skip
    current = done.index(False) if False in done else 3
    return tuple(
        Step(i + 1, texts[i], "done" if done[i] else "current" if i == current else "waiting", details[i])
        for i in range(3)
    )


def overview_kpis(c: FleetCounts, exploited: int | None, exploited_endpoints: int | None) -> tuple[Kpi, ...]:
    """Four figures of the fleet, each with the list that makes it."""
    silent = c.endpoints - c.reporting
    known = c.endpoints - c.without_inventory
    return (
        Kpi("security", "Missing security updates", f"{c.with_security:,}" if known else None,
            f"of {plural(known, 'endpoint')} with an inventory" if known else "no inventory yet",
            endpoints_href("missing:security"), Tone.BAD if c.with_security else None),
        Kpi("exploited", "Exploited in the wild", None if exploited is None else f"{exploited:,}",
            f"on {plural(exploited_endpoints, 'endpoint')}" if exploited_endpoints is not None else "not assessed yet",
            f"/vulnerabilities?{urlencode({'q': 'kev:yes'})}", Tone.BAD if exploited else None),
        Kpi("reboot", "Restart due", f"{c.reboot_due:,}" if known else None, "the fix is installed, old code runs",
            endpoints_href("reboot:yes"), Tone.WARN if c.reboot_due else None),
        Kpi("reporting", "Endpoints reporting", f"{c.reporting:,}", f"of {c.endpoints:,}; {silent:,} silent",
            endpoints_href("seen:>3m" if silent else ""), Tone.WARN if silent else None),
    )  # fmt: skip


def fleet_needs(c: FleetCounts) -> tuple[Need, ...]:
    """What of the fleet itself needs a person."""
    needs = []
    if c.cloned:
        needs.append(Need(
            Badge("✕", "cloned", Tone.BAD), Link(plural(c.cloned, "endpoint"), endpoints_href("state:cloned")),
            "share an identity with another machine: enrol each of them again",
        ))  # fmt: skip
    if silent := c.endpoints - c.reporting - c.cloned:
        needs.append(Need(
            Badge("?", "silent", Tone.WARN), Link(plural(silent, "endpoint"), endpoints_href("seen:>3m state:active")),
            "not heard for three check-ins",
        ))  # fmt: skip
    if c.without_inventory:
        needs.append(Need(
            Badge("?", "no inventory", Tone.WARN), Link(plural(c.without_inventory, "endpoint"), "/endpoints"),
            "without an inventory: what they miss is not known",
        ))  # fmt: skip
    return tuple(needs)
