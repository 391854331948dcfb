"""The composition root: the only place that knows every part. Builds services and reconcilers, starts and stops them.

`build` needs addresses of a migrated database; `run` decides where they come from. Parts get what they need by
their constructors and find nothing by themselves. Routes find the services on `request.app.state`.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from brakeline.advisories.api import router as feeds_router
from brakeline.advisories.importing import Importing
from brakeline.advisories.osv.api import router as osv_router
from brakeline.advisories.osv.carry_api import router as carry_router
from brakeline.advisories.osv.carrying import Carrying
from brakeline.advisories.osv.rates import Rates
from brakeline.advisories.osv.service import Asking
from brakeline.advisories.service import AdvisoriesService
from brakeline.advisories.vendors.api import router as vendors_router
from brakeline.advisories.vendors.checking import Checking
from brakeline.catalog.api import router as catalog_router
from brakeline.catalog.curated.model import CATALOGUE
from brakeline.catalog.curated_api import router as curated_router
from brakeline.catalog.curation import CurationService
from brakeline.catalog.service import CatalogService
from brakeline.catalog.shipped import Editions
from brakeline.cells.acts import CellActs
from brakeline.cells.service import CellsService
from brakeline.console.hearing import hear
from brakeline.console.routes import Console, build_console
from brakeline.core.clock import Clock
from brakeline.core.errors import NotFound
from brakeline.drills.api import router as drills_router
from brakeline.drills.own_replays import OwnReplays
from brakeline.drills.pages import DrillPages
from brakeline.drills.real_api import router as real_drills_router
from brakeline.drills.replay_api import router as replay_router
from brakeline.drills.replaying import Replays
from brakeline.drills.run import Parts as DrillParts
from brakeline.drills.service import DrillService
from brakeline.events.api import router as events_router
from brakeline.events.decide import networks_of
from brakeline.events.delivering import Delivering
from brakeline.events.service import Events
from brakeline.exposure.accepting import Accepting
from brakeline.exposure.api import router as exposure_router
from brakeline.exposure.content_api import router as content_router
from brakeline.exposure.findings_api import router as findings_router
from brakeline.exposure.holding import Holding
from brakeline.exposure.service import ExposureService
from brakeline.exposure.snapshot_files import SnapshotFiles
from brakeline.exposure.trend import Trend
from brakeline.exposure.trend_api import router as trend_router
from brakeline.exposure.updates import Updates
from brakeline.fleet.api import router as fleet_router
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.service import FleetService
from brakeline.fleet.shaping import LOOK_S, HourCount
from brakeline.platform.bus import Bus, PostgresBus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.platform.driver import Reconciler
from brakeline.platform.observe import RequestContext, logger
from brakeline.platform.postgres_roles import Dsns
from brakeline.platform.settings import Settings
from brakeline.platform.tls import TlsFiles
from brakeline.releases.api import router as releases_router
from brakeline.releases.contents import default_source
from brakeline.releases.service import ReleasesService
from brakeline.releases.shipping import Shipping
from brakeline.remediation.api import router as remediation_router
from brakeline.remediation.service import RemediationService
from brakeline.remediation.settings_api import router as settings_router
from brakeline.rollout.acts import Acts
from brakeline.rollout.api import router as rollout_router
from brakeline.rollout.calling import Calling
from brakeline.rollout.conducting import Conducting
from brakeline.rollout.executor import RECONCILE_S
from brakeline.rollout.freeze_api import router as freeze_router
from brakeline.rollout.freezing import Freezing
from brakeline.rollout.lead_api import router as lead_router
from brakeline.rollout.limits_api import router as limits_router
from brakeline.rollout.linked import EXCHANGE_S, Linked
from brakeline.rollout.pool_api import router as pool_router
from brakeline.rollout.pools import Pools
from brakeline.rollout.release_api import router as promotion_router
from brakeline.rollout.releasing import Releasing
from brakeline.rollout.restart_api import router as restart_router
from brakeline.rollout.restarting import Restarting
from brakeline.rollout.service import RolloutService
from brakeline.rollout.single import Single
from brakeline.rollout.single_api import router as single_router
from brakeline.rollout.undo_api import router as rollback_router
from brakeline.runlog.api import router as runlog_router
from brakeline.runlog.service import Kept, RunLog, forgetting
from brakeline.sbom.api import router as sbom_router
from brakeline.sbom.service import SbomService
from brakeline.server.agent_plane import AgentPlane
from brakeline.server.app import App, make_api
from brakeline.server.cell_plane import CellPlane
from brakeline.server.exchange import Exchange
from brakeline.server.followers import CONTENT, InventoryFollower, kept, listen_for_content, listen_for_wakes
from brakeline.server.following import FollowOrders
from brakeline.server.install import Installer
from brakeline.server.trust_plane import TrustPlane
from brakeline.tenancy.api import router as tenancy_router
from brakeline.tenancy.approval_api import router as approval_router
from brakeline.tenancy.break_glass import BreakGlass
from brakeline.tenancy.model import Principal, system_principal
from brakeline.tenancy.service import TenancyService

FLUSH_S: Final = 1.0  # last-seen times may be lost for this long after a crash, nothing else
STOP_S: Final = 1.5  # of the 5 s in which the server must end; see `run` for the others
EVENTS_S: Final = 2.0  # how late an event may be at a receiver
COMPARE_S: Final = 60.0  # a sample of the index of exposure with the database
ASSESSING: Final = "exposure"
EXPOSURE_S: Final = 60.0  # behind the follower of inventories, which is much sooner
ADVISORIES_S: Final = 3600.0
RELEASES_S: Final = 60.0  # documents are signed anew hours before they expire
RUN_LOGS_S: Final = 3600.0  # what is too old or too much is forgotten
SHIPPING_S: Final = 3600.0  # what came with this server is published once
SHIPPING_AFTER_S: Final = 10.0  # of the start, which should be quick; whoever enrols a machine sooner does it then
ROUTERS: Final = (
    feeds_router, osv_router, carry_router, vendors_router,
    tenancy_router, approval_router, fleet_router, exposure_router, releases_router, promotion_router, rollout_router,
    rollback_router, restart_router, freeze_router, limits_router, lead_router, remediation_router, settings_router,
    content_router, drills_router, real_drills_router, replay_router, pool_router, sbom_router, catalog_router,
    curated_router,
    findings_router, trend_router, events_router, runlog_router, single_router,
)  # fmt: skip


@dataclass(slots=True)
class Services:
    """Every part, by name; `app` is the ASGI application over all of them."""

    settings: Settings
    clock: Clock
    db: Database
    bus: Bus
    tenancy: TenancyService
    fleet: FleetService
    advisories: AdvisoriesService
    exposure: ExposureService
    releases: ReleasesService
    rollout: RolloutService
    remediation: RemediationService
    drills: DrillService
    replays: Replays
    exchange: Exchange
    follower: InventoryFollower
    console: Console
    calling: Calling
    conducting: Conducting
    events: Events
    delivering: Delivering
    app: App
    flush: Reconciler
    reconcilers: tuple[Reconciler, ...]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Read what must be known before the first offer, then start what runs in the background."""
        await self.releases.open()
        await self.rollout.open()
        await self.drills.open()
        for reconciler in (self.flush, *self.reconcilers):
            reconciler.start()
        for name, follow in self._followers().items():
            self.tasks.append(asyncio.create_task(kept(name, follow), name=name))

    def _followers(self) -> dict[str, Callable[[], Awaitable[None]]]:
        assessing = next(one for one in self.reconcilers if one.name == ASSESSING)
        return {
            "wakes": lambda: listen_for_wakes(self.bus, self.exchange, self.rollout.refresh),
            "inventories": self.follower.run,
            "links": self.calling.run,
            "content": lambda: listen_for_content(self.bus, self.tenancy.tenants, self.exposure.hear, assessing.kick),
            "pages": lambda: hear(self.bus, self.console.feed),
        }

    def on_stop(self) -> None:
        """The server stops: whatever holds connections open must answer now."""
        self.exchange.end_all()
        self.conducting.waiting.end_all()
        self.console.feed.stop()
        self.events.stop()

    async def stop(self) -> None:
        """End the background, write down what was coalesced, close the engines; within `STOP_S`.

        What does not end by then hangs at the database, which is stopped next and ends it.
        """
        try:
            async with asyncio.timeout(STOP_S):
                await self._stop()
        except TimeoutError:
            logger.warning("services-cut-off", seconds=STOP_S)

    async def _stop(self) -> None:
        await asyncio.gather(self.drills.close(), self.replays.close())
        for task in self.tasks:
            task.cancel()
        ending = (reconciler.stop() for reconciler in (self.flush, *self.reconcilers))
        await asyncio.gather(*ending, *self.tasks, return_exceptions=True)
        await self.delivering.close()
        await self.flush.run_once()
        await self.fleet.close()
        await self.bus.close()
        await self.db.close()


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every part stands on."""

    settings: Settings
    port: int
    tls: TlsFiles
    clock: Clock
    ids: IdMaker
    db: Database
    bus: Bus
    cell: CellIdentity
    events_key: bytes


@dataclass(frozen=True, slots=True)
class _Slices:
    """The slices' main services. What only routes, pages or reconcilers use is made where that is."""

    tenancy: TenancyService
    fleet: FleetService
    advisories: AdvisoriesService
    exposure: ExposureService
    releases: ReleasesService
    rollout: RolloutService
    remediation: RemediationService
    releasing: Releasing
    catalog: CatalogService


