"""Keeps exposure in step with inventories and advisories: the index in memory, counts and times in the database.

Invariants: an inventory's effect on the counts is committed before the event `finding:<tenant>` is published; every
step may run twice; the index holds no truth of its own and is rebuilt from inventories after a start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pyroaring import BitMap

from brakeline.advisories.service import AdvisoriesService, Knowledge, scored_of
from brakeline.core.clock import Clock
from brakeline.exposure import store
from brakeline.exposure.across import exposed
from brakeline.exposure.index import EndpointView, Exposed, Key, TenantIndex, counts_of, view_of
from brakeline.exposure.match import Book
from brakeline.exposure.model import Installed, NotAssessed
from brakeline.exposure.priority import INTERNET_TAG
from brakeline.exposure.ranks import Rank
from brakeline.fleet.model import EndpointDetail, EndpointState, EndpointSummary
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import Bus
from brakeline.platform.database import Database
from brakeline.protocol.messages import Package
from brakeline.tenancy.model import system_principal

PAGE_MAX: Final = 500


class Upkeep:
    """Base of `service.ExposureService`."""

    def __init__(
        self, db: Database, clock: Clock, bus: Bus, fleet: FleetService, advisories: AdvisoriesService | None = None
    ) -> None:
        self._db, self._clock, self._bus, self._fleet = db, clock, bus, fleet
        self._advisories = advisories or AdvisoriesService(db, clock)
        self._known: Knowledge | None = None
        self._book = Book(())
        self._indexes: dict[str, TenantIndex] = {}
        self._internet: dict[str, frozenset[str]] = {}  # tenant -> endpoints that are tagged so
        self._ranks: dict[str, tuple[tuple[object, ...], dict[str, Rank]]] = {}  # see `ranking`
        self._exposed: dict[str, tuple[int, str, dict[str, Exposed]]] = {}

    async def knowledge(self) -> Knowledge:
        """The advisories in use; read again when a feed has brought others."""
        feeds = await self._advisories.feeds()
        if self._known is None or scored_of(feeds) != self._known.scored:
            before, self._known = self._known, await self._advisories.knowledge()
            if before is not None and before.fingerprint == self._known.fingerprint:
                return self._known  # only scores are new: no finding moved
            self._book = Book(self._known.rows, frozenset(self._known.exploited))
        elif feeds != self._known.feeds:  # the same rows, and something else to say of them: held, broken, tried again
            self._known = replace(self._known, feeds=feeds)
        return self._known

    async def book(self) -> Book:
        """The advisories in use, as a book."""
        await self.knowledge()
        return self._book

    async def holders(self, tenant_id: str) -> Mapping[Key, BitMap]:
        """Who has what in a tenant's fleet, up to date."""
        await self._ensure(tenant_id)
        return self._indexes[tenant_id].holders

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
        self._internet[tenant_id] = frozenset(e.id for e in endpoints.values() if INTERNET_TAG in e.tags)
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
            ecosystem=release_of(detail), kernel=detail.facts.kernel, lists_known=lists_known(detail, bool(pending)),
            inventory_ms=detail.summary.inventory_ms,
        )  # fmt: skip

    async def _installed(self, tenant_id: str, endpoint_id: str) -> list[Installed]:
        return list(map(as_installed, await self._fleet.packages_of(tenant_id, endpoint_id)))

    async def _all(self, tenant_id: str) -> tuple[Knowledge, dict[str, Exposed]]:
        """Every open CVE of a tenant, remembered until inventory or advisories change."""
        await self._ensure(tenant_id)
        known, index = await self.knowledge(), self._indexes[tenant_id]
        remembered = self._exposed.get(tenant_id)
        if remembered is None or remembered[:2] != (index.version, known.fingerprint):
            remembered = self._exposed[tenant_id] = (index.version, known.fingerprint, exposed(index, self._book))
        return known, remembered[2]


def release_of(detail: EndpointDetail) -> str:
    """ecosystem:release of an endpoint: "debian:12"."""
    return f"{detail.facts.os_id}:{detail.facts.os_version}"


def lists_known(detail: EndpointDetail, pending: bool) -> bool:
    return pending or detail.health.lists_refreshed_ms > 0


def unprovided(detail: EndpointDetail) -> tuple[NotAssessed, ...]:
    """The gap that must be said when nothing on an endpoint can look at it: it is no endpoint without packages."""
    f = detail.facts
    if detail.summary.inventory_ms or f.package_manager != "none":
        return ()
    return (NotAssessed(f.os_name or f.os_id, f.os_version, "no_provider", "there is no provider for this system yet"),)


def as_installed(package: Package) -> Installed:
    return Installed(
        package.name, package.source or package.name, package.source_version or package.version, package.version,
        package.architecture, package.state, package.origin, package.ecosystem,
    )  # fmt: skip
