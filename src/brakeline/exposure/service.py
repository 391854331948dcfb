"""Use cases of exposure: keep the index in step with inventories, and answer what stands open where.

Invariants: an inventory's effect on the counts is committed before the event `finding:<tenant>` is published; what is
stored is counts and times, findings are computed when somebody looks; no inventory, an unknown release or a silent
endpoint is said as such and never counted as clean. Start with `match` for the decision itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from brakeline.advisories.service import AdvisoriesService, Knowledge
from brakeline.core.clock import Clock
from brakeline.core.errors import NotFound
from brakeline.core.limits import CHECK_IN_INTERVAL_S, SILENCE_GRACE_INTERVALS
from brakeline.exposure import store
from brakeline.exposure.answers import (
    Affected,
    Closing,
    EndpointFindings,
    FleetExposure,
    OpenFinding,
    Vulnerability,
    VulnerabilityDetail,
    VulnerabilityPage,
)
from brakeline.exposure.closing import closing
from brakeline.exposure.index import EndpointView, Exposed, TenantIndex, counts_of, view_of
from brakeline.exposure.listing import parse, selected
from brakeline.exposure.match import Book, assess, judge
from brakeline.exposure.model import FindingState, Installed, Role
from brakeline.exposure.offers import offers, state_of
from brakeline.exposure.store import EndpointExposure
from brakeline.fleet.model import EndpointDetail, EndpointState, EndpointSummary
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import Bus
from brakeline.platform.database import Database
from brakeline.protocol.messages import Package
from brakeline.tenancy.model import Principal, system_principal

SILENT_AFTER_MS: Final = SILENCE_GRACE_INTERVALS * CHECK_IN_INTERVAL_S * 1000
PAGE_MAX: Final = 500


class ExposureService:
    """What stands open where."""

    def __init__(
        self, db: Database, clock: Clock, bus: Bus, fleet: FleetService, advisories: AdvisoriesService | None = None
    ) -> None:
        self._db, self._clock, self._bus, self._fleet = db, clock, bus, fleet
        self._advisories = advisories or AdvisoriesService(db, clock)
        self._known: Knowledge | None = None
        self._book = Book(())
        self._indexes: dict[str, TenantIndex] = {}
        self._exposed: dict[str, tuple[int, str, dict[str, Exposed]]] = {}

    # --- keeping in step ---------------------------------------------------------------------------------------------

    async def knowledge(self) -> Knowledge:
        """The advisories in use; read again when a feed has brought others."""
        if self._known is None or await self._advisories.fingerprint() != self._known.fingerprint:
            self._known = await self._advisories.knowledge()
            self._book = Book(self._known.rows, frozenset(self._known.exploited))
        return self._known

    async def on_inventory(self, tenant_id: str, endpoint_id: str) -> None:
        """Assess one endpoint anew; called after its inventory was committed. May run twice."""
        known = await self.knowledge()
        view = await self._view(tenant_id, endpoint_id)
        self._indexes.setdefault(tenant_id, TenantIndex()).put(view)
        counts = counts_of(view, self._book)
        async with self._db.tenant(tenant_id) as conn:
            changed = await store.save(
                conn, tenant_id, endpoint_id, counts, known.fingerprint, self._clock.now_ms(), view.inventory_ms
            )
        if changed:
            await self._bus.publish(f"finding:{tenant_id}", endpoint_id)

    async def reconcile(self, tenants: Sequence[str]) -> str:
        """Assess every endpoint whose inventory or whose advisories are newer than its figures. Idempotent."""
        done = 0
        for tenant_id in tenants:
            done += await self._ensure(tenant_id)
        return f"{done} endpoints assessed"

    async def _ensure(self, tenant_id: str) -> int:
        """Bring the index and the counts of a tenant up to date; gives how many endpoints were assessed."""
        known, index = await self.knowledge(), self._indexes.setdefault(tenant_id, TenantIndex())
        endpoints = {e.id: e for e in await self._endpoints(tenant_id) if e.inventory_ms}
        async with self._db.tenant(tenant_id) as conn:
            stored = await store.exposures(conn)
        for endpoint_id in index.views.keys() - endpoints.keys():
            index.drop(endpoint_id)
        done = 0
        for endpoint_id, endpoint in endpoints.items():
            row, view = stored.get(endpoint_id), index.views.get(endpoint_id)
            if row and row.advisories == known.fingerprint and row.inventory_ms >= endpoint.inventory_ms:
                if view is None:
                    index.put(await self._view(tenant_id, endpoint_id))
                continue
            await self.on_inventory(tenant_id, endpoint_id)
            done += 1
        return done

    async def _endpoints(self, tenant_id: str) -> list[EndpointSummary]:
        me, after = system_principal(tenant_id, "exposure"), None
        found: list[EndpointSummary] = []
        while True:
            page = await self._fleet.list_endpoints(me, after=after, limit=PAGE_MAX)
            found += page.items
            after = page.next
            if after is None:
                return [e for e in found if e.state is not EndpointState.RETIRED]

    async def _view(self, tenant_id: str, endpoint_id: str) -> EndpointView:
        detail = await self._fleet.get_endpoint(system_principal(tenant_id, "exposure"), endpoint_id)
        pending = await self._fleet.pending_of(tenant_id, endpoint_id)
        return view_of(
            endpoint_id, await self._installed(tenant_id, endpoint_id), pending, self._book,
            ecosystem=release_of(detail), kernel=detail.facts.kernel, lists_known=_lists_known(detail, bool(pending)),
            inventory_ms=detail.summary.inventory_ms,
        )  # fmt: skip

    async def _installed(self, tenant_id: str, endpoint_id: str) -> list[Installed]:
        return list(map(_as_installed, await self._fleet.packages_of(tenant_id, endpoint_id)))

    # --- answers -----------------------------------------------------------------------------------------------------

    async def counts(
        self, principal: Principal, endpoint_ids: Sequence[str] | None = None
    ) -> dict[str, EndpointExposure]:
        """Counts by endpoint id, for lists; an endpoint that is missing here was not assessed yet."""
        principal.require("exposure.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.exposures(conn, endpoint_ids)

    async def findings(self, principal: Principal, endpoint_id: str) -> EndpointFindings:
        """Every finding of one endpoint, worst first: known exploited, then what can run, then by package and CVE."""
        principal.require("exposure.read")
        tenant_id, known = principal.tenant_id, await self.knowledge()
        detail = await self._fleet.get_endpoint(principal, endpoint_id)
        items = await self._installed(tenant_id, endpoint_id)
        pending = await self._fleet.pending_of(tenant_id, endpoint_id)
        release, kernel = release_of(detail), detail.facts.kernel
        answer = assess(items, self._book, release, kernel)
        offered = offers(judge(items, self._book, release, kernel)[0], pending)
        async with self._db.tenant(tenant_id) as conn:
            times = await store.source_times(conn, endpoint_id)
        lists_known = _lists_known(detail, bool(pending))
        rows = {(row.source, row.cve): row for row in known.rows if row.source in {f.source for f in answer.findings}}
        found = []
        for finding in answer.findings:
            offer = offered.get((finding.source, Role(finding.role)))
            state = state_of(rows[finding.source, finding.cve], offer, lists_known)
            since = times.get(finding.source)
            note = offer.note if offer and state is offer.state else ""
            since_ms = since.first_seen_ms if since and since.resolved_ms is None else None
            found.append(OpenFinding(finding, state, note, since_ms))
        found.sort(key=lambda f: (not f.finding.kev, f.finding.role, f.finding.package, f.finding.cve))
        return EndpointFindings(
            endpoint_id, tuple(found), answer.not_assessed, answer.packages, detail.summary.inventory_ms,
            self._unknown_since(detail.summary), known.limits,
        )  # fmt: skip

    async def summary(self, principal: Principal) -> FleetExposure:
        """The fleet in figures, with what is not known beside what is."""
        principal.require("exposure.read")
        known, entries = await self._all(principal.tenant_id)
        endpoints = await self._endpoints(principal.tenant_id)
        views = self._indexes[principal.tenant_id].views
        assessed = [e for e in endpoints if e.id in views and views[e.id].packages > len(views[e.id].not_assessed)]
        active = [entry for entry in entries.values() if entry.endpoints]
        states: dict[str, int] = {}
        for entry in active:
            worst = entry.worst().value
            states[worst] = states.get(worst, 0) + 1
        return FleetExposure(
            endpoints=len(endpoints),
            assessed=len(assessed),
            no_data=len(endpoints) - len(assessed),
            silent=sum(self._unknown_since(e) is not None for e in assessed),
            vulnerable=len({endpoint_id for entry in active for endpoint_id in entry.endpoints}),
            cves=len(active),
            kev=sum(entry.kev for entry in active),
            carrier_cves=len(entries) - len(active),
            states=states,
            packages_not_assessed=sum(len(view.not_assessed) for view in views.values()),
            feeds=known.feeds,
            limits=known.limits,
        )

    async def vulnerabilities(
        self, principal: Principal, query: str = "", *, after: str | None = None, limit: int = 50
    ) -> VulnerabilityPage:
        """CVEs across the fleet, worst first. `query`: `kev:yes state:fixable_now source:curl CVE-2025`."""
        principal.require("exposure.read")
        wanted = parse(query)
        known, entries = await self._all(principal.tenant_id)
        chosen = selected(entries, wanted)
        start = next((i + 1 for i, entry in enumerate(chosen) if entry.cve == after), 0) if after else 0
        page = chosen[start : start + min(max(limit, 1), PAGE_MAX)]
        more = start + len(page) < len(chosen)
        items = tuple(_vulnerability(entry, known) for entry in page)
        return VulnerabilityPage(items, len(chosen), page[-1].cve if more else None, known.feeds, known.limits)

    async def vulnerability(self, principal: Principal, cve: str) -> VulnerabilityDetail:
        """One CVE: what is said about it, and every endpoint that has it. `NotFound` if no advisory names it."""
        principal.require("exposure.read")
        cve = cve.strip().upper()
        rows = await self._advisories.advisories_of(cve)
        if not rows:
            raise NotFound("no advisory that is loaded names it", cve=cve[:40])
        known, entries = await self._all(principal.tenant_id)
        entry = entries.get(cve) or Exposed(cve, cve in known.exploited)
        return VulnerabilityDetail(
            _vulnerability(entry, known), tuple(rows), tuple(await self._affected(principal.tenant_id, entry)),
            known.limits,
        )  # fmt: skip

    async def closing(self, tenant_id: str, pins: Mapping[str, Mapping[str, str]]) -> Closing:
        """What updates would close: `pins` = endpoint id -> {package: version}. For other slices."""
        await self.knowledge()
        inventories = {}
        for endpoint_id in pins:
            detail = await self._fleet.get_endpoint(system_principal(tenant_id, "exposure"), endpoint_id)
            items = await self._installed(tenant_id, endpoint_id)
            inventories[endpoint_id] = (items, release_of(detail), detail.facts.kernel)
        return closing(inventories, pins, self._book)

    async def _affected(self, tenant_id: str, entry: Exposed) -> list[Affected]:
        endpoints = {e.id: e for e in await self._endpoints(tenant_id)}
        views = self._indexes[tenant_id].views
        found = []
        for endpoint_id in sorted(entry.endpoints.keys() | entry.carriers):
            endpoint = endpoints.get(endpoint_id)
            if endpoint is None:
                continue
            state = entry.endpoints.get(endpoint_id)
            for unit, role in sorted(views[endpoint_id].keys):
                if unit.source in entry.sources and (role is Role.ACTIVE or state is None):
                    found.append(
                        Affected(
                            endpoint_id, endpoint.hostname, endpoint.region, state.value if state else "carrier",
                            unit.source, unit.version, entry.fixed[unit.source],
                        )
                    )  # fmt: skip
        return found

    async def _all(self, tenant_id: str) -> tuple[Knowledge, dict[str, Exposed]]:
        """Every open CVE of a tenant, remembered until inventory or advisories change."""
        await self._ensure(tenant_id)
        known, index = await self.knowledge(), self._indexes[tenant_id]
        remembered = self._exposed.get(tenant_id)
        if remembered is None or remembered[:2] != (index.version, known.fingerprint):
            remembered = self._exposed[tenant_id] = (index.version, known.fingerprint, index.exposed(self._book))
        return known, remembered[2]

    def _unknown_since(self, endpoint: EndpointSummary) -> int | None:
        """Since when nothing was heard, if that is long enough for the figures to be old. Sleeping is not silence,
        but what sleeps is not known either."""
        if self._clock.now_ms() - endpoint.last_seen_ms <= SILENT_AFTER_MS:
            return None
        return endpoint.last_seen_ms or endpoint.enrolled_ms


def release_of(detail: EndpointDetail) -> str:
    """ecosystem:release of an endpoint: "debian:12"."""
    return f"{detail.facts.os_id}:{detail.facts.os_version}"


def _lists_known(detail: EndpointDetail, pending: bool) -> bool:
    return pending or detail.health.lists_refreshed_ms > 0


def _as_installed(package: Package) -> Installed:
    return Installed(
        package.name, package.source or package.name, package.source_version or package.version, package.version,
        package.architecture, package.state, package.origin,
    )  # fmt: skip


def _vulnerability(entry: Exposed, known: Knowledge) -> Vulnerability:
    states: dict[str, int] = {}
    for state in entry.endpoints.values():
        states[state.value] = states.get(state.value, 0) + 1
    exploited = known.exploited.get(entry.cve)
    return Vulnerability(
        entry.cve, entry.kev, exploited.due if exploited else "", tuple(sorted(entry.sources)), dict(entry.fixed),
        len(entry.endpoints), len(entry.carriers - entry.endpoints.keys()), states,
    )  # fmt: skip


__all__ = ["EndpointExposure", "ExposureService", "FindingState", "release_of"]
