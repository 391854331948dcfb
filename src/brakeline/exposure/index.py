"""Who has what, per tenant, in memory: unit -> endpoints. Rebuilt from inventories; holds no truth of its own. Pure.

Invariants: an endpoint's entry is replaced whole; the answers of `Book` are per unit, so a fleet of thousands asks it
a few thousand times. Findings are never stored per (endpoint, CVE). What is on offer and what is not assessed are
indexed in the same way, because a fleet has few distinct ones; versions of a name are kept in their own order, so that
an advisory finds whom it concerns by one `bisect` (`reach`). `across` answers for every CVE at once.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap

from brakeline.advisories.ecosystems import UNSORTED, key_of, order_of
from brakeline.exposure.match import Book, judge, looked_at
from brakeline.exposure.model import FindingState, Installed, NotAssessed, Role, Unit
from brakeline.exposure.offers import Offered, Offers, offers, state_of
from brakeline.exposure.postings import EMPTY, NOBODY, Postings
from brakeline.exposure.standing import Exposed, Members, Roll
from brakeline.protocol.managers import is_found
from brakeline.protocol.messages import PendingUpdate

Key = tuple[Unit, Role]
Name = tuple[str, str, Role, bool]  # ecosystem, source, role, whether what is managed has it (see `Unit.found`)
Offer = tuple[tuple[str, str, Role], Offered]


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One endpoint as the index keeps it: distinct units, what is on offer, what was not judged."""

    endpoint_id: str
    keys: frozenset[Key]
    offered: Offers
    packages: int
    not_assessed: tuple[NotAssessed, ...]  # each once, with how often it lies there
    lists_known: bool
    inventory_ms: int
    missing: int  # packages that were not assessed

    def offer(self, unit: Unit, role: Role) -> Offered | None:
        """What the endpoint's own repositories offer for a unit: nothing, where no update reaches it."""
        return None if unit.found else self.offered.get((unit.ecosystem, unit.source, role))


@dataclass(frozen=True, slots=True)
class Counts:
    """Distinct CVEs of one endpoint, and the sources that carry them. `carrier_cves`: only in what cannot run."""

    packages: int
    not_assessed: int
    cves: int
    carrier_cves: int
    kev: int
    fixable: int
    sources: dict[str, tuple[str, int]]  # source -> (installed version, CVEs), only of what can run


def view_of(
    endpoint_id: str, items: Iterable[Installed], pending: Iterable[PendingUpdate], book: Book, *,
    ecosystem: str, kernel: str, lists_known: bool, inventory_ms: int,
) -> EndpointView:  # fmt: skip
    """An endpoint's inventory, judged."""
    items = list(items)
    judged, missing = judge(items, book, ecosystem, kernel)
    keys = ((unit._replace(found=True) if is_found(item.architecture) else unit, role) for item, unit, role in judged)
    gaps = tuple(gap._replace(times=times) for gap, times in sorted(Counter(missing).items()))
    return EndpointView(
        endpoint_id, frozenset(keys), offers(judged, pending),
        looked_at(judged) + len(missing), gaps, lists_known, inventory_ms, len(missing),
    )  # fmt: skip


def _managed_first(unit: Unit) -> tuple[bool, Unit]:
    return unit.found, unit


def counts_of(view: EndpointView, book: Book) -> Counts:
    """The figures of one endpoint."""
    active: set[str] = set()
    carried: set[str] = set()
    fixable: set[str] = set()
    sources: dict[str, tuple[Unit, int]] = {}
    for unit, role in view.keys:
        rows = book.open_rows(unit)
        if not rows:
            continue
        cves = {row.cve for row in rows}
        if role is Role.CARRIER:
            carried |= cves
            continue
        active |= cves
        other, most = sources.get(unit.source, (unit, 0))  # of several versions: one that an update reaches, if any
        sources[unit.source] = (min(unit, other, key=_managed_first), max(len(cves), most))
        offered = view.offer(unit, role)
        fixable |= {row.cve for row in rows if state_of(row, offered, view.lists_known) is FindingState.FIXABLE}
    return Counts(
        packages=view.packages,
        not_assessed=view.missing,
        cves=len(active),
        carrier_cves=len(carried - active),
        kev=len(active & book.kev),
        fixable=len(fixable),
        sources={source: (unit.version, most) for source, (unit, most) in sources.items()},
    )


