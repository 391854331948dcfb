"""What the updates of one source close across a fleet: exact, from the index; by endpoint and by CVE. Pure.

An advisory speaks of a source, an update of one of its packages: what is closed is closed by the update of the source's
packages together. Only what can run is counted; what is on offer and held back is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pyroaring import BitMap

from brakeline.exposure.across import Splitting, open_in
from brakeline.exposure.index import TenantIndex
from brakeline.exposure.match import Book
from brakeline.exposure.model import FindingState, Role
from brakeline.exposure.standing import Members, Roll


@dataclass(slots=True)
class Gain:
    """Of one source: CVE -> endpoints on which its update would close it, and on which it is held back."""

    source: str
    roll: Roll
    closes: dict[str, BitMap] = field(default_factory=dict)
    held: dict[str, BitMap] = field(default_factory=dict)

    @property
    def cves(self) -> set[str]:
        return self.closes.keys() | self.held.keys()

    @property
    def endpoints(self) -> Members:
        """On which anything would be closed now."""
        return Members(self.roll, BitMap.union(BitMap(), BitMap(), *self.closes.values()))


def gains(index: TenantIndex, book: Book, sources: Iterable[str]) -> dict[str, Gain]:
    """Source -> what its updates close, for these sources."""
    found: dict[str, Gain] = {source: Gain(source, index.roll) for source in sources}
    for name in index.orders:
        gain = found.get(name[1])
        if gain is None or name[2] is not Role.ACTIVE or name[3]:
            continue
        splitting = Splitting(index, name)
        for row, key, held in open_in(index, book, name):
            where = splitting.of(row, held, key)
            _note(gain.closes, row.cve, where.get(FindingState.FIXABLE))
            _note(gain.held, row.cve, where.get(FindingState.BLOCKED))
    return found


def _note(found: dict[str, BitMap], cve: str, mine: BitMap | None) -> None:
    if mine:
        found[cve] = found[cve] | mine if cve in found else mine
