"""What comes of a feed, by seed, file or address, before it is live: its kind, its content, whether it is newer. Pure.

Invariants: a feed's name says its kind, so content of one kind never lands in another's place; what is no newer than
what is there is refused (an old file is no news, and may be an attack), and so is what claims to come from the future
(it would keep every honest file out). What is wrong is a `BadFeed` or a `NotNewer`, in words for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from brakeline.advisories import importers, scores, support
from brakeline.advisories.importers import BadFeed
from brakeline.advisories.model import FeedState
from brakeline.advisories.osv import feeds as osv
from brakeline.advisories.vendors import feeds as vendors
from brakeline.core.days import day_of
from brakeline.core.errors import Invalid

SHRINK_MAX: Final = 0.5  # a new version of a feed that lost more than half of its rows is a broken feed, not good news
PACKED_BYTES_MAX: Final = 64 * 1024 * 1024  # today's largest, a year of NVD, is below 30 MB
CVSS_FEED: Final = re.compile(r"cvss(-[a-z0-9][a-z0-9._]{0,30})?")
SEED, FILE, URL = "seed", "file", "url"
LIMITS: Final = {
    "kev": "Knows only what CISA had listed by {day}.",
    "epss": "EPSS of {day} speaks of attempts anywhere within 30 days, not in this fleet.",
    "eol": "Ends of support are those that endoflife.date had by {day}.",
    "cvss": "CVSS of {day} says how bad a flaw would be, never how likely.",
}  # fmt: skip


class NotNewer(Invalid):
    """This content is no newer than what is live; nothing was changed."""

    code = "not-newer"
    hint = "Import a newer file. `brakeline content status` shows what is live and how old it is."


@dataclass(frozen=True, slots=True)
class Arrival:
    """Content that somebody or something brings. `version` and `limits` are of the seed; else they follow from it, or
    `version` is the day of a file that does not say its own."""

    feed: str
    kind: str
    file: str
    sha256: str
    origin: str = SEED
    ecosystem: str = ""
    version: str = ""
    limits: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What it says. `rows`: of its kind's type in `model`."""

    version: str
    issued: str  # a time or a day; "" = its makers did not say
    day: str  # of the newest entry
    rows: list[Any]
    elsewhere: int = 0  # what it says of other ecosystems and releases, which was left out
    because: tuple[str, ...] = ()  # and why, where there are several reasons


def kind_of(feed: str) -> str:
    """What a feed brings, by its name. Raises `Invalid` for one that cannot be imported."""
    if feed in ("epss", "cisa-kev"):
        return "epss" if feed == "epss" else "kev"
    if CVSS_FEED.fullmatch(feed):
        return "cvss"
    if feed == support.FEED:
        return support.KIND
    if osv.is_feed(feed):
        return osv.KIND
    raise Invalid(
        f"no feed {feed[:40]!r} can be imported; there are epss, cisa-kev, cvss and cvss-NAME (cvss-2025), "
        "end-of-life, rustsec, osv-ECOSYSTEM (osv-pypi, osv-go, osv-almalinux), debian-tracker, "
        "alpine-RELEASE-REPOSITORY (alpine-v3.20-main), and of vendors "
        f"{', '.join(feed.said for feed in vendors.FEEDS)}"
    )


def content(arrival: Arrival, packed: bytes) -> Content:
    """The content of these bytes. Raises `BadFeed`. Takes a second for the largest: call it in a thread."""
    if arrival.kind == osv.KIND:
        read = osv.read(arrival.feed, packed, arrival.version)
        return Content(read.issued[:10], read.issued, read.issued[:10], read.spans, read.elsewhere, read.because)
    data = importers.unpacked(packed, arrival.file)
    if arrival.kind == support.KIND:
        ends = support.read(data, arrival.file)
        return Content(ends.issued[:10], ends.issued, ends.issued[:10], ends.rows)
    if arrival.kind == "kev":
        said = importers.known_exploited(data, arrival.file)
        day = max(entry.added for entry in said.entries)
        return Content(said.version, said.issued or day, day, said.entries)
    if arrival.kind == "epss":
        found = scores.epss(data, arrival.file)
        return Content(f"{found.model} of {found.issued[:10]}", found.issued, found.issued[:10], found.rows)
    if arrival.kind == "cvss":
        from brakeline.advisories.severity import cvss

        file = cvss(data, arrival.file)
        return Content(file.issued[:10], file.issued, file.issued[:10], file.rows)
    rows = importers.advisories(data, arrival.file, ecosystem=arrival.ecosystem).advisories
    if len({(row.ecosystem, row.source, row.cve, row.introduced) for row in rows}) < len(rows):
        raise BadFeed("a row stands there twice", file=arrival.file, rows=len(rows))
    return Content(arrival.version, "", max(row.date for row in rows), rows)


def issued_on(feed: str, last_modified: str, now_ms: int) -> str:
    """The day of a fetched file that does not say its own: the address's word, else today; "" for all others."""
    if not osv.dayless(feed):
        return ""
    try:
        return parsedate_to_datetime(last_modified).date().isoformat()
    except (ValueError, TypeError, OverflowError, IndexError):
        return day_of(now_ms)


def check(arrival: Arrival, new: Content, known: FeedState | None, tomorrow: str) -> None:
    """Raises for content that must not take the place of what is `known`. `tomorrow`: the latest day it may be of."""
    if arrival.origin != SEED and new.issued[:10] > tomorrow:
        raise BadFeed("it claims to be from the future", file=arrival.file, issued=new.issued, day=tomorrow)
    if known is None or not known.sha256:
        return
    if arrival.origin != SEED and new.issued <= age_of(known):
        raise NotNewer(f"it is of {new.issued}, and {age_of(known)} is live", file=arrival.file)
    if arrival.kind != "kev" and len(new.rows) < known.rows * SHRINK_MAX:
        raise BadFeed("most of the feed is gone", file=arrival.file, rows=len(new.rows), before=known.rows)


def age_of(known: FeedState) -> str:
    """When what is live was issued, as far as it is known; days sort before the times in them."""
    return known.issued or known.content_day


def settled(arrival: Arrival, known: FeedState | None) -> bool:
    """Whether a file of the seed has nothing to say: it is live, or something newer came by another way."""
    if known is None or not known.sha256 or arrival.origin != SEED:
        return False
    if known.sha256 == arrival.sha256:
        return not known.problem or known.tried != SEED
    return known.origin != SEED and arrival.version.replace(".", "-") <= age_of(known)[:10]


def limits_of(arrival: Arrival, new: Content) -> str:
    """What this content cannot know, in one sentence."""
    if arrival.kind == osv.KIND:
        said = osv.limits_of(arrival.feed, new.issued[:10])
        if new.because:
            return f"{said} Left out of this file: {new.elsewhere:,} statements ({'; '.join(new.because)})."
        return f"{said} Left out of this file: {new.elsewhere:,} statements on others." if new.elsewhere else said
    return arrival.limits or LIMITS.get(arrival.kind, "").format(day=new.issued[:10] or new.day)
