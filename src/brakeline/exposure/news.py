"""What new advisories change in a fleet: the endpoints whose figures move, and each CVE that opens or closes. Pure.

Only names whose rows differ are looked at, and of them only the distinct versions that somebody has; a unit whose open
rows are the same under both books moves nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from pyroaring import BitMap

from brakeline.advisories.model import Advisory
from brakeline.exposure.across import Splitting
from brakeline.exposure.index import Name, TenantIndex
from brakeline.exposure.match import Book
from brakeline.exposure.model import FindingState, Role

ARRIVALS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a change of advisories did in one fleet, by CVE."""

    at_ms: int
    cve: str
    sources: tuple[str, ...]
    opened: int  # endpoints where it stands open since
    closed: int  # endpoints where it does no more
    patchable: int  # of the opened, those whose own repositories offer the fix


class Moved(NamedTuple):
    """Endpoints, by number."""

    endpoints: BitMap  # whose figures are to be counted anew
    opened: dict[str, Change]
    closed: dict[str, Change]


class Change(NamedTuple):
    """One CVE in what can run: through which sources, on which endpoints, and who of them can be patched at once."""

    sources: frozenset[str]
    endpoints: BitMap
    patchable: BitMap


def moved(index: TenantIndex, before: Book, after: Book) -> Moved:
    """What changes when `after` takes the place of `before`."""
    endpoints, marked = BitMap(), before.kev ^ after.kev
    opened: dict[str, Change] = {}
    closed: dict[str, Change] = {}
    for name in index.orders:
        rows, said = after.rows_of(*name[:2]), before.rows_of(*name[:2])
        if (rows is said or rows == said) and not (marked and any(row.cve in marked for row in rows)):
            continue
        splitting = Splitting(index, name)
        for _, one in index.orders[name]:
            held = index.keys.maps[one]
            if not held:
                continue
            unit = index.keys.values[one][0]
            was, will = before.open_rows(unit), after.open_rows(unit)
            if was == will and not any(row.cve in marked for row in will):
                continue
            endpoints |= held
            if name[2] is Role.ACTIVE:
                old, new = {row.cve for row in was}, {row.cve for row in will}
                _note(opened, (row for row in will if row.cve not in old), held, name, splitting)
                _note(closed, (row for row in was if row.cve not in new), held, name, None)
    return Moved(endpoints, opened, closed)


def arrivals(news: Moved) -> list[Arrival]:
    """One line for each CVE, those that concern most endpoints first; at most `ARRIVALS_MAX`."""
    none = Change(frozenset(), BitMap(), BitMap())
    found = []
    for cve in news.opened.keys() | news.closed.keys():
        come, gone = news.opened.get(cve, none), news.closed.get(cve, none)
        sources = tuple(sorted(come.sources | gone.sources))
        lines = (len(come.endpoints), len(gone.endpoints), len(come.patchable))
        found.append(Arrival(0, cve, sources, *lines))
    found.sort(key=lambda one: (-one.opened, -one.closed, one.cve))
    return found[:ARRIVALS_MAX]


def _note(
    found: dict[str, Change], rows: Iterable[Advisory], held: BitMap, name: Name, splitting: Splitting | None
) -> None:
    for row in rows:
        patchable = BitMap() if splitting is None else splitting.of(row, held).get(FindingState.FIXABLE, BitMap())
        change = found.get(row.cve)
        if change is None:
            found[row.cve] = Change(frozenset((name[1],)), held.copy(), patchable.copy())
        else:
            found[row.cve] = Change(change.sources | {name[1]}, change.endpoints | held, change.patchable | patchable)
