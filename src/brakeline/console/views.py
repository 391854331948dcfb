"""View-models of the shell, the fleet, risk, proof and account screens: what a page says, ready for a template.

Invariants: frozen; texts are final (a template only places them); numbers that can be missing are `None` and are
shown as "? no data", never as 0; every number carries the link to the list that makes it. Change screens:
`views_change`. From service data to these: `present`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brakeline.console.views_findings import AcceptanceRow
    from brakeline.console.views_release import LauncherView
    from brakeline.console.views_runs import ChangesView, RunsView
    from brakeline.console.views_settings import SheetView


class Tone(StrEnum):
    """Colour of a statement; always beside a glyph and a word."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    INFO = "info"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Badge:
    """Glyph + word + colour: the only way in which a state is shown."""

    glyph: str
    word: str
    tone: Tone


NO_DATA = Badge("?", "no data", Tone.WARN)


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    href: str


@dataclass(frozen=True, slots=True)
class NavItem:
    label: str
    href: str
    note: str = ""
    current: bool = False


@dataclass(frozen=True, slots=True)
class NavGroup:
    label: str
    items: tuple[NavItem, ...]


@dataclass(frozen=True, slots=True)
class NavCounts:
    """What stands beside the entries of the navigation. `None` = could not be read: nothing is shown."""

    endpoints: int | None = None
    vulnerabilities: int | None = None
    live_rollouts: int | None = None
    approvals: int | None = None


@dataclass(frozen=True, slots=True)
class Shell:
    """What surrounds every page. `feed` is the address of its one event stream, "" for pages without."""

    title: str
    nav: tuple[NavGroup, ...] = ()
    person: str = ""
    csrf: str = ""
    feed: str = ""
    notice: str = ""
    dev: bool = False
    frozen: str = ""  # "frozen by … since …: …"; "" = nothing is frozen
    freeze: bool = False  # somebody is signed in: the FREEZE control is there


@dataclass(frozen=True, slots=True)
class Kpi:
    """A number and the list that makes it. `value` None = not known."""

    id: str
    label: str
    value: str | None
    detail: str
    href: str
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class Chip:
    """One term of a query, and the same list without it."""

    text: str
    without_href: str


@dataclass(frozen=True, slots=True)
class QueryBar:
    """The query as typed. With an `error` no rows are shown: a misread filter must never look like an empty one."""

    action: str
    text: str = ""
    chips: tuple[Chip, ...] = ()
    matched: int | None = None
    total: int | None = None
    error: str = ""
    suggestion: Link | None = None
    help: str = ""


# --- overview ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that needs a person: `before` + link + `after`."""

    badge: Badge
    link: Link
    after: str


@dataclass(frozen=True, slots=True)
class RolloutRow:
    id: str
    link: Link
    state: Badge
    what: str
    reached: str  # "3 of 6", "0.9 %"
    excess: str
    excess_tone: Tone
    started: str


@dataclass(frozen=True, slots=True)
class ExposureRow:
    """One vulnerability, worst first."""

    id: str
    link: Link
    packages: str
    kev: bool
    state: Badge  # where it stands: fixable now, blocked, no fix yet …
    endpoints: int
    endpoints_href: str
    fix: str
    due: str
    due_tone: Tone
    priority: Badge = Badge("?", "unrated", Tone.WARN)
    scores: str = ""  # "EPSS 94.4%, CVSS 9.8"; "not scored" where nothing says
    ecosystems: str = ""  # "Debian:12, PyPI"


@dataclass(frozen=True, slots=True)
class NewsLine:
    """What a new advisory did, in one line."""

    id: str
    link: Link
    packages: str
    told: str  # "open on 812 endpoints, 790 of them patchable now"
    ago: str


@dataclass(frozen=True, slots=True)
class OverviewView:
    needs: tuple[Need, ...]
    kpis: tuple[Kpi, ...]
    rollouts: tuple[RolloutRow, ...]
    exposure: tuple[ExposureRow, ...]
    checked_at: str  # when this was computed, "19:11:04 UTC"
    fleet_empty: bool = False
    news: tuple[NewsLine, ...] = ()


# --- endpoints -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndpointRow:
    id: str
    link: Link
    os: str
    region: str
    state: Badge
    security: int | None
    other: int | None
    findings: int | None
    reboot: bool | None
    mode: str
    agent: str
    seen: str


@dataclass(frozen=True, slots=True)
class EndpointsView:
    query: QueryBar
    rows: tuple[EndpointRow, ...]
    first_href: str = ""  # "" = this is the first page
    next_href: str = ""  # "" = this is the last page
    deploy_href: str = ""
    fleet_empty: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One live tick of *Add endpoint*. state: done | current | waiting"""

    number: int
    text: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AddEndpointView:
    """Before the press `command` is ""; afterwards it is shown once and cannot be had again."""

    command: str = ""
    region: str = ""
    tags: str = ""
    token_facts: str = ""
    script_href: str = ""
    steps: tuple[Step, ...] = ()
    enrolled: Link | None = None
    error: str = ""
    first: bool = False


@dataclass(frozen=True, slots=True)
class UpdateRow:
    """A pending update of one endpoint and why it is not yet installed."""

    name: str
    installed: str
    candidate: str
    security: bool
    suite: str
    state: Badge
    why: str
    cves: tuple[Link, ...] = ()
    more_cves: int = 0


@dataclass(frozen=True, slots=True)
class FindingRow:
    link: Link
    package: str
    installed: str
    fixed: str
    kev: bool
    state: Badge
    note: str = ""
    priority: Badge = Badge("?", "unrated", Tone.WARN)
    ecosystem: str = ""  # "PyPI"; whose advisory it is


@dataclass(frozen=True, slots=True)
class SoftwareRow:
    name: str
    version: str
    architecture: str
    source: str
    origin: str
    state: str
    ecosystem: str = "deb"
    where: str = ""  # path or container image; "" = installed by a package manager


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line of a timeline or event log, newest first."""

    at: str  # "19:11:04"
    at_full: str  # RFC 3339
    badge: Badge
    text: str
    who: str = ""


