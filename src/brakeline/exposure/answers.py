"""What exposure answers to people: shapes for console, API and CLI. Frozen; times are Unix milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from brakeline.advisories.corrections import Correction
from brakeline.advisories.model import Advisory, FeedState
from brakeline.exposure.model import Dismissed, Finding, FindingState, NotAssessed
from brakeline.exposure.priority import UNJUDGED, Priority


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A finding of one endpoint, where it stands and since when its source stands open."""

    finding: Finding
    state: FindingState
    note: str  # why, where the state needs it ("held by the administrator")
    since_ms: int | None
    priority: Priority = UNJUDGED
    epss: float | None = None  # None = not known, or too old to be used
    cvss: float | None = None
    accepted_until_ms: int | None = None
    due: str = ""  # ISO day, "" = none
    overdue_days: int = 0
    due_why: str = ""


@dataclass(frozen=True, slots=True)
class EndpointFindings:
    """All findings of one endpoint. `unknown_since_ms`: not heard since then, so this may be old; None = it is now."""

    endpoint_id: str
    findings: tuple[OpenFinding, ...]
    not_assessed: tuple[NotAssessed, ...]
    packages: int
    inventory_ms: int  # 0 = no inventory yet: nothing is known, not "nothing was found"
    unknown_since_ms: int | None
    limits: tuple[str, ...]
    dismissed: tuple[Dismissed, ...] = ()  # rows that speak of it and make no finding; the first of them
    dismissed_counts: dict[str, int] = field(default_factory=dict)  # of all of them, by code


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """One CVE across the fleet. `states` counts the endpoints on which it can run, by where it stands."""

    cve: str
    kev: bool
    kev_due: str  # ISO day, "" = not in the catalogue
    sources: tuple[str, ...]
    fixed: dict[str, str]  # source -> version with the fix
    endpoints: int
    carriers: int  # endpoints that only carry it (headers, documents, a kernel that does not run)
    states: dict[str, int]
    priority: Priority = UNJUDGED  # where it stands worst
    epss: float | None = None  # None = not known, or too old to be used
    cvss: float | None = None
    cvss_vector: str = ""
    ecosystems: tuple[str, ...] = ()  # in which it stands open here: "debian:12", "pypi"
    accepted: int = 0  # of `endpoints`, those on which it is accepted; they stay in all other figures
    accepted_until_ms: int | None = None  # when the first of these acceptances ends
    accepted_whole: bool = False  # on every endpoint on which it can run
    due: str = ""  # ISO day until which it is to be closed, "" = none
    overdue_days: int = 0
    due_why: str = ""


@dataclass(frozen=True, slots=True)
class VulnerabilityPage:
    items: tuple[Vulnerability, ...]
    total: int
    next: str | None  # CVE after which the next page begins
    feeds: tuple[FeedState, ...]
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Affected:
    """One endpoint that has a CVE."""

    endpoint_id: str
    hostname: str
    region: str
    state: str  # a FindingState, or "carrier"
    source: str
    version: str
    fixed: str
    ecosystem: str = ""
    advisory: str = ""
    accepted_until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class VulnerabilityDetail:
    vulnerability: Vulnerability
    advisories: tuple[Advisory, ...]
    affected: tuple[Affected, ...]
    limits: tuple[str, ...]
    corrections: tuple[Correction, ...] = ()  # what feeds have said otherwise since, the newest first


@dataclass(frozen=True, slots=True)
class FleetExposure:
    """The whole fleet in figures. No figure is a share: what is not known is counted beside what is."""

    endpoints: int
    assessed: int  # endpoints with an inventory that advisory data exists for
    no_data: int  # endpoints without an inventory, or of a release without advisory data
    silent: int  # assessed, but not heard since long enough that the figures may be old
    vulnerable: int  # endpoints with an open CVE in what can run
    cves: int  # distinct
    kev: int
    carrier_cves: int
    states: dict[str, int]  # distinct CVEs by where they stand worst
    packages_not_assessed: int
    feeds: tuple[FeedState, ...]
    limits: tuple[str, ...]
    priorities: dict[str, int] = field(default_factory=dict)  # distinct CVEs by level, the most urgent first
    ecosystems: dict[str, int] = field(default_factory=dict)  # distinct CVEs in what can run, by ecosystem
    not_assessed: dict[str, int] = field(default_factory=dict)  # packages, by the code of why
    accepted: int = 0  # of `cves`, those that are accepted wherever they can run
    partly_accepted: int = 0  # those that are accepted on some endpoints
    overdue: int = 0  # of `cves`, those past their day and not accepted everywhere
    due_soon: int = 0  # those whose day comes within a week


@dataclass(frozen=True, slots=True)
class Closing:
    """What pinned updates would do to the findings of the endpoints that get them."""

    before: int  # distinct CVEs that stand open there, in what can run
    after: int
    closed: tuple[str, ...]  # CVEs that stand open on none of these endpoints afterwards, known exploited first
    kev: tuple[str, ...]  # those of them that are known to be exploited
    by_update: dict[str, int]  # package -> distinct CVEs that its update closes somewhere
    findings: int  # (endpoint, CVE) pairs that are closed
    exposed: int = 0  # endpoints on which any is closed; where some are known to be exploited, with one of these
    assessed: int = 0  # endpoints whose packages advisory data exists for; 0 = nothing is known
    epss: float | None = None  # the highest of what is closed; None = no such data, or too old to be used
    cvss: float | None = None  # the same
    at_risk: float = 0.0  # endpoints, each by how likely the likeliest of what is closed there is to be exploited
    epss_note: str = ""  # of which day the EPSS is, or why it says nothing
    due: str = ""  # the earliest day by which any of it is to be closed; "" = none is known
