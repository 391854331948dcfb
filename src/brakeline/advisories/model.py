"""The words of advisories: one row says from which version to which version a source package is vulnerable.

Invariants: plain frozen values, no I/O. An interval is half open: vulnerable when introduced <= version < fixed;
introduced "" means "from the first version on", fixed "" means "not fixed yet"; with `last_affected` it ends there,
that version included. A CVE may have several rows (intervals) for one package. The CVE id is an alias that people
search for; `id` is the vendor's own advisory where it has one. `exposure.match` decides with these rows.
Named tuples, not dataclasses: feeds make 100,000s of them (five times as fast), and `exposure assess` is over sooner
than the import of `dataclasses` pays.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

DEBIAN_12 = "debian:12"  # ecosystem:release, the first part of every match unit
LIKELY = 0.1  # EPSS: probability of attempts within 30 days from which on it counts as likely,
VERY_LIKELY = 0.5  # and as very likely
HIGH, CRITICAL = 7.0, 9.0  # CVSS, as its standard names them
SCORES = ("epss", "cvss")  # kinds of feeds that say how likely and how bad; the others say what is vulnerable


class AdvisoryState(StrEnum):
    """What the vendor says. Only the first three make findings; the others are kept so that silence is explained."""

    FIXED = "fixed"
    OPEN = "open"
    DEFERRED = "deferred"  # open, and no fix is to come soon: Debian's no-dsa, postponed, ignored
    NOT_AFFECTED = "not_affected"
    WITHDRAWN = "withdrawn"


class Advisory(NamedTuple):
    """One interval row: (ecosystem, source, cve) is vulnerable from `introduced` to `fixed`."""

    source: str
    cve: str
    fixed: str  # lowest source version with the fix; "" = none yet
    date: str = ""  # ISO day of the upload with the fix
    urgency: str = ""  # of the upload, as the vendor's changelog says it; no severity
    dist: str = ""  # suite that the fix was uploaded to: "bookworm-security"
    introduced: str = ""
    ecosystem: str = DEBIAN_12
    state: str = "fixed"  # an AdvisoryState
    id: str = ""
    aliases: tuple[str, ...] = ()
    last_affected: str = ""  # where a feed knows the last vulnerable version and no fixed one
    module: str = ""  # module stream that the row is of, "nodejs:18"; "?" = of one that is not named; "" = not said
    reason: str = ""  # why not affected, withdrawn or deferred, in the vendor's words


class KnownExploited(NamedTuple):
    """One entry of CISA's catalogue of vulnerabilities that are exploited in the wild."""

    cve: str
    added: str  # ISO day
    due: str  # ISO day by which US federal agencies had to act
    vendor: str = ""
    product: str = ""
    name: str = ""
    ransomware: bool = False


class Epss(NamedTuple):
    """How likely attempts to exploit a CVE are, anywhere, within 30 days of the feed's date. By FIRST's model."""

    cve: str
    score: float  # probability, 0 to 1
    percentile: float  # share of all scored CVEs that are not likelier


class Severity(NamedTuple):
    """How bad exploiting a CVE would be, by one CVSS vector. Scores of different versions are not comparable."""

    cve: str
    vector: str
    version: str  # 2.0 | 3.0 | 3.1 | 4.0
    score: float  # base score, computed from the vector: what a feed claims is not believed
    source: str = ""  # who scored it


class FeedState(NamedTuple):
    """What is loaded of one feed and how old it is; `problem` = why the last attempt changed nothing."""

    feed: str
    version: str  # the feed's own version, or the newest day in it
    sha256: str  # of the bytes that were loaded
    rows: int
    content_day: str  # ISO day of the newest entry
    loaded_ms: int  # Unix milliseconds
    attempted_ms: int
    problem: str = ""
    limits: str = ""  # what this feed cannot know, in one sentence for people
    kind: str = "advisories"  # advisories | kev | epss | cvss | osv | eol
    issued: str = ""  # when its makers issued it, ISO; "" = they did not say
    origin: str = "seed"  # of what is live: seed | file | url
    tried: str = "seed"  # origin of the last attempt, which `problem` is of