@dataclass(frozen=True, slots=True)
class Tab:
    label: str
    href: str
    current: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    text: str
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One endpoint. Only the rows of the chosen tab are filled; `summary` fills the head of missing and findings."""

    id: str
    name: str
    tab: str
    sub: str  # "Debian 12 · eu-north · agent 0.1.0"
    state: Badge
    seen: str
    kpis: tuple[Kpi, ...]
    tabs: tuple[Tab, ...]
    alerts: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    missing: tuple[UpdateRow, ...] = ()
    missing_note: str = ""
    findings: tuple[FindingRow, ...] = ()
    findings_note: str = ""
    news: tuple[NewsLine, ...] = ()  # findings that a new advisory brought
    software: tuple[SoftwareRow, ...] = ()
    software_query: str = ""
    software_note: str = ""
    software_looked: str = ""  # how far the agent looked beside package managers, in one sentence
    software_gaps: tuple[str, ...] = ()  # what it left out, and why
    ecosystems: tuple[Link, ...] = ()  # filters of that tab, each with how many
    timeline: tuple[LogRow, ...] = ()
    deploy_href: str = ""
    launcher: LauncherView | None = None  # of the tab "agent" only
    sheet: SheetView | None = None  # its settings; of the same tab
    runs: RunsView | None = None  # of the tab "runs" only
    changes: ChangesView | None = None  # of the tab "history" only


# --- risk ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArrivalRow:
    """What a change of advisories did here, by CVE."""

    link: Link
    packages: str
    opened: int
    patchable: int
    closed: int
    ago: str
    id: str = ""
    fresh: bool = False  # of the last minutes


@dataclass(frozen=True, slots=True)
class VulnerabilitiesView:
    query: QueryBar
    rows: tuple[ExposureRow, ...]
    sources: str  # "Debian security tracker of 2026-11-20, KEV of 2026-11-19"
    first_href: str = ""
    next_href: str = ""
    ecosystems: tuple[Link, ...] = ()  # "PyPI: 12", to the list of these alone
    gaps: tuple[str, ...] = ()  # what was not assessed, by reason
    index: tuple[Fact, ...] = ()  # of what answers: size, comparisons with the database
    news: tuple[ArrivalRow, ...] = ()
    newest: str = ""  # the first of them in a sentence, for who does not see the table change


@dataclass(frozen=True, slots=True)
class AffectedRow:
    endpoint: Link
    region: str
    package: str
    installed: str
    fixed: str
    state: Badge
    ecosystem: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class CveView:
    id: str
    headline: str
    badges: tuple[Badge, ...]
    facts: tuple[Fact, ...]
    affected: tuple[AffectedRow, ...]
    affected_note: str
    deploy_href: str = ""
    why: tuple[str, ...] = ()  # the answers that led to its priority
    accepted: tuple[AcceptanceRow, ...] = ()
    accept_action: str = ""


# --- proof, settings, account --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditRow:
    number: int
    at: str
    who: str
    action: str
    object: Link
    change: str
    hash_short: str


@dataclass(frozen=True, slots=True)
class AuditView:
    chain: Badge
    chain_text: str
    rows: tuple[AuditRow, ...]
    next_href: str = ""
    first_href: str = ""


@dataclass(frozen=True, slots=True)
class PersonRow:
    name: str
    email: str
    role: str
    last_seen: str


@dataclass(frozen=True, slots=True)
class TokenRow:
    id: str
    name: str
    prefix: str
    role: str
    expires: str
    state: Badge
    revoke_action: str = ""


@dataclass(frozen=True, slots=True)
class SettingsView:
    people: tuple[PersonRow, ...]
    tokens: tuple[TokenRow, ...]
    facts: tuple[Fact, ...]
    fresh_token: str = ""  # shown once
    error: str = ""
    may_manage: bool = False
    limits: tuple[Fact, ...] = ()  # budgets and freeze windows in brief


@dataclass(frozen=True, slots=True)
class LoginView:
    """mode: password (log in) | link (set the first password) | dead_link"""

    mode: str
    email: str = ""
    error: str = ""
    token: str = ""
    next: str = "/"
    minimum: int = 12


@dataclass(frozen=True, slots=True)
class ErrorView:
    """What happened, why, and what to do next."""

    status: int
    what: str
    why: str
    next: str
    request_id: str = ""
    links: tuple[Link, ...] = field(default=(Link("Overview", "/"),))