@dataclass(frozen=True, slots=True)
class _Led:
    """Rollouts over several cells: this cell as the conductor, and as one that is led."""

    cells: CellsService
    conducting: Conducting
    linked: Linked
    leading: Reconciler


@dataclass(frozen=True, slots=True)
class _Endpoints:
    """What endpoints speak with."""

    exchange: Exchange
    plane: AgentPlane
    shipping: Shipping
    installer: Installer
    runlog: RunLog


@dataclass(frozen=True, slots=True)
class _Watching:
    """What runs beside all requests, and is asked by some."""

    trend: Trend
    delivering: Delivering
    events: Events


async def build(settings: Settings, port: int, dsns: Dsns, tls: TlsFiles, clock: Clock) -> Services:
    """Every part, put together and not yet started."""
    ground = await _ground(settings, port, dsns, tls, clock)
    slices = _slices(ground)
    ends = _endpoints(ground, slices)
    led = _led(ground, slices)
    watching = _watching(ground, slices)
    slices.rollout.on_stop = _stopping(ends.exchange, led.leading)
    slices.tenancy.approvals.on_change = _approvals_told(ground.bus)
    follower = InventoryFollower(slices.exposure.on_inventory)
    slices.fleet.on_inventory = follower.put
    drilled = DrillParts(ends.plane, slices.fleet, slices.rollout, clock)
    drills = DrillService(ground.db, ground.ids, slices.tenancy, drilled, ends.exchange.forget)
    replays = Replays()
    api = make_api(ROUTERS)
    for name, part in _for_routes(ground, slices, ends, led, watching, drills, replays).items():
        setattr(api.state, name, part)
    own = api.state.own_replays
    console = build_console(api.state, lambda kit: DrillPages(kit, drills, replays, clock, own).routes())
    return Services(
        settings, clock, ground.db, ground.bus, slices.tenancy, slices.fleet, slices.advisories, slices.exposure,
        slices.releases, slices.rollout, slices.remediation, drills, replays, ends.exchange, follower, console,
        Calling(led.linked, ground.bus), led.conducting, watching.events, watching.delivering,
        _app(ground, slices, ends, led, api, console), Reconciler("presence-flush", slices.fleet.flush, FLUSH_S, clock),
        _reconcilers(ground, slices, ends, led, watching),
    )  # fmt: skip


