"""What is known, feed by feed: which of them have to be read again, and whether what was read fits its state. Pure.

Invariants: rows of a feed are named by its *stamp* (the bytes they came from, when those were live, how many rows they
made), and a stamp is never given to other rows; whatever does not fit (a feed that is gone or of another kind, another
number of rows) is `None`: then everything is read whole. So a change costs what its own feed costs, and what cannot be
told apart from damage is never taken for news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from brakeline.advisories.model import Advisory, FeedState
from brakeline.advisories.osv.model import Span

ROWS: Final = ("advisories", "osv")  # kinds of feeds that say what is vulnerable, row by row


class Stamp(NamedTuple):
    """Which content of a feed."""

    sha256: str
    loaded_ms: int
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class FeedRows:
    """All rows of one feed, as PostgreSQL gives them. `cves`: every id by which scores may speak of them."""

    feed: str
    stamp: Stamp
    rows: list[Advisory] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    cves: frozenset[str] = frozenset()

    def fits(self) -> bool:
        """Whether these are as many as its state says."""
        return len(self.rows) + len(self.spans) == self.stamp.rows

    def same(self, other: FeedRows | None) -> bool:
        """Whether both say the same, in the same order."""
        return other is not None and self.rows == other.rows and self.spans == other.spans


class Newer(NamedTuple):
    """What has to be read again: feeds with rows, and kinds of what is kept whole."""

    feeds: tuple[FeedState, ...]
    kinds: frozenset[str]


UNREAD: Final = Stamp("", 0, 0)  # of rows that no state names: they are read again


def stamp_of(state: FeedState) -> Stamp:
    return Stamp(state.sha256, state.loaded_ms, state.rows)


def feed_rows(feed: str, stamp: Stamp, rows: list[Advisory], spans: list[Span]) -> FeedRows:
    return FeedRows(feed, stamp, rows, spans, frozenset(_named(rows, spans)))


def _named(rows: Iterable[Advisory], spans: Iterable[Span]) -> Iterable[str]:
    yield from (row.cve for row in rows)
    for span in spans:
        yield span.id
        yield from span.aliases
        yield from span.related


def newer(rows: Mapping[str, FeedRows], before: Iterable[FeedState], feeds: Iterable[FeedState]) -> Newer | None:
    """What is to be read where `rows` and states `before` are known, and `feeds` are now; None = everything."""
    then, now = {state.feed: state for state in before}, {state.feed: state for state in feeds}
    if then.keys() - now.keys() or any(s.sha256 and s.kind != now[s.feed].kind for s in then.values()):
        return None  # feeds do not go away: this is another database than it was
    stale: list[FeedState] = []
    kinds = set[str]()
    for feed, state in now.items():
        if state.kind in ROWS:
            had = rows[feed].stamp if feed in rows else UNREAD
            stale += [state] if state.sha256 and had != stamp_of(state) else []
        elif feed not in then or stamp_of(then[feed]) != stamp_of(state):
            kinds.add(state.kind)
    return Newer(tuple(stale), frozenset(kinds))


def renamed(before: Mapping[str, FeedRows], after: Mapping[str, FeedRows]) -> tuple[frozenset[str], frozenset[str]]:
    """Ids that are named since, and ids that nobody names any more."""
    changed = [feed for feed in before.keys() | after.keys() if before.get(feed) is not after.get(feed)]
    was = frozenset[str]().union(*(before[feed].cves for feed in changed if feed in before))
    now = frozenset[str]().union(*(after[feed].cves for feed in changed if feed in after))
    others = [each.cves for feed, each in after.items() if feed not in changed]
    gone = frozenset(one for one in was - now if not any(one in cves for cves in others))
    return now - was, gone


def differing(mine: Mapping[str, FeedRows], theirs: Mapping[str, FeedRows]) -> list[str]:
    """Feeds of which the two do not say the same."""
    empty = FeedRows("", UNREAD)
    return sorted(f for f in mine.keys() | theirs.keys() if not mine.get(f, empty).same(theirs.get(f, empty)))
