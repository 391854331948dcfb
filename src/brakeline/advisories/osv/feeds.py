"""Which feed brings what, and its bytes -> rows: the entrance of everything that is read as OSV rows; pure.

Invariants: a feed named after an ecosystem ("osv-pypi") speaks of that ecosystem alone, so a poisoned one harms no
other; an id that stands in a file twice must say the same (AlmaLinux publishes what is for two releases twice);
whatever is wrong is a `BadFeed` with its place, and no other error comes out.
"""

from __future__ import annotations

import json
import re
from typing import Final

from brakeline.advisories.ecosystems import canonical
from brakeline.advisories.importers import BadFeed, unpacked
from brakeline.advisories.osv import bundle, documents, rustsec, secdb, tracker
from brakeline.advisories.osv.archive import ZIP_MAGIC, zipped
from brakeline.advisories.osv.archive import documents as documents_of
from brakeline.advisories.osv.model import SPANS_MAX, Said, Span
from brakeline.advisories.vendors import feeds as vendors

KIND: Final = "osv"
RUSTSEC: Final = "rustsec"
TRACKER: Final = "debian-tracker"
FEED: Final = re.compile(r"osv-([a-z][a-z0-9.+-]{0,39})")
SECDB: Final = re.compile(r"alpine-(v[0-9]{1,2}\.[0-9]{1,2}|edge)-(main|community)")
DAY: Final = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]")
LIMITS: Final = {
    RUSTSEC: "RustSec of {day} knows crates of crates.io that were reported to it, no private ones.",
    TRACKER: "Debian's tracker of {day} knows what was judged by then.",
    "alpine": "{feed} of {day} knows fixes of Alpine alone: nothing that is open, and no other repository.",
    "osv": "{feed} of {day} knows what its database had by then; ranges of commits are left out.",
}


def is_feed(feed: str) -> bool:
    """Whether a feed of this name is read here."""
    return feed == RUSTSEC or dayless(feed) or FEED.fullmatch(feed) is not None or vendors.find(feed) is not None


def dayless(feed: str) -> bool:
    """Whether its makers do not say in the file when it was issued, so that whoever brings it must."""
    vendor = vendors.find(feed)
    return vendor.dayless if vendor else feed == TRACKER or SECDB.fullmatch(feed) is not None


def wanted_of(feed: str) -> str:
    """The ecosystem that a feed speaks of."""
    if vendor := vendors.find(feed):
        return vendor.base
    if feed == RUSTSEC:
        return "crates.io"
    return canonical(feed.partition("-")[0] if dayless(feed) else feed.removeprefix("osv-"))


def limits_of(feed: str, day: str) -> str:
    """What it cannot know, in one sentence."""
    if vendor := vendors.find(feed):
        return vendor.limits.format(feed=feed, day=day)
    return LIMITS.get(feed, LIMITS["alpine" if dayless(feed) else "osv"]).format(feed=feed, day=day)


def read(feed: str, packed: bytes, day: str = "") -> Said:
    """The rows of a file of this feed; `day` of one that does not say its own. Raises `BadFeed`.
    Takes seconds for the largest: call it in a thread."""
    data = unpacked(packed, feed)
    if bundle.is_bundle(data):
        return bundle.unpack(data, feed, wanted_of(feed))
    if vendor := vendors.find(feed):
        return vendor.read(feed, data, day)
    if dayless(feed):
        return _of_day(feed, data, day)
    if feed == RUSTSEC and data.startswith(ZIP_MAGIC):
        found = zipped(data, feed, ".md", _front_matter)
    else:
        found = documents_of(data, feed)
    wanted = wanted_of(feed)
    said: dict[str, list[Span]] = {}
    count, elsewhere, size, issued = 0, 0, 0, ""
    for place, document in found:
        if document is None:
            continue
        rows, others = _rows(feed, wanted, place, document)
        count, elsewhere = count + 1, elsewhere + others
        if rows and said.setdefault(rows[0].id, rows) != rows:
            raise BadFeed(f"{place}: {rows[0].id} stands there twice, and not the same", file=feed)
        size += len(rows)
        if size > SPANS_MAX:
            raise BadFeed(f"more than {SPANS_MAX} rows", file=feed)
        issued = max([issued, *(time for row in rows[:1] for time in (row.modified, row.published, row.withdrawn))])
    if not said:
        raise BadFeed(f"it says nothing of {wanted}", file=feed, documents=count, elsewhere=elsewhere)
    return Said([row for rows in said.values() for row in rows], issued, count, elsewhere)


def _of_day(feed: str, data: bytes, day: str) -> Said:
    if not DAY.fullmatch(day):
        raise BadFeed("its makers do not say when it was issued; say of which day it is: --day 2026-11-20", file=feed)
    at = f"{day}T00:00:00Z"
    try:
        document = json.loads(data)
        release = SECDB.fullmatch(feed)
        rows = secdb.spans(document, release[1], release[2], at) if release else tracker.spans(document, at)
    except (ValueError, RecursionError) as e:
        raise BadFeed(str(e)[:160], file=feed) from None
    if not 0 < len(rows) <= SPANS_MAX:
        raise BadFeed(f"expected 1 to {SPANS_MAX} rows", file=feed, rows=len(rows))
    return Said(rows, at, 1, *(secdb.unreadable(rows) if release else (0, ())))


def _rows(feed: str, wanted: str, place: str, document: object) -> tuple[list[Span], int]:
    try:
        return (rustsec.spans(document), 0) if feed == RUSTSEC else documents.spans(document, wanted)
    except (ValueError, RecursionError) as e:
        raise BadFeed(f"{place}: {str(e)[:160]}", file=feed) from None


def _front_matter(text: str) -> object:
    """None for pages that are no advisories."""
    return rustsec.front_matter(text) if text.startswith(rustsec.FENCE) else None