async def _ground(settings: Settings, port: int, dsns: Dsns, tls: TlsFiles, clock: Clock) -> _Ground:
    db = await Database.open(dsns.dsn_app, dsns.dsn_feed)
    bus = await PostgresBus.open(dsns.dsn_app)
    cell = CellIdentity.load(settings.data_dir / "cell.key", settings.cell, settings.region)
    events_key = hashlib.sha256(b"brakeline events" + (settings.data_dir / "cell.key").read_bytes()).digest()
    return _Ground(settings, port, tls, clock, IdMaker(clock), db, bus, cell, events_key)


def _slices(ground: _Ground) -> _Slices:
    settings, clock, ids, db, bus, cell = (
        ground.settings, ground.clock, ground.ids, ground.db, ground.bus, ground.cell,
    )  # fmt: skip
    tenancy = TenancyService(db, clock, ids)
    fleet = FleetService(db, clock, ids, bus, cell)
    advisories = AdvisoriesService(db, clock)
    advisories.on_live = _content_told(bus)
    exposure = ExposureService(db, clock, bus, fleet, advisories, SnapshotFiles(settings.data_dir / "index"))
    releases = ReleasesService(db, clock, tenancy.approvals, settings.data_dir / "trust", settings.cell)
    rollout = RolloutService(db, clock, ids, bus, fleet, cell, settings.data_dir / "brake.journal")
    remediation = RemediationService(db, clock, ids, bus, fleet, settings.check_in_interval_s).use(exposure, rollout)
    remediation.catalog = catalog = CatalogService(db, clock)
    exposure.ring_of = rollout.ring_of
    Acts(rollout, tenancy.approvals)
    releasing = Releasing(rollout, releases)
    releasing.early.followers = remediation.followers_of_early
    return _Slices(tenancy, fleet, advisories, exposure, releases, rollout, remediation, releasing, catalog)


