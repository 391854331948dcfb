"""Use cases of people: lists, one endpoint, updates and software across the fleet, tags, "scan now"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Invalid, NotFound
from brakeline.core.limits import CHECK_IN_INTERVAL_S, SILENCE_GRACE_INTERVALS
from brakeline.fleet.enrolment import checked_tags
from brakeline.fleet.model import (
    EndpointDetail,
    EndpointSummary,
    FleetCounts,
    FleetUpdate,
    HeldUpdate,
    Inventoried,
    Presence,
    ReleaseStandings,
    ReleaseTrials,
    SoftwareHit,
)
from brakeline.fleet.parts import FleetParts
from brakeline.fleet.presence import Since
from brakeline.fleet.query import Query, parse
from brakeline.fleet.store import inventories, lists, standing
from brakeline.fleet.store.lists import After
from brakeline.platform.changed import horizon
from brakeline.protocol.messages import Package, PendingUpdate
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

__all__ = ["After", "EndpointPage", "ListUse"]
PAGE_ITEMS_MAX: Final = 500
LIST_ITEMS_MAX: Final = 1000
UPDATES_MAX: Final = 20_000  # distinct (name, version) of a fleet: what is urgent is found among all of them


@dataclass(frozen=True, slots=True)
class EndpointPage:
    """One page of the list. `total` counts all that match; `next` continues after the last line, None at the end."""

    items: tuple[EndpointSummary, ...]
    total: int
    next: After | None


class ListUse(FleetParts):
    """See the module."""

    async def list_endpoints(
        self, principal: Principal, q: str = "", *, sort: str = "host", after: After | None = None, limit: int = 50
    ) -> EndpointPage:
        """A page of endpoints that match `q`, sorted by host, seen, enrolled or missing ("-seen" = newest first)."""
        principal.require("endpoint.read")
        query, key = parse(q), sort.removeprefix("-")
        if key not in lists.SORTS:
            raise Invalid(f"unknown sort {sort!r}; known: {', '.join(lists.SORTS)}, each with - for descending")
        if not 1 <= limit <= PAGE_ITEMS_MAX:
            raise Invalid(f"limit is 1 to {PAGE_ITEMS_MAX}", got=limit)
        now = self.clock.now_ms()
        async with self.db.tenant(principal.tenant_id) as conn:
            items = await lists.endpoints(conn, query, now, key, sort.startswith("-"), after, limit + 1)
            total = await lists.count(conn, query, now)
        more = len(items) > limit
        items = items[:limit]
        return EndpointPage(tuple(items), total, lists.cursor_value(key, items[-1]) if more else None)

    async def count_matching(self, principal: Principal, q: str) -> int:
        """How many endpoints match `q`."""
        principal.require("endpoint.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            return await lists.count(conn, parse(q), self.clock.now_ms())

    async def matching(self, tenant_id: str, query: Query | str, among: list[str] | None = None) -> list[str]:
        """Ids of the endpoints of a tenant that match: for other slices, which have authorised already."""
        query = parse(query) if isinstance(query, str) else query
        async with self.db.tenant(tenant_id) as conn:
            return await lists.matching(conn, query, self.clock.now_ms(), among)

    async def values_of(self, tenant_id: str, key: str) -> dict[str, int]:
        """What a tenant's active endpoints have as `os`, `tag`, `region` or `class`, and how many: for other slices."""
        async with self.db.tenant(tenant_id) as conn:
            return await lists.values(conn, key)

    async def get_endpoint(self, principal: Principal, endpoint_id: str) -> EndpointDetail:
        """One endpoint; `NotFound`."""
        principal.require("endpoint.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            found = await lists.endpoint(conn, endpoint_id)
        if found is None:
            raise NotFound("no such endpoint", id=endpoint_id)
        return found

    async def packages(self, principal: Principal, endpoint_id: str) -> tuple[Package, ...]:
        """Installed packages of one endpoint, by name."""
        principal.require("endpoint.read")
        return await self.packages_of(principal.tenant_id, endpoint_id)

    async def packages_of(self, tenant_id: str, endpoint_id: str) -> tuple[Package, ...]:
        """Installed packages, for other slices."""
        async with self.db.tenant(tenant_id) as conn:
            return tuple((await inventories.packages(conn, endpoint_id)).values())

    async def pending(self, principal: Principal, endpoint_id: str) -> tuple[PendingUpdate, ...]:
        """Pending updates of one endpoint, security first."""
        principal.require("endpoint.read")
        return await self.pending_of(principal.tenant_id, endpoint_id)

    async def pending_of(self, tenant_id: str, endpoint_id: str) -> tuple[PendingUpdate, ...]:
        """Pending updates, for other slices."""
        async with self.db.tenant(tenant_id) as conn:
            return await inventories.pending(conn, endpoint_id)

    async def updates(
        self, principal: Principal, *, security_only: bool = False, name: str = "", limit: int = 200
    ) -> list[FleetUpdate]:
        """Pending updates across the fleet: security first, then by how many endpoints want them."""
        principal.require("endpoint.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            return await lists.updates(conn, security_only, name, min(limit, UPDATES_MAX))

    async def pending_named(self, principal: Principal, name: str, *, limit: int = 200) -> tuple[HeldUpdate, ...]:
        """Where an update of one package is pending, those endpoints that hold it back first."""
        principal.require("endpoint.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            return await lists.pending_named(conn, name, min(limit, LIST_ITEMS_MAX))

    async def software(self, principal: Principal, name: str, *, limit: int = 200) -> list[SoftwareHit]:
        """Installed versions of packages whose name contains `name`."""
        principal.require("endpoint.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            return await lists.software(conn, name, min(limit, LIST_ITEMS_MAX))

    async def counts(self, principal: Principal) -> FleetCounts:
        """Figures of the overview."""
        principal.require("endpoint.read")
        silent_after_s = SILENCE_GRACE_INTERVALS * CHECK_IN_INTERVAL_S
        async with self.db.tenant(principal.tenant_id) as conn:
            return await lists.counts(conn, self.clock.now_ms(), silent_after_s)

    async def release_standings(self, principal: Principal) -> ReleaseStandings:
        """On how many endpoints each release of ours runs, is confirmed, on probation, quarantined."""
        principal.require("endpoint.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            return await standing.standings(conn)

    async def release_trials(self, principal: Principal, release_id: str, *, limit: int = 50) -> ReleaseTrials:
        """Trials of a release that failed, as the launchers tell it."""
        principal.require("endpoint.read")
        async with self.db.tenant(principal.tenant_id) as conn:
            return await standing.trials(conn, release_id, min(max(limit, 1), PAGE_ITEMS_MAX))

    async def presence(self, tenant_id: str, endpoint_ids: list[str] | None = None) -> dict[str, Presence]:
        """Presence by endpoint id, this moment's check-ins included; None = the whole tenant."""
        return await self.presences.read(tenant_id, endpoint_ids)

    async def presence_since(self, tenant_id: str, moment: int, after: str, again: int) -> Since:
        """What is new since `moment`, for whoever looks every second: `PresenceBuffer.read_since`."""
        return await self.presences.read_since(tenant_id, moment, after, again)

    async def inventoried(self, tenant_id: str, since: int = 0) -> tuple[list[Inventoried], int, bool]:
        """Endpoints by their newest inventory, the moment to ask with the next time, and whether these are all of
        them. For other slices."""
        async with self.db.tenant(tenant_id) as conn:
            now = await horizon(conn)
            whole = not 0 < since <= now  # a number of another database is none
            return await lists.inventoried(conn, None if whole else since), now, whole

    async def silent(self, tenant_id: str, before_ms: int) -> list[str]:
        """Endpoints that are not retired and of which nothing was heard since then: for other slices."""
        async with self.db.tenant(tenant_id) as conn:
            return await lists.silent(conn, before_ms)

    async def named(self, tenant_id: str, endpoint_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Host name and region of those of these endpoints that are not retired: for other slices."""
        async with self.db.tenant(tenant_id) as conn:
            return await lists.named(conn, endpoint_ids)

    async def set_tags(self, principal: Principal, endpoint_id: str, tags: tuple[str, ...]) -> tuple[str, ...]:
        """Replace the tags of an endpoint; gives them as stored."""
        principal.require("endpoint.manage")
        wanted = checked_tags(tags)
        async with self.db.tenant(principal.tenant_id) as conn:
            before = await lists.set_tags(conn, endpoint_id, wanted)
            if before is None:
                raise NotFound("no such endpoint", id=endpoint_id)
            await audit.append(
                conn, self.clock, principal, "endpoint.tag", endpoint_id, {"tags": before}, {"tags": wanted}
            )
        self.retag(endpoint_id, wanted)
        await self.announce(principal.tenant_id, endpoint_id)
        return wanted

    async def scan_now(self, principal: Principal, endpoint_id: str) -> int:
        """Ask an endpoint to scan at once; gives the number that its next check-in reply carries."""
        principal.require("endpoint.manage")
        async with self.db.tenant(principal.tenant_id) as conn:
            number = await lists.ask_scan(conn, endpoint_id)
            if number is None:
                raise NotFound("no such endpoint", id=endpoint_id)
            await audit.append(conn, self.clock, principal, "endpoint.scan", endpoint_id, None, {"scan": number})
        if session := self.sessions.known(endpoint_id):
            session.scan = max(session.scan, number)
        await self.announce(principal.tenant_id, endpoint_id)
        return number
