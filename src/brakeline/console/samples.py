"""Sample view-models: every screen in every state, for `/_ui`, the template tests and the twin.

They look like real data and are clearly none: the twin serves only them, and a real server shows them at `/_ui` in
development alone. A new state of a screen starts here. Rollouts: `samples_change`.
"""

# ruff: noqa: E501, S105, S106 - one line per sample reads better; no secret is real
from __future__ import annotations

from typing import Any, Final

from brakeline.console import samples_over
from brakeline.console.present import TAB_LABELS
from brakeline.console.samples_catalog import PACKAGE, PACKAGES
from brakeline.console.samples_cells import CELLS
from brakeline.console.samples_change import (
    MEMBERS,
    POLICIES,
    ROLLOUT_ROWS,
    ROLLOUT_STATES,
    ROLLOUTS_PAGES,
    SHEET,
)
from brakeline.console.samples_content import CONTENT
from brakeline.console.samples_curated import CATALOGUES, PRODUCTS
from brakeline.console.samples_drills import DRILL_PAGES
from brakeline.console.samples_events import EVENTS
from brakeline.console.samples_findings import ACCEPTANCES, FORCE, TERMS
from brakeline.console.samples_lead import LEAD_SETTINGS
from brakeline.console.samples_limits import LIMITS
from brakeline.console.samples_pool import POOLS
from brakeline.console.samples_release import LAUNCHER, LAUNCHERS_OF_AN_ENDPOINT, RELEASE_PAGES
from brakeline.console.samples_restart import RESTARTS
from brakeline.console.samples_rollback import ROLLBACKS
from brakeline.console.samples_runs import CHANGES, NO_CHANGES, NO_RUNS, RUNS
from brakeline.console.samples_sbom import ASSET, ASSETS
from brakeline.console.samples_stop import STOP_PAGES
from brakeline.console.samples_updates import TRENDS, UPDATE, UPDATE_LISTS
from brakeline.console.screens import ENDPOINT_TABS
from brakeline.console.views import (
    NO_DATA,
    AddEndpointView,
    AffectedRow,
    ArrivalRow,
    AuditRow,
    AuditView,
    Badge,
    Chip,
    CveView,
    EndpointRow,
    EndpointsView,
    EndpointView,
    ErrorView,
    ExposureRow,
    Fact,
    FindingRow,
    Kpi,
    Link,
    LoginView,
    LogRow,
    Need,
    NewsLine,
    OverviewView,
    PersonRow,
    QueryBar,
    SettingsView,
    SoftwareRow,
    Step,
    Tab,
    TokenRow,
    Tone,
    UpdateRow,
    VulnerabilitiesView,
)

HERE = Badge("●", "reporting", Tone.OK)
SILENT = Badge("?", "silent", Tone.WARN)
CLONED = Badge("✕", "cloned", Tone.BAD)
OPEN = Badge("!", "open", Tone.WARN)
HIGH = Badge("■", "blocked", Tone.WARN)
UNRATED = Badge("○", "no fix yet", Tone.IDLE)

EXPOSURE: Final = (
    ExposureRow(
        "CVE-2026-31337", Link("CVE-2026-31337", "/vulnerabilities/CVE-2026-31337"), "openssl", True,
        Badge("!", "fixable now", Tone.BAD), 4, "/vulnerabilities/CVE-2026-31337", "fix available", "in 19 h", Tone.BAD,
        Badge("!", "act", Tone.BAD), "EPSS 94.4%, CVSS 9.8", "Debian 12, AlmaLinux 9",
    ),
    ExposureRow(
        "CVE-2026-2781", Link("CVE-2026-2781", "/vulnerabilities/CVE-2026-2781"), "libxml2, python3-libxml2", False,
        HIGH, 6, "/vulnerabilities/CVE-2026-2781", "fix available", "in 3 d", Tone.IDLE,
    ),
    ExposureRow(
        "CVE-2025-11477", Link("CVE-2025-11477", "/vulnerabilities/CVE-2025-11477"), "p7zip", False, UNRATED, 2,
        "/vulnerabilities/CVE-2025-11477", "no fix yet", "no deadline", Tone.IDLE,
    ),
)  # fmt: skip

