"""Assesses one endpoint: its inventory judged, its counts and its packed row committed, the index put in step.

Invariants: an inventory's effect on the counts is committed before the event `finding:<tenant>` is published; counts
and packed row are of one transaction; every step may run twice, and an older inventory never replaces a newer one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from brakeline.advisories.by_feed import FeedRows
from brakeline.advisories.ecosystems import SYSTEMS
from brakeline.advisories.service import AdvisoriesService, Knowledge, scored_of
from brakeline.core.clock import Clock
from brakeline.exposure import rules, store, store_index, telling, timing
from brakeline.exposure.books import Sheaf, Weighed, book_of, revised, sheaf_of
from brakeline.exposure.index import Counts, EndpointView, Exposed, TenantIndex, counts_of, view_of
from brakeline.exposure.marks import Mark
from brakeline.exposure.match import Book
from brakeline.exposure.memo import Memo
from brakeline.exposure.model import Installed, NotAssessed
from brakeline.exposure.opening import Kept, opened
from brakeline.exposure.ranks import Rank
from brakeline.exposure.snapshot_files import SnapshotFiles
from brakeline.exposure.sums import Sums
from brakeline.exposure.times import Key, Spread
from brakeline.exposure.windows import system_item
from brakeline.fleet.model import EndpointDetail
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import Bus
from brakeline.platform.database import Connection, Database
from brakeline.protocol.messages import Package
from brakeline.tenancy.model import system_principal

PAGE_MAX: Final = 500
Ranked = tuple[tuple[object, ...], dict[str, Rank], tuple[object, ...], Mapping[str, int], dict[str, Exposed]]
MarksKept = tuple[dict[str, Rank], tuple[object, ...], Mapping[str, Mark]]


class Assessing:
    """Base of `upkeep.Upkeep`."""

    def __init__(
        self, db: Database, clock: Clock, bus: Bus, fleet: FleetService, advisories: AdvisoriesService | None = None,
        snapshots: SnapshotFiles | None = None,
    ) -> None:  # fmt: skip
        self._db, self._clock, self._bus, self._fleet = db, clock, bus, fleet
        self._advisories = advisories or AdvisoriesService(db, clock)
        self._snapshots = snapshots
        self._known: Knowledge | None = None
        self._book = Book(())
        self._sheaves: dict[str, Sheaf] = {}  # what each feed says in it
        self._weighed: Weighed | None = None  # what was weighed last, to be used where it is live
        self.unproven = False  # whether the book was revised since it was last compared with a whole one
        self._before: tuple[str, Book] | None = None  # the advisories before these, and their name
        self._code = rules.code()
        self._kept: dict[str, Kept] = {}
        self._gone: set[str] = set()  # organisations that the last reconcile did not find
        self._opening, self._reading = asyncio.Lock(), asyncio.Lock()
        self._ranks: dict[str, Ranked] = {}  # see `ranking`
        self.ring_of: timing.RingOf = timing.nobody_s_ring  # the part above puts itself here
        self._marks: dict[str, MarksKept] = {}  # see `marking`
        self._sums: dict[str, Sums] = {}  # the same
        self._oldest: dict[str, tuple[int, dict[str, int]]] = {}  # when somebody looked; source -> open since
        self._silent: dict[str, tuple[int, frozenset[str]]] = {}  # when somebody looked, and who was silent
        self._exposed: dict[str, tuple[TenantIndex, int, str, Memo, dict[str, Exposed]]] = {}

    async def knowledge(self) -> Knowledge:
        """The advisories in use; read again when a feed has brought others."""
        feeds = await self._advisories.feeds()
        if self._known is None or scored_of(feeds) != self._known.scored:
            async with self._reading:  # of two that look at once, the second must not take new rows for those before
                known = self._known
                read = await (self._advisories.newer(known) if known else self._advisories.knowledge())
                return self._known_anew(read)
        if feeds != self._known.feeds:  # the same rows, and something else to say of them: held, broken, tried again
            self._known = replace(self._known, feeds=feeds)
        return self._known

    def _known_anew(self, known: Knowledge) -> Knowledge:
        before, self._known = self._known, known
        if before is None or before.fingerprint != known.fingerprint:
            self._before = (before.fingerprint, self._book) if before is not None else None
        elif before.by_feed == known.by_feed:
            return known  # only scores are new: no finding moved
        self._book, self._sheaves = self._book_of(before, known)
        return known

    def _book_of(self, before: Knowledge | None, known: Knowledge) -> tuple[Book, dict[str, Sheaf]]:
        """The book of what is known: the one that was weighed, else the last one revised, else made whole."""
        kev, weighed, self._weighed = frozenset(known.exploited), self._weighed, None
        if weighed is not None and weighed.base is self._book and weighed.of(known.by_feed, kev):
            self.unproven = True
            return weighed.book, weighed.sheaves
        had = {f for f, rows in known.by_feed.items() if before is not None and before.by_feed.get(f) is rows}
        sheaves = {f: self._sheaves[f] if f in had else sheaf_of(rows) for f, rows in known.by_feed.items()}
        self.unproven = bool(had)
        if had:
            return revised(self._book, self._sheaves, sheaves, kev), sheaves
        book = book_of(sheaves, kev)
        book.keep(self._book)
        return book, sheaves

    async def books(self, rows: FeedRows | None, kev: frozenset[str] | None) -> tuple[Book, Book]:
        """The advisories in use, and what they would be with these rows of a feed, or this catalogue."""
        known = await self.knowledge()
        base, old, by_feed = self._book, self._sheaves, dict(known.by_feed)
        sheaves = dict(old)
        if rows is not None:
            sheaves[rows.feed], by_feed[rows.feed] = await asyncio.to_thread(sheaf_of, rows), rows
        marked = frozenset(known.exploited) if kev is None else kev
        book = await asyncio.to_thread(revised, base, old, sheaves, marked)
        self._weighed = Weighed(base, by_feed, marked, book, sheaves)
        return base, book

    async def book(self) -> Book:
        """The advisories in use, as a book."""
        await self.knowledge()
        return self._book

    def _rules(self) -> str:
        """By which an inventory is judged now."""
        return rules.text_of(self._code, self._book.ecosystems)

    def _index(self, tenant_id: str) -> TenantIndex:
        """The index of a tenant, once it was opened."""
        return self._kept[tenant_id].index

    async def _keep(self, tenant_id: str) -> Kept:
        """What is kept of a tenant; opened when it is first asked for."""
        kept = self._kept.get(tenant_id)
        if kept is None:
            async with self._opening:
                kept = self._kept.get(tenant_id)
                if kept is None:
                    told = self._known.scored if self._known is not None else ""
                    said = self._book  # nobody is told what came while nothing was open here
                    kept = await opened(self._db, tenant_id, self._rules(), self._snapshots)
                    kept.told, kept.said = told, said
                    self._kept[tenant_id] = kept
        return kept

    async def on_inventory(self, tenant_id: str, endpoint_id: str) -> None:
        """Assess one endpoint anew; called after its inventory was committed. May run twice."""
        known = await self.knowledge()
        kept = await self._keep(tenant_id)
        view = await self._view(tenant_id, endpoint_id)
        async with self._db.tenant(tenant_id) as conn:
            rows, fresh = await kept.codes.pack(conn, tenant_id, [view], self._rules())
            await store_index.save_rows(conn, tenant_id, rows)
            changed = await self._save(conn, tenant_id, [view], known)
        kept.codes.learn(fresh)
        if (kept.index.inventory_ms(endpoint_id) or 0) <= view.inventory_ms:
            kept.index.put(view)
            kept.roster.add(endpoint_id)  # so that nobody counts it as assessed and not as there
        if changed:
            await self._bus.publish(f"finding:{tenant_id}", endpoint_id)

    async def _save(
        self, conn: Connection, tenant_id: str, views: Sequence[EndpointView], known: Knowledge
    ) -> list[str]:
        """Figures and times of these endpoints, and what other programs are told; gives those whose figures moved.

        What everybody adds to comes last, so that who holds it waits for nobody.
        """
        now_ms, book, moved = self._clock.now_ms(), self._book, []
        done: list[tuple[EndpointView, int, Counts, Mapping[Key, Spread]]] = []
        for view in views:
            one, counts = view.endpoint_id, counts_of(view, book)
            kev_before = await telling.exploited_before(conn, one)
            gone = await timing.note(conn, view, book, known, self.ring_of, now_ms)
            if await store.save(conn, tenant_id, one, counts, known.fingerprint, now_ms, view.inventory_ms):
                moved.append(one)
            done.append((view, kev_before, counts, gone))
            if looked := self._oldest.get(tenant_id):
                looked[1].update((source, now_ms) for source in counts.sources.keys() - looked[1].keys())
        await timing.write(conn, tenant_id, [(view, gone) for view, _, _, gone in done], book, now_ms)
        for view, kev_before, counts, gone in done:
            await telling.tell(conn, tenant_id, view.endpoint_id, kev_before, counts, gone, now_ms)
        return moved

    async def _view(self, tenant_id: str, endpoint_id: str) -> EndpointView:
        detail = await self._fleet.get_endpoint(system_principal(tenant_id, "exposure"), endpoint_id)
        pending = await self._fleet.pending_of(tenant_id, endpoint_id)
        return view_of(
            endpoint_id, await self._installed(tenant_id, endpoint_id), pending, self._book,
            ecosystem=release_of(detail), kernel=detail.facts.kernel, lists_known=lists_known(detail, bool(pending)),
            inventory_ms=detail.summary.inventory_ms,
        )  # fmt: skip

    async def _installed(self, tenant_id: str, endpoint_id: str) -> list[Installed]:
        """What is judged: files that a system package owns are that package, which is in the list itself.

        A Windows is judged itself, too, by its build: before what lies on it.
        """
        found = [as_installed(p) for p in await self._fleet.packages_of(tenant_id, endpoint_id) if not p.owner]
        if not any(item.ecosystem in OF_A_SYSTEM for item in found):
            detail = await self._fleet.get_endpoint(system_principal(tenant_id, "exposure"), endpoint_id)
            found = [*_system(detail), *found]
        return found


def release_of(detail: EndpointDetail) -> str:
    """ecosystem:release of an endpoint: "debian:12"."""
    return f"{detail.facts.os_id}:{detail.facts.os_version}"


def lists_known(detail: EndpointDetail, pending: bool) -> bool:
    return pending or detail.health.lists_refreshed_ms > 0


OF_A_SYSTEM: Final = SYSTEMS | {""}  # ecosystems of what a Linux is made of
UNMATCHED: Final = (
    "no advisory is matched with a Windows whose build or product is not known for certain; what is installed and what "
    "waits is known"
)


def _system(detail: EndpointDetail) -> tuple[Installed, ...]:
    f = detail.facts
    item = system_item(f.os_name, f.kernel, f.architecture) if f.os_id == "windows" else None
    return (item,) if item else ()


def unprovided(detail: EndpointDetail) -> tuple[NotAssessed, ...]:
    """The gap that must be said when nothing on an endpoint can look at it: it is no endpoint without packages."""
    f = detail.facts
    if detail.summary.inventory_ms and f.os_id == "windows" and not _system(detail):
        return (NotAssessed(f.os_name, f.os_version, "no_advisories", UNMATCHED),)
    if detail.summary.inventory_ms or f.package_manager != "none":
        return ()
    return (NotAssessed(f.os_name or f.os_id, f.os_version, "no_provider", "there is no provider for this system yet"),)


def release_ended(detail: EndpointDetail, why: str) -> tuple[NotAssessed, ...]:
    """The gap that must be said where its vendor assesses the whole system no longer; `why` "" = it does."""
    f = detail.facts
    return (NotAssessed(f.os_name or f.os_id, f.os_version, "release_ended", why),) if why else ()


def as_installed(package: Package) -> Installed:
    return Installed(
        package.name, package.source or package.name, package.source_version or package.version, package.version,
        package.architecture, package.state, package.origin, package.ecosystem, package.module, package.owner,
    )  # fmt: skip