def _endpoints(ground: _Ground, slices: _Slices) -> _Endpoints:
    rollout, releases, remediation = slices.rollout, slices.releases, slices.remediation
    follow = FollowOrders(remediation, releases)
    exchange = Exchange(ground.clock, remediation.effective_settings, rollout, releases, follow, Restarting(rollout),
                        remediation.granted)  # fmt: skip
    kept = Kept(ground.settings.run_log_days, ground.settings.run_log_mib, ground.settings.history_days)
    runlog = RunLog(ground.db, ground.clock, slices.fleet, rollout, kept)
    shipping = Shipping(releases, _publisher(slices.tenancy), slices.releasing.completed)
    installer = Installer(ground.settings, ground.port, ground.tls, shipping.kit)
    plane = AgentPlane(slices.fleet, exchange, rollout, ground.clock, runs=runlog)
    return _Endpoints(exchange, plane, shipping, installer, runlog)


def _led(ground: _Ground, slices: _Slices) -> _Led:
    clock, ids, db, approvals = ground.clock, ground.ids, ground.db, slices.tenancy.approvals
    cells = CellsService(db, clock, ids, ground.cell, ground.settings.data_dir, ground.tls.ca_pem())
    CellActs(cells, approvals, slices.fleet)
    conducting = Conducting(db, clock, ids, ground.bus, cells, approvals, slices.rollout.journal.frozen)
    linked = Linked(slices.rollout, cells, slices.releasing)
    linked.settings, slices.remediation.conducting = slices.remediation, conducting
    return _Led(cells, conducting, linked, Reconciler("conducting", conducting.reconcile, EXCHANGE_S, clock))


def _watching(ground: _Ground, slices: _Slices) -> _Watching:
    clock, db, key, settings = ground.clock, ground.db, ground.events_key, ground.settings
    networks = networks_of(settings.event_networks)
    delivering = Delivering(db, clock, slices.tenancy.tenants, key, settings.cell, networks)
    return _Watching(Trend(db, clock, slices.exposure), delivering, Events(db, clock, ground.ids, delivering, key))


def _for_routes(
    ground: _Ground, slices: _Slices, ends: _Endpoints, led: _Led, watching: _Watching,
    drills: DrillService, replays: Replays,
) -> dict[str, Any]:  # fmt: skip
    """What routes and pages find on `request.app.state`, by name."""
    settings, clock, ids, db = ground.settings, ground.clock, ground.ids, ground.db
    tenancy, fleet, advisories, exposure = slices.tenancy, slices.fleet, slices.advisories, slices.exposure
    rollout, approvals = slices.rollout, slices.tenancy.approvals
    return {
        "importing": Importing(db, clock, advisories, _first(tenancy), settings.feed_addresses()),
        "asking": Asking(db, advisories), "osv_rates": Rates(clock), "carrying": Carrying(db, advisories),
        "checking": Checking(db),
        "settings": settings, "clock": clock, "ids": ids, "db": db, "bus": ground.bus,
        "tenancy": tenancy, "fleet": fleet, "advisories": advisories, "exposure": exposure,
        "releases": slices.releases, "rollout": rollout, "remediation": slices.remediation,
        "releasing": slices.releasing, "freezing": Freezing(rollout, approvals), "pools": Pools(rollout, approvals),
        "break_glass": BreakGlass(settings.data_dir / "break-glass.json", db, clock, ids),
        "drills": drills, "own_replays": OwnReplays(fleet, replays),
        "cells": led.cells, "conducting": led.conducting,
        "holding": Holding(db, clock, exposure, advisories, approvals, tenancy.tenants),
        "accepting": Accepting(db, clock, ids, fleet, exposure, approvals),
        "trend": watching.trend, "updates": Updates(fleet, exposure), "events": watching.events,
        "one_liner": ends.installer.one_liner, "runlog": ends.runlog, "single": Single(rollout),
        "sbom": SbomService(db, clock, ids, fleet, exposure), "catalog": slices.catalog,
        "curation": CurationService(db, clock, Editions(default_source() / CATALOGUE, slices.releases.catalogue)),
    }  # fmt: skip