OVERVIEW_KPIS: Final = (
    Kpi("security", "Missing security updates", "4", "of 6 endpoints", "/endpoints?q=missing:security", Tone.BAD),
    Kpi("exploited", "Exploited in the wild", "1", "on 4 endpoints", "/vulnerabilities?q=kev:yes", Tone.BAD),
    Kpi("reboot", "Restart due", "2", "fix installed, old code running", "/endpoints?q=reboot:yes"),
    Kpi("reporting", "Endpoints reporting", "5", "1 silent", "/endpoints?q=seen:>3m", Tone.WARN),
)

OVERVIEWS: Final = {
    "needs a person": OverviewView(
        needs=(
            Need(
                Badge("■", "halted", Tone.BAD), Link("Rollout debian-security 2026-11-22 halted", "/rollouts/ro_halted"),
                "4 min ago: withdraw or resume",
            ),
            Need(
                Badge("!", "exploited", Tone.WARN), Link("CVE-2026-31337", "/vulnerabilities/CVE-2026-31337"),
                "exploited in the wild, on 4 endpoints",
            ),
            Need(Badge("?", "silent", Tone.WARN), Link("1 endpoint", "/endpoints?q=seen:>3m"), "silent for 22 min"),
        ),
        kpis=OVERVIEW_KPIS, rollouts=ROLLOUT_ROWS, exposure=EXPOSURE, checked_at="19:11:04 UTC",
        news=(NewsLine("CVE-2026-31337-4", Link("CVE-2026-31337", "/vulnerabilities/CVE-2026-31337"), "openssl",
                       "open on 812 endpoints, 790 of them patchable now", "4 min ago"),),
    ),
    "calm": OverviewView((), OVERVIEW_KPIS[2:], (), (), "19:11:04 UTC"),
    "no data": OverviewView(
        (), (Kpi("security", "Missing security updates", None, "no inventory yet", "/endpoints"),), (), (), "19:11:04 UTC"
    ),
}  # fmt: skip

ENDPOINT_ROWS: Final = (
    EndpointRow(
        "ep_01", Link("web-01.corp.example", "/endpoints/ep_01"), "Debian 12", "eu-north", HERE, 3, 12, 7, True, "patch",
        "0.1.0", "12 s ago",
    ),
    EndpointRow(
        "ep_02", Link("db-01.corp.example", "/endpoints/ep_02"), "Debian 12", "eu-north", HERE, 0, 0, 0, False, "assess",
        "0.1.0", "3 s ago",
    ),
    EndpointRow(
        "ep_03", Link("edge-07", "/endpoints/ep_03"), "Debian 12", "eu-west", SILENT, 1, 4, 2, False, "patch", "0.1.0",
        "22 min ago",
    ),
    EndpointRow(
        "ep_04", Link("copy-of-web-01", "/endpoints/ep_04"), "Debian 12", "eu-west", CLONED, None, None, None, None,
        "assess", "0.1.0", "1 h ago",
    ),
)  # fmt: skip

QUERY_HELP = "Words: os, region, tag, missing, seen, package, reboot, state. A leading - means not."
ENDPOINTS: Final = {
    "rows": EndpointsView(
        QueryBar("/endpoints", matched=4, total=4, help=QUERY_HELP), ENDPOINT_ROWS, deploy_href="/rollouts/new?filter="
    ),
    "filtered": EndpointsView(
        QueryBar(
            "/endpoints", "os:debian missing:security", (Chip("os:debian", "/endpoints?q=missing:security"),
            Chip("missing:security", "/endpoints?q=os:debian")), 1204, 100_000, help=QUERY_HELP,
        ),
        ENDPOINT_ROWS[:2], first_href="/endpoints?q=os:debian", next_href="/endpoints?q=os:debian&after=x",
        deploy_href="/rollouts/new?filter=os:debian",
    ),
    "unknown key": EndpointsView(
        QueryBar(
            "/endpoints", "oss:debian", error="unknown key 'oss'.",
            suggestion=Link("os:debian", "/endpoints?q=os:debian"), help=QUERY_HELP,
        ),
        (),
    ),
    "none match": EndpointsView(QueryBar("/endpoints", "os:plan9", (), 0, 4, help=QUERY_HELP), ()),
    "empty fleet": EndpointsView(QueryBar("/endpoints", matched=0, total=0, help=QUERY_HELP), (), fleet_empty=True),
    "count unknown": EndpointsView(QueryBar("/endpoints", "os:debian", help=QUERY_HELP), ENDPOINT_ROWS[:1]),
}  # fmt: skip

