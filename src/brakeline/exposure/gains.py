"""What the updates of one source close across a fleet: exact, from the index; by endpoint and by CVE. Pure.

An advisory speaks of a source, an update of one of its packages: what is closed is closed by the update of the source's
packages together. Only what can run is counted; what is on offer and held back is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from brakeline.exposure.index import TenantIndex
from brakeline.exposure.match import Book
from brakeline.exposure.model import FindingState, Role
from brakeline.exposure.offers import state_of


@dataclass(slots=True)
class Gain:
    """Of one source: CVE -> endpoints on which its update would close it, and on which it is held back."""

    source: str
    closes: dict[str, set[str]] = field(default_factory=dict)
    held: dict[str, set[str]] = field(default_factory=dict)

    @property
    def cves(self) -> set[str]:
        return self.closes.keys() | self.held.keys()

    @property
    def endpoints(self) -> set[str]:
        """On which anything would be closed now."""
        return set().union(*self.closes.values()) if self.closes else set()


def gains(index: TenantIndex, book: Book, sources: Iterable[str]) -> dict[str, Gain]:
    """Source -> what its updates close, for these sources."""
    wanted = frozenset(sources)
    found: dict[str, Gain] = {source: Gain(source) for source in wanted}
    for (unit, role), holders in index.holders.items():
        if role is not Role.ACTIVE or unit.source not in wanted:
            continue
        rows = book.open_rows(unit)
        for endpoint_id in holders if rows else ():
            view = index.views[endpoint_id]
            offered = view.offered.get((unit.ecosystem, unit.source, role))
            for row in rows if offered is not None else ():
                state = state_of(row, offered, view.lists_known)
                gain = found[unit.source]
                if state is FindingState.FIXABLE:
                    gain.closes.setdefault(row.cve, set()).add(endpoint_id)
                elif state is FindingState.BLOCKED:
                    gain.held.setdefault(row.cve, set()).add(endpoint_id)
    return found
