"""Every CVE of a fleet, remembered by name: what neither advisories nor inventories moved is not asked again. Pure.

`across` answers for a whole fleet; here its answer is kept for each name, with the rows and the holders that it is of.
Invariants: what is given equals `across.exposed` of the same index and book (tested against it); a name is asked anew
when its rows are others (its shelf is), when who has one of its versions changed, or what is on offer for it, or whose
package lists are known; a CVE is put together anew when one of its names was. One memo belongs to one index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyroaring import BitMap

from brakeline.advisories.model import Advisory
from brakeline.exposure.across import Entry, Splitting, add, exposed_of, open_in
from brakeline.exposure.index import Name, TenantIndex
from brakeline.exposure.match import Book, Shelf
from brakeline.exposure.model import Role
from brakeline.exposure.standing import Exposed
from brakeline.exposure.tallies import open_count

Part = tuple[Advisory, Any, BitMap]


@dataclass(slots=True)
class _Kept:
    """One name: the rows it is of, what of it stands open by CVE."""

    shelf: Shelf | None
    splitting: Splitting
    parts: dict[str, list[Part]] = field(default_factory=dict)
    anybody: BitMap = field(default_factory=BitMap)  # who has any row of it open
    states: int = 0  # (endpoint, version, CVE) that stand open


class Memo:
    """See the module."""

    def __init__(self) -> None:
        self._names: dict[Name, _Kept] = {}
        self._of: dict[str, dict[Name, None]] = {}  # CVE -> names that have it open
        self._entries: dict[str, Exposed] = {}
        self._kev = frozenset[str]()
        self._touched, self._moved = set[Name](), set[str]()  # still to be done, should a look not come to its end
        self._anybody: BitMap | None = None  # who has anything open in what can run; None = to be put together
        self._of_it: tuple[TenantIndex, Book] | None = None
        self.asked = 0  # names that the last look asked anew

    def entries(self, index: TenantIndex, book: Book) -> dict[str, Exposed]:
        """Every CVE that stands open anywhere, by id; the same objects where nothing moved."""
        self._touched |= index.touched()
        self._moved |= (book.kev ^ self._kev) & self._entries.keys()
        self._kev, self.asked, self._of_it = book.kev, 0, (index, book)
        for name in self._names.keys() - index.orders.keys():
            self._moved |= self._forget(name)
        for name in index.orders:
            kept, shelf = self._names.get(name), book.shelf(name[0], name[1])
            if kept is None or kept.shelf is not shelf or name in self._touched:
                self._moved |= self._anew(index, book, name, shelf)
        self._touched = set()
        if self._moved:
            self._put_together(index, book, self._moved)
            self._moved = set()
        return self._entries

    def vulnerable(self) -> int:
        """On how many endpoints anything of what `entries` gave last stands open in what can run."""
        if self._anybody is None:
            mine = (kept.anybody for name, kept in self._names.items() if name[2] is not Role.CARRIER)
            self._anybody = BitMap.union(*mine, BitMap(), BitMap())
        return len(self._anybody)

    def is_of(self, index: TenantIndex, book: Book) -> bool:
        """Whether the last look was at these."""
        return self._of_it is not None and self._of_it[0] is index and self._of_it[1] is book

    def states(self) -> int:
        """How many (endpoint, version, CVE) of what `entries` gave last stand open in what can run."""
        return sum(kept.states for name, kept in self._names.items() if name[2] is Role.ACTIVE)

    def _anew(self, index: TenantIndex, book: Book, name: Name, shelf: Shelf | None) -> set[str]:
        """Ask one name; gives the CVEs that it had open or has now."""
        before, self.asked = self._names.get(name), self.asked + 1
        kept = _Kept(shelf, Splitting(index, name))
        for part in open_in(index, book, name):
            kept.parts.setdefault(part[0].cve, []).append(part)
        kept.anybody, kept.states = _together(kept.parts), _states(index, book, name, shelf)
        self._names[name], self._anybody = kept, None
        gone = before.parts.keys() - kept.parts.keys() if before else set[str]()
        for cve in gone:
            del self._of[cve][name]
        for cve in kept.parts:
            self._of.setdefault(cve, {})[name] = None
        return kept.parts.keys() | gone

    def _forget(self, name: Name) -> set[str]:
        """A name of which nobody has any version; gives the CVEs that it had open."""
        gone, self._anybody = set(self._names.pop(name).parts), None
        for cve in gone:
            del self._of[cve][name]
        return gone

    def _put_together(self, index: TenantIndex, book: Book, moved: set[str]) -> None:
        """Entries of these CVEs anew; the dictionary is another one, whoever has the former keeps it as it was."""
        places = {name: place for place, name in enumerate(index.orders)}
        found = dict(self._entries)
        for cve in moved:
            names = self._of.get(cve)
            if not names:
                found.pop(cve, None)
                continue
            entry = Entry()
            for name in sorted(names, key=places.__getitem__):
                kept = self._names[name]
                for row, key, held in kept.parts[cve]:
                    add(entry, row, key, held, kept.splitting)
            found[cve] = exposed_of(index, book, cve, entry)
        self._entries = found


def _together(parts: Mapping[str, Sequence[Part]]) -> BitMap:
    """Everybody who has any of these; rows share bitmaps, so each is taken once."""
    maps = {id(held): held for some in parts.values() for _, _, held in some}
    return BitMap.union(*maps.values(), BitMap(), BitMap())


def _states(index: TenantIndex, book: Book, name: Name, shelf: Shelf | None) -> int:
    """As `flips.changes` counts them: of each version the CVEs that are open, times who has it."""
    if shelf is None:
        return 0
    keys, found = index.keys, 0
    for key, one in index.orders[name]:
        if held := keys.maps[one]:
            found += open_count(index, book, shelf, name, key, one) * len(held)
    return found