STEP_TEXTS = ("Waiting for the first connection…", "Inventory: packages and versions", "Findings: what they expose")


def steps(done: int, details: tuple[str, ...] = ("", "", "")) -> tuple[Step, ...]:
    """The three ticks of *Add endpoint* with the first `done` of them ticked."""
    return tuple(
        Step(i + 1, text, "done" if i < done else "current" if i == done else "waiting", details[i])
        for i, text in enumerate(STEP_TEXTS)
    )


COMMAND = (
    "s=$(curl -fsSk -m 60 --pinnedpubkey 'sha256//k7VnU0mB4tqj3n0m5w8pQ2bK1f0rY6dG9sXhLzAeTuc=' https://127.0.0.1:8443/enrol.sh)"
    " && printf '%s\\n' \"$s\" | sudo sh -s -- --token et_7Q4XJ0M2K9T8C5B1"
)
TOKEN_FACTS = "The token works once, for 30 minutes, and can only enrol."
ADD_ENDPOINTS: Final = {
    "before": AddEndpointView(first=True),
    "refused": AddEndpointView(region="eu north", error="A region is one word: letters, digits and dashes."),
    "waiting": AddEndpointView(COMMAND, token_facts=TOKEN_FACTS, script_href="/enrol.sh", steps=steps(0), first=True),
    "half": AddEndpointView(
        COMMAND, token_facts=TOKEN_FACTS, steps=steps(2, ("web-01, 2 s after the press", "412 packages", "")),
        enrolled=Link("web-01", "/endpoints/ep_01"),
    ),
    "done": AddEndpointView(
        COMMAND, token_facts=TOKEN_FACTS, steps=steps(3, ("web-01", "412 packages", "7 findings, 1 exploited")),
        enrolled=Link("web-01", "/endpoints/ep_01"),
    ),
}  # fmt: skip

UPDATES: Final = (
    UpdateRow(
        "libssl3", "3.0.15-1~deb12u1", "3.0.17-1~deb12u3", True, "Debian-Security:12/oldstable-security",
        Badge("○", "waits for its ring", Tone.INFO), "waits for ring 50 % of rollout debian-security, bake time 3 h 12 min",
        (Link("CVE-2026-31337", "/vulnerabilities/CVE-2026-31337"),), 2,
    ),
    UpdateRow(
        "linux-image-amd64", "6.1.128-1", "6.1.158-1", True, "Debian-Security:12/oldstable-security",
        Badge("■", "held", Tone.WARN), "held on the endpoint (apt-mark hold)", (), 0,
    ),
    UpdateRow(
        "System-Firmware:fwupd-2f1c03ab77de", "1.40", "1.42", True, "lvfs", Badge("‖", "kept back", Tone.WARN),
        "1.42 is written and takes effect with the next restart. fwupd's provider was run on its test device, and on no other.",
        (), 0,
    ),
    UpdateRow(
        "tzdata", "2025b-0+deb12u1", "2025b-0+deb12u2", False, "Debian:12.12/oldstable",
        Badge("○", "no policy", Tone.IDLE), "mode assess: no policy lets this endpoint patch", (), 0,
    ),
)  # fmt: skip
FINDINGS: Final = (
    FindingRow(
        Link("CVE-2026-31337", "/vulnerabilities/CVE-2026-31337"), "libssl3", "3.0.15-1~deb12u1", "3.0.17-1~deb12u3", True,
        Badge("!", "fixable now", Tone.BAD),
    ),
    FindingRow(
        Link("CVE-2025-11477", "/vulnerabilities/CVE-2025-11477"), "p7zip-full", "16.02+dfsg-8", "none yet", False,
        Badge("○", "no fix yet", Tone.IDLE), "vendor: minor issue", ecosystem="Debian 12",
    ),
    FindingRow(
        Link("CVE-2026-4412", "/vulnerabilities/CVE-2026-4412"), "jinja2", "3.1.2", "3.1.6", False,
        Badge("?", "not known", Tone.WARN), "open for 3 d", ecosystem="PyPI",
    ),
)  # fmt: skip
TIMELINE: Final = (
    LogRow("19:11:11", "2026-11-22T19:11:11Z", Badge("✓", "installed", Tone.OK), "libxml2 2.9.14 → 2.9.14+deb12u5"),
    LogRow("19:04:02", "2026-11-22T19:04:02Z", Badge("·", "inventory", Tone.IDLE), "412 packages, 15 pending"),
    LogRow("19:04:00", "2026-11-22T19:04:00Z", Badge("·", "enrolled", Tone.INFO), "with token et_7Q4X…", "alice"),
)
ENDPOINT_KPIS: Final = (
    Kpi("missing", "Missing updates", "15", "3 of them security", "/endpoints/ep_01/missing", Tone.BAD),
    Kpi(
        "worst",
        "Worst exposure",
        "CVE-2026-31337",
        "exploited in the wild",
        "/vulnerabilities/CVE-2026-31337",
        Tone.BAD,
    ),
    Kpi("restart", "Restart", "due", "libssl3 in use by nginx.service", "/endpoints/ep_01/summary", Tone.WARN),
    Kpi("agent", "Agent", "healthy", "0.1.0, mode patch", "/endpoints/ep_01/agent", Tone.OK),
)


