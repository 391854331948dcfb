"""Who has what, per tenant, in memory: unit -> endpoints. Rebuilt from inventories; holds no truth of its own. Pure.

Invariants: an endpoint's entry is replaced whole; a unit that nobody has is forgotten; the answers of `Book` are per
unit, so a fleet of thousands asks it a few thousand times. Findings are never stored per (endpoint, CVE).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from brakeline.advisories.model import Advisory
from brakeline.exposure.match import Book, judge
from brakeline.exposure.model import FindingState, Installed, NotAssessed, Role, Unit
from brakeline.exposure.offers import Offers, offers, state_of
from brakeline.protocol.messages import PendingUpdate

Key = tuple[Unit, Role]


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One endpoint as the index keeps it: distinct units, what is on offer, what was not judged."""

    endpoint_id: str
    keys: frozenset[Key]
    offered: Offers
    packages: int
    not_assessed: tuple[NotAssessed, ...]
    lists_known: bool
    inventory_ms: int


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
    judged, missing = judge(items, book, ecosystem, kernel)
    return EndpointView(
        endpoint_id, frozenset((unit, role) for _, unit, role in judged), offers(judged, pending),
        len(judged) + len(missing), missing, lists_known, inventory_ms,
    )  # fmt: skip


def counts_of(view: EndpointView, book: Book) -> Counts:
    """The figures of one endpoint."""
    active: set[str] = set()
    carried: set[str] = set()
    fixable: set[str] = set()
    sources: dict[str, tuple[str, int]] = {}
    for unit, role in view.keys:
        rows = book.open_rows(unit)
        if not rows:
            continue
        cves = {row.cve for row in rows}
        if role is Role.CARRIER:
            carried |= cves
            continue
        active |= cves
        sources[unit.source] = (unit.version, max(len(cves), sources.get(unit.source, ("", 0))[1]))
        offered = view.offered.get((unit.ecosystem, unit.source, role))
        fixable |= {row.cve for row in rows if state_of(row, offered, view.lists_known) is FindingState.FIXABLE}
    return Counts(
        packages=view.packages,
        not_assessed=len(view.not_assessed),
        cves=len(active),
        carrier_cves=len(carried - active),
        kev=len(active & book.kev),
        fixable=len(fixable),
        sources=sources,
    )


@dataclass(slots=True)
class Exposed:
    """One CVE across a fleet. Endpoints by the state in which it stands there; an endpoint is in one of them."""

    cve: str
    kev: bool
    sources: set[str] = field(default_factory=set)
    fixed: dict[str, str] = field(default_factory=dict)  # source -> version with the fix
    dated: dict[str, str] = field(default_factory=dict)  # source -> day of the fix: it was not open before
    endpoints: dict[str, FindingState] = field(default_factory=dict)  # active ones only
    carriers: set[str] = field(default_factory=set)
    ecosystems: set[str] = field(default_factory=set)

    def add(self, view: EndpointView, row: Advisory, role: Role) -> None:
        """Note that `row` stands open on an endpoint."""
        self.sources.add(row.source)
        self.ecosystems.add(row.ecosystem)
        self.fixed[row.source] = row.fixed
        self.dated[row.source] = row.date
        if role is Role.CARRIER:
            self.carriers.add(view.endpoint_id)
            return
        state = state_of(row, view.offered.get((row.ecosystem, row.source, role)), view.lists_known)
        before = self.endpoints.get(view.endpoint_id)
        if before is None or _SEVERITY[state] > _SEVERITY[before]:
            self.endpoints[view.endpoint_id] = state  # where it stands worst: fixing one of two packages is not enough

    def worst(self) -> FindingState:
        """Where it stands worst; only for one that some endpoint can run."""
        return max(self.endpoints.values(), key=lambda state: _SEVERITY[state])


_SEVERITY = {state: rank for rank, state in enumerate((
    FindingState.FIXABLE, FindingState.REBOOT, FindingState.BLOCKED, FindingState.NOT_OFFERED, FindingState.UNKNOWN,
    FindingState.DEFERRED, FindingState.NO_FIX,
))}  # fmt: skip


class TenantIndex:
    """All endpoints of one tenant."""

    def __init__(self) -> None:
        self.views: dict[str, EndpointView] = {}
        self._holders: dict[Key, set[str]] = {}
        self.version = 0  # rises with every change, so that readers know whether what they remember still holds

    @property
    def holders(self) -> Mapping[Key, set[str]]:
        """Endpoints by what they have."""
        return self._holders

    def put(self, view: EndpointView) -> None:
        """Replace what is known of one endpoint."""
        self.drop(view.endpoint_id)
        self.views[view.endpoint_id] = view
        for key in view.keys:
            self._holders.setdefault(key, set()).add(view.endpoint_id)
        self.version += 1

    def drop(self, endpoint_id: str) -> None:
        """Forget one endpoint."""
        view = self.views.pop(endpoint_id, None)
        for key in view.keys if view else ():
            holders = self._holders[key]
            holders.discard(endpoint_id)
            if not holders:
                del self._holders[key]
        self.version += 1

    def exposed(self, book: Book, sources: frozenset[str] | None = None) -> dict[str, Exposed]:
        """Every CVE that stands open anywhere, by id; with `sources`, only through these source packages."""
        found: dict[str, Exposed] = {}
        for (unit, role), holders in self._open(book, sources):
            views = [self.views[endpoint_id] for endpoint_id in holders]
            for row in book.open_rows(unit):
                entry = found.get(row.cve)
                if entry is None:
                    entry = found[row.cve] = Exposed(row.cve, row.cve in book.kev)
                for view in views:
                    entry.add(view, row, role)
        return found

    def _open(self, book: Book, sources: frozenset[str] | None) -> Iterator[tuple[Key, set[str]]]:
        for key, holders in self._holders.items():
            unit = key[0]
            if (sources is None or unit.source in sources) and book.open_rows(unit):
                yield key, holders