def _app(ground: _Ground, slices: _Slices, ends: _Endpoints, led: _Led, api: Any, console: Console) -> App:
    def measured(inner: Any) -> RequestContext:
        return RequestContext(inner, lambda: ground.ids.new("rq"), ground.clock)

    cell_plane = CellPlane(led.cells.on_join, led.conducting.on_exchange)
    return App(ends.plane, TrustPlane(slices.releases), cell_plane, measured(api), measured(console), ground.db.ping,
               ends.installer, networks_of(ground.settings.metrics_networks, "metrics_networks"))  # fmt: skip


def _hours_counted(hours: HourCount, tenancy: TenancyService) -> Callable[[], Awaitable[str]]:
    """A line an hour and class, for every organisation."""

    async def count() -> str:
        return await hours.count(list(await tenancy.tenants()))

    return count


def _stopping(exchange: Exchange, leading: Reconciler) -> Callable[[str], None]:
    """A stop is told to endpoints at once, and to the cells that wait for what this one leads."""

    def stopped(tenant_id: str) -> None:
        exchange.stop_tenant(tenant_id)
        leading.kick()

    return stopped


def _approvals_told(bus: Bus) -> Callable[[str], Awaitable[None]]:
    """A request for a second person is news for everybody who looks at this organisation's pages."""

    async def told(tenant_id: str) -> None:
        await bus.publish(f"approval:{tenant_id}")

    return told


def _content_told(bus: Bus) -> Callable[[str], Awaitable[None]]:
    """New content of a feed is news for every process: each keeps an index, and consoles that are open."""

    async def told(feed: str) -> None:
        await bus.publish(CONTENT, feed)

    return told


def _first(tenancy: TenancyService) -> Callable[[], Awaitable[str]]:
    """Which organisation runs this installation."""

    async def first() -> str:
        return (await tenancy.first_tenant()).tenant_id

    return first


def _publisher(tenancy: TenancyService) -> Callable[[], Awaitable[Principal | None]]:
    """In whose name this server publishes what came with it: the first organisation's, once there is one."""

    async def publisher() -> Principal | None:
        try:
            tenant = await tenancy.first_tenant()
        except NotFound:
            return None
        return system_principal(tenant.tenant_id, "this server")

    return publisher


def _reconcilers(
    ground: _Ground, slices: _Slices, ends: _Endpoints, led: _Led, watching: _Watching
) -> tuple[Reconciler, ...]:
    clock, tenancy = ground.clock, slices.tenancy
    rolling = Reconciler("rollouts", slices.rollout.reconcile, RECONCILE_S, clock)
    slices.rollout.on_harm = rolling.kick

    async def ship() -> str:
        await asyncio.sleep(SHIPPING_AFTER_S)
        return await ends.shipping.reconcile()

    return (
        Reconciler("shipping", ship, SHIPPING_S, clock),
        rolling,
        Reconciler("releases", slices.releases.reconcile, RELEASES_S, clock),
        *_assessing(slices, watching.trend, clock),
        led.leading,
        Reconciler("events", watching.delivering.reconcile, EVENTS_S, clock),
        Reconciler("run-logs", forgetting(ends.runlog, tenancy.tenants), RUN_LOGS_S, clock),
        Reconciler("fleet-hours", _hours_counted(HourCount(ground.db, clock), tenancy), LOOK_S, clock),
    )


def _assessing(slices: _Slices, trend: Trend, clock: Clock) -> tuple[Reconciler, ...]:
    """New advisories, what they mean for the inventories, and whether the index says the same as the database."""
    tenancy, advisories, exposure = slices.tenancy, slices.advisories, slices.exposure

    async def assess() -> str:
        tenants = await tenancy.tenants()
        report = await exposure.reconcile(tenants)
        await trend.look(tenants)
        return report

    assessing = Reconciler(ASSESSING, assess, EXPOSURE_S, clock)
    draw = random.Random(clock.now_ms())  # noqa: S311 - which endpoints are compared is no secret

    async def compare() -> str:
        return "; ".join([await exposure.check(tenant_id, draw) for tenant_id in await tenancy.tenants()])

    async def load_advisories() -> str:
        feeds = await advisories.reload()
        assessing.kick()
        await advisories.ask()
        assessing.kick()
        return f"{len(feeds)} feeds"

    return (
        Reconciler("advisories", load_advisories, ADVISORIES_S, clock),
        assessing,
        Reconciler("exposure-index", compare, COMPARE_S, clock),
    )