def endpoint_sample(tab: str = "summary", **changes: Any) -> EndpointView:
    """web-01 on `tab`."""
    notes = {"missing": "15", "findings": "7", "software": "489"}
    fields: dict[str, Any] = {
        "id": "ep_01", "name": "web-01.corp.example", "tab": tab, "sub": "Debian 12 · eu-north · agent 0.1.0",
        "state": HERE, "seen": "12 s ago", "kpis": ENDPOINT_KPIS,
        "tabs": tuple(Tab(TAB_LABELS.get(t, t.capitalize()), f"/endpoints/ep_01/{t}", t == tab, notes.get(t, "")) for t in ENDPOINT_TABS),
        "facts": (
            Fact("Kernel", "6.1.0-32-amd64"), Fact("Package manager", "apt 2.6.1"),
            Fact("Package lists", "2 h old, refreshed without error"),
        ),
        "missing": UPDATES, "missing_note": "12 more that are no security updates.", "findings": FINDINGS,
        "findings_note": "",
        "news": (NewsLine("CVE-2026-31337-4", Link("CVE-2026-31337", "/vulnerabilities/CVE-2026-31337"), "openssl", "fixable now", "4 min ago"),),
        "timeline": TIMELINE, "deploy_href": "/rollouts/new?filter=id:ep_01",
        "software": (SoftwareRow("libssl3", "3.0.15-1~deb12u1", "amd64", "openssl", "Debian-Security", "ii"),
            SoftwareRow("org.apache.logging.log4j:log4j-core", "2.14.1", "", "org.apache.logging.log4j:log4j-core", "found on the disk", "", "maven", "/opt/billing/app.war!/WEB-INF/lib/log4j-core-2.14.1.jar"),
            SoftwareRow("certifi", "2022.9.24", "", "certifi", "part of the package python3-certifi", "", "pypi", "/usr/lib/python3/dist-packages")),
        "ecosystems": (Link("all 489", "/endpoints/ep_01/software"), Link("deb 412", "/endpoints/ep_01/software?q=ecosystem:deb"), Link("maven 71", "/endpoints/ep_01/software?q=ecosystem:maven"), Link("pypi 6", "/endpoints/ep_01/software?q=ecosystem:pypi")),
        "software_looked": "Beside package managers: 77 found in 5,204 directories; everything within its bounds was looked at.",
        "software_gaps": ("/srv/share: not looked at, its file system is no local one (nfs4)", "/usr/local/bin/rg: a Rust program that was built without a list of its crates: which are in it cannot be told"),
        "software_note": "3 of 489 packages", "software_query": "", "launcher": LAUNCHER if tab == "agent" else None,
        "runs": RUNS if tab == "runs" else None, "changes": CHANGES if tab == "history" else None,
    }  # fmt: skip
    return EndpointView(**{**fields, **changes})


