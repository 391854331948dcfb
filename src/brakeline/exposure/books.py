"""Books out of feeds: one made of all of them, and one made of the last where a feed brings something else. Pure.

A `Sheaf` is one feed's rows under the names that units have; a book has of each name what all sheaves say of it.
Invariants: a revised book equals the one that is made whole of the same sheaves (tested over random histories, and
compared by the server with a whole reading after each revision, `proving`); only names of which a changed feed says
something else are looked at; a book that was given away never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from brakeline.advisories.by_feed import FeedRows
from brakeline.advisories.model import Advisory
from brakeline.advisories.osv.model import Span
from brakeline.exposure.match import Book, Name, by_name
from brakeline.exposure.windows import laid

Row = TypeVar("Row", Advisory, Span)
Order = Callable[[Row], tuple[str, ...]]
Said = dict[Name, list[Row]]


class Sheaf:
    """See the module."""

    __slots__ = ("ecosystems", "rows", "spans")

    def __init__(self, rows: Iterable[Advisory], spans: Iterable[Span]) -> None:
        self.rows = by_name(rows)
        self.spans: dict[Name, list[Span]] = {}
        for span in laid(spans):
            self.spans.setdefault((span.ecosystem, span.name), []).append(span)
        self.ecosystems = frozenset({name[0] for each in (self.rows, self.spans) for name in each})


Sheaves = Mapping[str, Sheaf]


class Weighed(NamedTuple):
    """A book that was made to be weighed, of which feeds, and from which other."""

    base: Book
    by_feed: dict[str, FeedRows]
    kev: frozenset[str]
    book: Book
    sheaves: dict[str, Sheaf]

    def of(self, by_feed: Mapping[str, FeedRows], kev: frozenset[str]) -> bool:
        """Whether it is the book of these very rows."""
        mine = self.by_feed
        return mine.keys() == by_feed.keys() and kev == self.kev and all(mine[f] is by_feed[f] for f in mine)


def sheaf_of(read: FeedRows) -> Sheaf:
    return Sheaf(read.rows, read.spans)


def book_of(sheaves: Sheaves, kev: frozenset[str]) -> Book:
    """The whole book."""
    rows: dict[Name, list[Advisory]] = {}
    spans: dict[Name, list[Span]] = {}
    _lay([sheaves[feed].rows for feed in sorted(sheaves)], rows, _row_order)
    _lay([sheaves[feed].spans for feed in sorted(sheaves)], spans, _span_order)
    return Book.of(rows, spans, kev, _ecosystems(sheaves))


def revised(before: Book, old: Sheaves, new: Sheaves, kev: frozenset[str]) -> Book:
    """The book of `new`, made of the one of `old`; keeps what that has worked out of names that say the same."""
    feeds = [feed for feed in old.keys() | new.keys() if old.get(feed) is not new.get(feed)]
    rows, spans = before.contents()
    order = sorted(new)
    was, now = [old[f].rows for f in feeds if f in old], [new[f].rows for f in feeds if f in new]
    changed = _names(was, now)
    _relay([new[feed].rows for feed in order], rows, _row_order, changed)
    was_spans, now_spans = [old[f].spans for f in feeds if f in old], [new[f].spans for f in feeds if f in new]
    others = _names(was_spans, now_spans)
    _relay([new[feed].spans for feed in order], spans, _span_order, others)
    book = Book.of(rows, spans, kev, _ecosystems(new))
    book.keep(before, changed | others)
    return book


def _ecosystems(sheaves: Sheaves) -> frozenset[str]:
    return frozenset[str]().union(*(sheaf.ecosystems for sheaf in sheaves.values()))


def _names(was: list[Said[Row]], now: list[Said[Row]]) -> frozenset[Name]:
    """Names of which these feeds do not say what they did."""
    every = {name for each in (*was, *now) for name in each}
    return frozenset(
        name for name in every if [e[name] for e in was if name in e] != [e[name] for e in now if name in e]
    )


def _row_order(row: Advisory) -> tuple[str, ...]:
    return row.cve, row.introduced, row.module, row.fixed


def _span_order(span: Span) -> tuple[str, ...]:
    return (span.id,)


def _lay(of: list[Said[Row]], found: Said[Row], order: Order[Row]) -> None:
    several = set()
    for each in of:
        several |= found.keys() & each.keys()
        found.update(each)
    _relay(of, found, order, several)


def _relay(of: list[Said[Row]], found: Said[Row], order: Order[Row], names: Iterable[Name]) -> None:
    """Lay down these names anew: what one feed says as it stands there, what several say in one order."""
    for name in names:
        said = [each[name] for each in of if name in each]
        if not said:
            found.pop(name, None)
        elif len(said) == 1:
            found[name] = said[0]
        else:
            found[name] = sorted((row for each in said for row in each), key=order)
