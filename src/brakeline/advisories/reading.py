"""Reads what is known out of PostgreSQL: everything, or only the feeds that changed since it was read last.

Invariants: whoever reads a feed while others commit keeps no rows under the stamp of others; what does not fit is
`None`, and then everything is read whole, so the worst of an increment is what a start costs. Scores are kept of ids
that some row names, however these were read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from brakeline.advisories import by_feed, store, store_scores
from brakeline.advisories.by_feed import ROWS, UNREAD, FeedRows, stamp_of
from brakeline.advisories.model import SCORES, Advisory, Epss, FeedState, KnownExploited, Severity
from brakeline.advisories.osv import feeds as osv
from brakeline.advisories.osv import store as osv_store
from brakeline.platform.database import Connection


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that is known at one moment. `fingerprint` changes whenever rows do, `scored` whenever scores do."""

    by_feed: Mapping[str, FeedRows]
    exploited: dict[str, KnownExploited]
    feeds: tuple[FeedState, ...]
    fingerprint: str
    epss: dict[str, Epss]  # of CVEs that some advisory names; so are `cvss`
    cvss: dict[str, Severity]
    scored: str

    @property
    def rows(self) -> list[Advisory]:
        """Every row of every feed."""
        return [row for each in self.by_feed.values() for row in each.rows]

    @property
    def limits(self) -> tuple[str, ...]:
        """What this knowledge cannot contain, one sentence a feed: to be shown with every answer."""
        return tuple(feed.limits for feed in self.feeds if feed.limits)


def fingerprint_of(feeds: tuple[FeedState, ...]) -> str:
    """Names the rows that are live, whatever was tried since. Scores change no finding, so they are no part of it."""
    return "+".join(feed.sha256[:16] for feed in feeds if feed.kind not in SCORES) or "none"


def scored_of(feeds: tuple[FeedState, ...]) -> str:
    """The same for scores; they hang on the rows, too, because only CVEs of rows are kept in memory."""
    return "+".join(feed.sha256[:16] for feed in feeds) or "none"


async def whole(conn: Connection) -> Knowledge:
    """Every row of every feed. One that is replaced meanwhile is read again by the next who looks."""
    feeds = await store.feeds(conn)
    exploited = {entry.cve: entry for entry in await store.known_exploited(conn)}
    rows, spans = await store.advisories(conn), await osv_store.matched(conn)
    epss, cvss = await store_scores.epss_of_advisories(conn), await store_scores.cvss_of_advisories(conn)
    stamps = {s.feed: stamp_of(s) for s in await store.feeds(conn) if s in feeds}
    names = sorted(rows.keys() | spans.keys() | {s.feed for s in feeds if s.sha256 and s.kind in ROWS})

    def made() -> dict[str, FeedRows]:
        return {f: by_feed.feed_rows(f, stamps.get(f, UNREAD), rows.get(f, []), spans.get(f, [])) for f in names}

    found = await asyncio.to_thread(made)
    return Knowledge(found, exploited, feeds, fingerprint_of(feeds), epss, cvss, scored_of(feeds))


async def newer(conn: Connection, known: Knowledge, handed: FeedRows | None) -> Knowledge | None:
    """What is known now, of what was and the feeds that changed. `handed`: rows that were read to be weighed."""
    feeds = await store.feeds(conn)
    changed = by_feed.newer(known.by_feed, known.feeds, feeds)
    if changed is None:
        return None
    rows = dict(known.by_feed)
    for state in changed.feeds:
        same = handed is not None and (handed.feed, handed.stamp) == (state.feed, stamp_of(state))
        rows[state.feed] = handed if same and handed is not None else await feed_of(conn, state)
        if not rows[state.feed].fits():
            return None
    exploited = known.exploited
    if "kev" in changed.kinds:
        exploited = {entry.cve: entry for entry in await store.known_exploited(conn)}
    epss, cvss = await _scores(conn, known, rows, changed.kinds)
    if list(map(stamp_of, await store.feeds(conn))) != list(map(stamp_of, feeds)):
        return None  # something was committed between
    return Knowledge(rows, exploited, feeds, fingerprint_of(feeds), epss, cvss, scored_of(feeds))


async def feed_of(conn: Connection, state: FeedState) -> FeedRows:
    """The rows of one feed as they stand there."""
    feed = state.feed
    rows = await store.advisories_of_feed(conn, feed) if state.kind != osv.KIND else []
    spans = (await osv_store.matched(conn, feed)).get(feed, []) if state.kind == osv.KIND else []
    return await asyncio.to_thread(by_feed.feed_rows, feed, stamp_of(state), rows, spans)


async def _scores(
    conn: Connection, known: Knowledge, rows: Mapping[str, FeedRows], kinds: frozenset[str]
) -> tuple[dict[str, Epss], dict[str, Severity]]:
    """Scores of what is named now: new ones are read whole, else those of ids that are new."""
    come, gone = by_feed.renamed(known.by_feed, rows)
    epss, cvss = known.epss, known.cvss
    if "epss" in kinds:
        epss = await store_scores.epss_of_advisories(conn)
    elif come or gone:
        epss = {cve: each for cve, each in epss.items() if cve not in gone} | await store_scores.epss_of(conn, come)
    if "cvss" in kinds:
        cvss = await store_scores.cvss_of_advisories(conn)
    elif come or gone:
        cvss = {cve: each for cve, each in cvss.items() if cve not in gone} | await store_scores.cvss_of(conn, come)
    return epss, cvss