ENDPOINT_PAGES: Final = {
    **{tab: endpoint_sample(tab) for tab in ENDPOINT_TABS},
    **{f"agent, {name}": endpoint_sample("agent", launcher=said) for name, said in LAUNCHERS_OF_AN_ENDPOINT.items()},
    "agent, settings": endpoint_sample(
        "agent", launcher=next(iter(LAUNCHERS_OF_AN_ENDPOINT.values())), sheet=SHEET
    ),
    "runs, none": endpoint_sample("runs", runs=NO_RUNS), "history, wrong": endpoint_sample("history", changes=NO_CHANGES),
    "no inventory": endpoint_sample(
        state=NO_DATA, seen="never checked in", missing=(), findings=(), timeline=(), kpis=(
            Kpi("missing", "Missing updates", None, "no inventory yet", "/endpoints/ep_01/missing"),
        ), missing_note="Not known: no inventory has arrived.", findings_note="Not assessed: no inventory has arrived.",
    ),
    "broken": endpoint_sample(
        alerts=("The package manager cannot work: foo is half-installed (iHR), needs reinstallation.",),
        missing=(), missing_note="Everything that its repositories have is installed.", software=(),
    ),
}  # fmt: skip

VULNERABILITIES: Final = {
    "rows": VulnerabilitiesView(
        QueryBar("/vulnerabilities", matched=3, total=3, help="Words: kev, package, fix, endpoints."), EXPOSURE,
        "Debian security tracker of 2026-11-20 · known exploited (KEV) of 2026-11-19",
        next_href="/vulnerabilities?after=x",
        ecosystems=(Link("214 in AlmaLinux 9", "/vulnerabilities?q=ecosystem%3Aalmalinux%3A9"),
                    Link("1,022 in Debian 12", "/vulnerabilities?q=ecosystem%3Adebian%3A12"),
                    Link("12 in PyPI", "/vulnerabilities?q=ecosystem%3Apypi")),
        gaps=("31 built by somebody else", "2 without advisory data for their ecosystem or release"),
        index=(
            Fact("Index", "1,204 endpoints, 8,113 versions of packages"), Fact("Opened from", "snapshot"),
            Fact("Compared with the database", "31 s ago; 4,180 endpoints so far"),
            Fact("Differences", "1, mended; the last 2 h ago: ep_01: other updates on offer", Tone.WARN),
        ),
        news=(
            ArrivalRow(Link("CVE-2026-31337", "/vulnerabilities/CVE-2026-31337"), "openssl", 812, 790, 0, "4 min ago", "CVE-2026-31337-4", True),
            ArrivalRow(Link("CVE-2025-4096", "/vulnerabilities/CVE-2025-4096"), "nginx", 0, 0, 31, "2 d ago", "CVE-2025-4096-3"),
            ArrivalRow(Link("CVE-2025-7", "/vulnerabilities/CVE-2025-7"), "curl", 3, 0, 0, "3 d ago", "CVE-2025-7-2"),
            ArrivalRow(Link("CVE-2025-6", "/vulnerabilities/CVE-2025-6"), "perl", 2, 1, 0, "4 d ago", "CVE-2025-6-1"),
        ),
        newest="CVE-2026-31337 in openssl: open on 812 endpoints, 790 of them patchable now",
    ),
    "none": VulnerabilitiesView(QueryBar("/vulnerabilities", matched=0, total=0, help=""), (), "no advisory data loaded"),
    "no match": VulnerabilitiesView(QueryBar("/vulnerabilities", "kev:yes", (), 0, 3, help=""), (), "today"),
}  # fmt: skip
CVES: Final = {
    "exploited": CveView(
        "CVE-2026-31337", "openssl: use after free in the handshake",
        (Badge("!", "exploited in the wild", Tone.BAD), Badge("▲", "critical", Tone.BAD)),
        (Fact("Source", "Debian security tracker, fetched 2026-11-20"), Fact("Fixed in", "openssl 3.0.17-1~deb12u3")),
        (
            AffectedRow(Link("web-01.corp.example", "/endpoints/ep_01"), "eu-north", "libssl3", "3.0.15-1~deb12u1",
                        "3.0.17-1~deb12u3", OPEN),
        ),
        "1 endpoint", "/rollouts/new?filter=package:libssl3",
        ("exploited: in CISA's catalogue since 2026-11-19, due 2026-12-10; used by ransomware",
         "CVSS 3.1 9.8: critical, by NVD", "an endpoint is tagged internet-facing", "open here for 3 days",
         "act: what is exploited is closed now, wherever it can run"),
        (FORCE,), "/vulnerabilities/CVE-2026-31337/accept",
    ),
    "nobody": CveView("CVE-2020-1", "not in this fleet", (), (Fact("Source", "Debian"),), (), "no endpoint"),
}  # fmt: skip