class TenantIndex:
    """All endpoints of one tenant."""

    def __init__(self) -> None:
        self.roll = Roll()
        self.keys: Postings[Key] = Postings()
        self.offers: Postings[Offer] = Postings()
        self.gaps: Postings[NotAssessed] = Postings()
        self.present = BitMap()
        self.lists_known = BitMap()
        self.figures: list[tuple[int, int, int]] = []  # by number: packages, not assessed, time of the inventory
        self._judged, self._missing = BitMap(), 0  # who of those present has a judged package; packages that are not
        self.orders: dict[Name, list[tuple[Any, int]]] = {}  # units of a name by version, where it can be sorted
        self.offered: dict[tuple[str, str, Role], list[int]] = {}  # ids of offers
        self.version = 0  # rises with every change, so that readers know whether what they remember still holds
        self._codes: tuple[int, dict[str, int]] | None = None  # of which version; see `gap_codes`
        self._noted = [0, 0]
        self._left = set[Name]()  # names that lost a version since `touched` was asked last

    @property
    def views(self) -> Mapping[str, EndpointView]:
        """Every endpoint by id, put together when it is asked for."""
        return _Views(self)

    @property
    def holders(self) -> dict[Key, BitMap]:
        """Endpoints by what they have, as it is now."""
        return {key: held for key, held in zip(self.keys.values, self.keys.view(), strict=True) if held}

    @property
    def assessed(self) -> Members:
        """Endpoints of which at least one package was judged."""
        return Members(self.roll, self._judged)

    def not_assessed(self) -> int:
        """Packages that were not judged, on all endpoints."""
        return self._missing

    def gap_codes(self) -> dict[str, int]:
        """The same by why."""
        if self._codes is None or self._codes[0] != self.version:
            found = Counter[str]()
            for gap, held in self.gaps.held():
                found[gap.code] += len(held) * gap.times
            self._codes = (self.version, dict(sorted(found.items())))
        return dict(self._codes[1])

    def inventory_ms(self, endpoint_id: str) -> int | None:
        """Of which inventory an endpoint's entry is; None = it has none."""
        number = self.roll.numbers.get(endpoint_id)
        return self.figures[number][2] if number is not None else None

    def put(self, view: EndpointView) -> bool:
        """Replace what is known of one endpoint; gives whether anything but the time of its inventory changed."""
        number = self.roll.add(view.endpoint_id)
        known = number in self.lists_known
        changed = self.keys.put(number, view.keys) | self.offers.put(number, view.offered.items())
        changed |= self.gaps.put(number, view.not_assessed) | (number not in self.present) | (known != view.lists_known)
        self._discount(number)
        self.present.add(number)
        if known != view.lists_known:
            self.keys.moved.update(self.keys.ids_of_row(number))
        (self.lists_known.add if view.lists_known else self.lists_known.discard)(number)
        figures = (view.packages, view.missing, view.inventory_ms)
        if number == len(self.figures):
            self.figures.append(figures)
        changed |= self.figures[number][:2] != figures[:2]
        self.figures[number] = figures
        self._count(number)
        self.note()
        self.version += changed
        return changed

    def drop(self, endpoint_id: str) -> None:
        """Forget one endpoint. Its number is not given again: somebody may still be reading it."""
        number = self.roll.numbers.pop(endpoint_id, None)
        if number is None:
            return
        for postings in (self.keys, self.offers, self.gaps):
            postings.put_row(number, EMPTY)
        self._discount(number)
        self.present.discard(number)
        self.lists_known.discard(number)
        self.version += 1

    def _count(self, number: int) -> None:
        packages, missing, _ = self.figures[number]
        self._missing += missing
        if packages > missing:
            self._judged.add(number)

    def _discount(self, number: int) -> None:
        if number in self.present:
            self._missing -= self.figures[number][1]
            self._judged.discard(number)

    def recount(self) -> bool:
        """Count who was assessed, and what was not, anew; gives whether that was kept otherwise."""
        was = self._judged, self._missing
        mine = [(n, *self.figures[n][:2]) for n in self.present]
        self._judged = BitMap(n for n, packages, missing in mine if packages > missing)
        self._missing = sum(missing for _, _, missing in mine)
        return was != (self._judged, self._missing)

    def touched(self) -> frozenset[Name]:
        """Names of which somebody has another version, or is offered another, than when this was asked last."""
        found, self._left = self._left, set()
        for one in self.keys.moved:
            unit, role = self.keys.values[one]
            found.add((unit.ecosystem, unit.source, role, unit.found))
        for one in self.offers.moved:
            found.add((*self.offers.values[one][0], False))
        self.keys.moved, self.offers.moved, self.gaps.moved = set(), set(), set()
        return frozenset(found)

    def prune(self) -> int:
        """Give up units, offers and gaps that nobody has any more, and names without one; gives how many.

        No answer changes. Whoever still looks at what was taken before keeps it; no id is given a second time.
        """
        self._left = set(self.touched())
        names = set[Name]()
        units, offers, gaps = self.keys.prune(), self.offers.prune(), self.gaps.prune()
        for _, (unit, role) in units:
            names.add((unit.ecosystem, unit.source, role, unit.found))
        for name in names:
            self.orders[name] = [at for at in self.orders[name] if self.keys.maps[at[1]] is not NOBODY]
            if not self.orders[name]:
                del self.orders[name]
        for offered in {value[0] for _, value in offers}:
            left = [one for one in self.offered[offered] if self.offers.maps[one] is not NOBODY]
            self.offered[offered] = left
            if not left:
                del self.offered[offered]
        return len(units) + len(offers) + len(gaps)

    def fill(self, endpoint_ids: Iterable[str], figures: Iterable[tuple[int, int, int]], known: BitMap) -> None:
        """Take all endpoints at once, by number; the postings were filled with their rows before."""
        for endpoint_id in endpoint_ids:
            self.roll.add(endpoint_id)
        self.figures = list(figures)
        self.present, self.lists_known = BitMap(range(len(self.figures))), known
        self.recount()
        self.note()
        self.version += 1

    def note(self) -> None:
        """Put values that are new into their name's order. Raises `BadVersion` for a unit that cannot be ordered."""
        for one in range(self._noted[0], len(self.keys.values)):
            unit, role = self.keys.values[one]
            line = self.orders.setdefault((unit.ecosystem, unit.source, role, unit.found), [])
            if order_of(unit.ecosystem) in UNSORTED:
                line.append((unit.version, one))
            else:
                insort(line, ((key_of(unit.ecosystem) or str)(unit.version), one))
        for one in range(self._noted[1], len(self.offers.values)):
            self.offered.setdefault(self.offers.values[one][0], []).append(one)
        self._noted = [len(self.keys.values), len(self.offers.values)]

    def view(self, endpoint_id: str) -> EndpointView:
        """One endpoint. `KeyError` if it is not here."""
        number = self.roll.numbers[endpoint_id]
        packages, missing, inventory_ms = self.figures[number]
        return EndpointView(
            endpoint_id, frozenset(self.keys.of(number)), dict(self.offers.of(number)), packages,
            tuple(sorted(self.gaps.of(number))), number in self.lists_known, inventory_ms, missing,
        )  # fmt: skip


class _Views(Mapping[str, EndpointView]):
    __slots__ = ("_index",)

    def __init__(self, index: TenantIndex) -> None:
        self._index = index

    def __getitem__(self, endpoint_id: str) -> EndpointView:
        return self._index.view(endpoint_id)

    def __contains__(self, endpoint_id: object) -> bool:
        return endpoint_id in self._index.roll.numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.roll.numbers)

    def __len__(self) -> int:
        return len(self._index.roll.numbers)


__all__ = ["Counts", "EndpointView", "Exposed", "Key", "Name", "Offer", "TenantIndex", "counts_of", "view_of"]
