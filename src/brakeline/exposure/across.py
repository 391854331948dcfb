"""Every CVE of a fleet at once, from bitmaps: who has it open, and in which state it stands there. Pure.

In a distribution's feed the open rows of a unit are a suffix of its name's rows by fixed key, so the endpoints of a row
are those of every version below: walking both in order, each set is the one before and the next version's. Rows between
two versions share their set. Names with rows of other kinds are asked unit by unit, as `Book` answers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pyroaring import BitMap

from brakeline.advisories.ecosystems import SYSTEMS, UNSORTED, order_of
from brakeline.advisories.model import Advisory
from brakeline.exposure.index import Name, TenantIndex
from brakeline.exposure.match import Book, Shelf
from brakeline.exposure.model import FindingState, Role
from brakeline.exposure.offers import NEWEST, Offered, reaches
from brakeline.exposure.standing import Exposed, Members, Standing, Where, worst_of
from brakeline.exposure.streams import is_modular

Held = tuple[Advisory, Any, BitMap]  # a row, the key of its fix where that is known already, who has it open


@dataclass(slots=True)
class Entry:
    """One CVE while its rows are put together."""

    sources: set[str] = field(default_factory=set)
    fixed: dict[str, str] = field(default_factory=dict)
    dated: dict[str, str] = field(default_factory=dict)
    where: Where = field(default_factory=dict)
    carriers: BitMap | None = None
    ecosystems: set[str] = field(default_factory=set)


def exposed(index: TenantIndex, book: Book, sources: frozenset[str] | None = None) -> dict[str, Exposed]:
    """Every CVE that stands open anywhere, by id; with `sources`, only through these source packages."""
    entries: dict[str, Entry] = {}
    for name in index.orders:
        if sources is None or name[1] in sources:
            splitting = Splitting(index, name)
            for row, key, held in open_in(index, book, name):
                add(entries.setdefault(row.cve, Entry()), row, key, held, splitting)
    return {cve: exposed_of(index, book, cve, entry) for cve, entry in entries.items()}


def exposed_of(index: TenantIndex, book: Book, cve: str, entry: Entry) -> Exposed:
    """One CVE whose rows are all there."""
    roll, e = index.roll, entry
    return Exposed(
        cve, cve in book.kev, e.sources, e.fixed, e.dated, Standing(roll, e.where),
        Members(roll, e.carriers or BitMap()), e.ecosystems,
    )  # fmt: skip


def add(entry: Entry, row: Advisory, key: Any, held: BitMap, splitting: Splitting) -> None:
    """One row that stands open, and who has it."""
    entry.sources.add(row.source)
    entry.ecosystems.add(row.ecosystem)
    entry.fixed[row.source] = row.fixed
    entry.dated[row.source] = row.date
    if splitting.role is Role.CARRIER:
        entry.carriers = held if entry.carriers is None else entry.carriers | held
    else:
        where = splitting.of(row, held, key)
        entry.where = worst_of(entry.where, where) if entry.where else where


def open_in(index: TenantIndex, book: Book, name: Name) -> Iterator[Held]:
    """The rows of one name that stand open somewhere, each with who has them; rows may share one bitmap."""
    shelf = book.shelf(name[0], name[1])
    if shelf is None:
        return
    if shelf.others or shelf.repeats or order_of(name[0]) in UNSORTED:
        yield from _by_unit(index, book, name)
    else:
        yield from _by_cut(index, shelf, name)


def _by_cut(index: TenantIndex, shelf: Shelf, name: Name) -> Iterator[Held]:
    cuts: dict[int, list[int]] = {}
    rpm = order_of(name[0]) == "rpm"
    for key, one in index.orders[name]:
        unit = index.keys.values[one][0]
        if index.keys.maps[one] and not (rpm and is_modular(unit.version, unit.module)):
            cuts.setdefault(shelf.cut_at(key), []).append(one)
    held, places = BitMap(), sorted(cuts)
    for place, end in zip(places, [*places[1:], len(shelf.simple)], strict=bool(places)):
        held = held | index.keys.union(cuts[place])
        for row, key in zip(shelf.simple[place:end], shelf.fixed_keys[place:end], strict=True):
            yield row, key, held


def _by_unit(index: TenantIndex, book: Book, name: Name) -> Iterator[Held]:
    found: dict[Advisory, list[int]] = {}
    for _, one in index.orders[name]:
        if index.keys.maps[one]:
            for row in book.open_rows(index.keys.values[one][0]):
                found.setdefault(row, []).append(one)
    shared: dict[tuple[int, ...], BitMap] = {}
    for row, ids in found.items():
        key = tuple(ids)
        held = shared.get(key)
        if held is None:
            held = shared[key] = index.keys.union(ids)
        yield row, None, held


class Splitting:
    """Who has a row of one name open, by the state in which it stands: by what their own repositories offer."""

    __slots__ = ("_index", "_known", "_offers", "role")

    def __init__(self, index: TenantIndex, name: Name) -> None:
        self._index, self.role = index, name[2]
        offers, maps = index.offers.values, index.offers.maps
        self._offers: list[tuple[Offered, BitMap]] = [
            (offers[one][1], maps[one]) for one in index.offered.get(name[:3], ()) if maps[one] and not name[3]
        ]
        self._known: dict[tuple[int, tuple[int, ...], FindingState | None], tuple[BitMap, Where]] = {}

    def of(self, row: Advisory, held: BitMap, fixed_key: Any = None) -> Where:
        """`held` by state. `fixed_key`: of the row's fix, from whoever has it."""
        closing: tuple[int, ...] = ()
        if fixed_key is not None:
            closing = tuple(
                i for i, (offered, _) in enumerate(self._offers) if offered.key is NEWEST or fixed_key <= offered.key
            )
        elif row.fixed or row.last_affected:
            closing = tuple(i for i, (offered, _) in enumerate(self._offers) if reaches(row, offered))
        key = (id(held), closing, _left(row))
        found = self._known.get(key)
        if found is None:  # `held` is kept with it: as long as it is, no other bitmap has its id
            found = self._known[key] = (held, self._split(row, held, closing))
        return found[1]

    def _split(self, row: Advisory, held: BitMap, closing: tuple[int, ...]) -> Where:
        found: dict[FindingState, BitMap] = {}
        rest = held
        for place in closing:
            offered, who = self._offers[place]
            if mine := rest & who:
                found[offered.state] = found[offered.state] | mine if offered.state in found else mine
                rest = rest - mine
        left = _left(row)
        if left is not None:
            parts = [(left, rest)]
        else:
            known = self._index.lists_known
            parts = [(FindingState.NOT_OFFERED, rest & known), (FindingState.UNKNOWN, rest - known)]
        for state, mine in parts:
            if mine:
                found[state] = found[state] | mine if state in found else mine
        return found


def _left(row: Advisory) -> FindingState | None:
    """The state of those whom no offer closes it for; None = it depends on whether their package lists are known."""
    if not row.fixed:
        return FindingState.DEFERRED if row.state == "deferred" else FindingState.NO_FIX
    return None if order_of(row.ecosystem) in SYSTEMS else FindingState.UNKNOWN