AUDITS: Final = {
    "verified": AuditView(
        Badge("✓", "verified", Tone.OK), "chain unbroken from entry 1 to entry 214, newest hash 9f3c2a71…",
        (
            AuditRow(214, "2026-11-22 19:11:11", "alice", "rollout.brake", Link("ro_halted", "/rollouts/ro_halted"),
                     "state rolling → halted", "9f3c2a71"),
            AuditRow(213, "2026-11-22 19:02:40", "alice", "policy.create", Link("po_01", "/policies"), "mode patch", "77aa01be"),
        ),
        next_href="/audit?after=213",
    ),
    "broken": AuditView(Badge("✕", "broken", Tone.BAD), "entry 17 does not follow from entry 16", ()),
}  # fmt: skip
SETTINGS: Final = {
    "owner": SettingsView(
        (PersonRow("Alice", "alice@example.org", "owner", "now"),),
        (
            TokenRow("to_1", "ci", "blt_8fK2", "operator", "in 29 d", Badge("✓", "valid", Tone.OK), "/settings/tokens/to_1/revoke"),
            TokenRow("to_2", "old", "blt_aa01", "viewer", "3 d ago", Badge("–", "expired", Tone.IDLE)),
        ),
        (Fact("Cell", "cell-1"), Fact("Region", "eu-north"), Fact("Version", "0.1.0")), may_manage=True,
        limits=(
            Fact("The whole fleet, per hour", "12 of 50 used (10 %, at least 50)"),
            Fact("Freeze windows", "freeze window 'year end' until 2027-01-04 08:00 Europe/Berlin", Tone.WARN),
        ),
    ),
    "fresh token": SettingsView((), (), (), fresh_token="blt_example", may_manage=True),
    "viewer": SettingsView((), (), (), error="A token of that name exists."),
}  # fmt: skip
LOGINS: Final = {
    "password": LoginView("password"),
    "wrong": LoginView("password", "alice", "Mail or password is wrong."),
    "link": LoginView("link", token="ll_x"),
    "short": LoginView("link", token="ll_x", error="The password has fewer than 12 characters."),
    "dead link": LoginView("dead_link", error="It was used 3 min ago."),
}
ERRORS: Final = {
    "not found": ErrorView(
        404, "There is no such thing, or it is not yours to see.", "rollout ro_x", "Look in the list.", "rq_1"
    ),
    "unavailable": ErrorView(
        503, "The service cannot do this just now; nothing was lost.", "The database is away.", ""
    ),
}

# page template -> state -> view-model
SAMPLES: Final[dict[str, dict[str, Any]]] = {
    "overview": OVERVIEWS,
    "endpoints": ENDPOINTS,
    "add_endpoint": ADD_ENDPOINTS,
    "endpoint": ENDPOINT_PAGES,
    "vulnerabilities": VULNERABILITIES,
    "cve": CVES,
    "rollout": ROLLOUT_STATES,
    "rollouts": ROLLOUTS_PAGES,
    "rollout_members": MEMBERS,
    "new_deployment": samples_over.DEPLOYMENTS,
    "policies": POLICIES,
    **RELEASE_PAGES,
    "promotion": samples_over.PROMOTIONS,
    **STOP_PAGES,
    "limits": LIMITS,
    "restart": RESTARTS,
    "rollback": ROLLBACKS,
    "cells": CELLS,
    "lead_settings": LEAD_SETTINGS,
    "pool": POOLS,
    "content": CONTENT,
    "assets": ASSETS,
    "asset": ASSET,
    "packages": PACKAGES,
    "package": PACKAGE,
    "catalogue": CATALOGUES,
    "product": PRODUCTS,
    "accepted": ACCEPTANCES,
    "terms": TERMS,
    "events": EVENTS,
    "trend": TRENDS,
    "updates": UPDATE_LISTS,
    "update": UPDATE,
    **DRILL_PAGES,
    "audit": AUDITS,
    "settings": SETTINGS,
    "login": LOGINS,
    "error": ERRORS,
}
