"""Whom an advisory reaches: the endpoints that it concerns, and those that can be patched at once. Pure.

Invariants: what is answered for new rows is what `Book` would answer with them, for the same units; versions of a name
are sorted, so whom a simple row concerns is a prefix of them: one `bisect` and one union of bitmaps. Other rows (with a
beginning, of a module stream, in an order that cannot be sorted) are asked once for each distinct version.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from pyroaring import BitMap

from brakeline.advisories.ecosystems import UNSORTED, order_of
from brakeline.advisories.model import Advisory
from brakeline.core.debversion import BadVersion
from brakeline.exposure.across import Splitting
from brakeline.exposure.index import Name, TenantIndex
from brakeline.exposure.match import Shelf
from brakeline.exposure.model import FindingState, Role, Unit
from brakeline.exposure.streams import is_modular


class Reach(NamedTuple):
    """Endpoints of one tenant, by number: `index.roll` says who they are."""

    affected: BitMap  # can run what is vulnerable
    carrying: BitMap  # have it only where it cannot run
    patchable: BitMap  # of the affected, those whose own repositories offer what closes all of it there


def affected(index: TenantIndex, rows: Iterable[Advisory], role: Role = Role.ACTIVE) -> BitMap:
    """Who has any of `rows` open; canonical names, as `match.named_as` gives them."""
    ids: list[int] = []
    for (ecosystem, source), some in by_name(rows).items():
        shelf = Shelf(some, ecosystem)
        for found in (False, True):
            ids += _ids(index, shelf, (ecosystem, source, role, found))
    return index.keys.union(ids)


def reach(index: TenantIndex, rows: Iterable[Advisory]) -> Reach:
    """All three; `patchable` takes a little longer than the others."""
    rows = list(rows)
    active, carrying = affected(index, rows), affected(index, rows, Role.CARRIER)
    left = BitMap()
    for (ecosystem, source), some in by_name(rows).items():
        left |= _left(index, Shelf(some, ecosystem), (ecosystem, source, Role.ACTIVE, False))
        left |= _left(index, Shelf(some, ecosystem), (ecosystem, source, Role.ACTIVE, True))
    return Reach(active, carrying - active, active - left)


def _left(index: TenantIndex, shelf: Shelf, name: Name) -> BitMap:
    """Who has a row of one name open that nothing on offer closes."""
    left, splitting = BitMap(), Splitting(index, name)
    for row in (*shelf.simple, *(interval.row for interval in shelf.others)):
        held = index.keys.union(_ids(index, Shelf([row], name[0]), name))
        for state, mine in splitting.of(row, held).items():
            if state is not FindingState.FIXABLE:
                left |= mine
    return left


def by_name(rows: Iterable[Advisory]) -> dict[tuple[str, str], list[Advisory]]:
    """Rows by what they speak of."""
    found: dict[tuple[str, str], list[Advisory]] = {}
    for row in rows:
        found.setdefault((row.ecosystem, row.source), []).append(row)
    return found


def _ids(index: TenantIndex, shelf: Shelf, name: Name) -> list[int]:
    """Ids of the units of one name that have any row of `shelf` open."""
    line = index.orders.get(name, [])
    if shelf.others or order_of(name[0]) in UNSORTED:
        return [one for _, one in line if _is_open(shelf, index.keys.values[one][0])]
    if not shelf.fixed_keys:
        return []
    below = [one for _, one in line[: bisect_left(line, (shelf.fixed_keys[-1],))]]
    return [one for one in below if not _modular(index.keys.values[one][0])] if order_of(name[0]) == "rpm" else below


def _modular(unit: Unit) -> bool:
    return is_modular(unit.version, unit.module)


def _is_open(shelf: Shelf, unit: Unit) -> bool:
    try:
        return bool(shelf.open_rows(unit.version, unit.module))
    except BadVersion:
        return False
