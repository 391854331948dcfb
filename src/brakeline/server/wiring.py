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
from brakeline.cells.acts import CellActs
from brakeline.cells.service import CellsService
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
from brakeline.server.followers import InventoryFollower, listen_for_wakes
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
    content_router, drills_router, real_drills_router, replay_router, pool_router, sbom_router,
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
        waking = listen_for_wakes(self.bus, self.exchange, self.rollout.refresh)
        self.tasks.append(asyncio.create_task(waking, name="wakes"))
        self.tasks.append(asyncio.create_task(self.follower.run(), name="inventories"))
        self.tasks.append(asyncio.create_task(self.calling.run(), name="links"))

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
        await self.flush.run_once()
        await self.bus.close()
        await self.db.close()


async def build(settings: Settings, port: int, dsns: Dsns, tls: TlsFiles, clock: Clock) -> Services:
    """Every part, put together and not yet started."""
    ids = IdMaker(clock)
    db = await Database.open(dsns.dsn_app, dsns.dsn_feed)
    bus = await PostgresBus.open(dsns.dsn_app)
    cell = CellIdentity.load(settings.data_dir / "cell.key", settings.cell, settings.region)
    tenancy = TenancyService(db, clock, ids)
    fleet = FleetService(db, clock, ids, bus, cell)
    advisories = AdvisoriesService(db, clock)
    exposure = ExposureService(db, clock, bus, fleet, advisories, SnapshotFiles(settings.data_dir / "index"))
    releases = ReleasesService(db, clock, tenancy.approvals, settings.data_dir / "trust", settings.cell)
    rollout = RolloutService(db, clock, ids, bus, fleet, cell, settings.data_dir / "brake.journal")
    remediation = RemediationService(db, clock, ids, bus, fleet, settings.check_in_interval_s).use(exposure, rollout)
    follower = InventoryFollower(exposure.on_inventory)
    fleet.on_inventory = follower.put
    glass = BreakGlass(settings.data_dir / "break-glass.json", db, clock, ids)
    releasing = Releasing(rollout, releases)
    follow = FollowOrders(remediation, releases)
    exchange = Exchange(clock, remediation.effective_settings, rollout, releases, follow, Restarting(rollout),
                        remediation.granted)  # fmt: skip
    tenancy.approvals.on_change = _approvals_told(bus)
    freezing = Freezing(rollout, tenancy.approvals)
    Acts(rollout, tenancy.approvals)
    pools = Pools(rollout, tenancy.approvals)
    cells = CellsService(db, clock, ids, cell, settings.data_dir, tls.ca_pem())
    CellActs(cells, tenancy.approvals, fleet)
    conducting, linked = (
        Conducting(db, clock, ids, bus, cells, tenancy.approvals, rollout.journal.frozen),
        Linked(rollout, cells, releasing),
    )
    leading = Reconciler("conducting", conducting.reconcile, EXCHANGE_S, clock)
    rollout.on_stop = _stopping(exchange, leading)
    holding = Holding(db, clock, exposure, advisories, tenancy.approvals, tenancy.tenants)
    exposure.ring_of = rollout.ring_of
    trend, updates = Trend(db, clock, exposure), Updates(fleet, exposure)
    server_key = hashlib.sha256(b"brakeline events" + (settings.data_dir / "cell.key").read_bytes()).digest()
    delivering = Delivering(
        db, clock, tenancy.tenants, server_key, settings.cell, networks_of(settings.event_networks)
    )  # fmt: skip
    events = Events(db, clock, ids, delivering, server_key)
    accepting = Accepting(db, clock, ids, fleet, exposure, tenancy.approvals)
    shipping = Shipping(releases, _publisher(tenancy), releasing.completed)
    installer = Installer(settings, port, tls, shipping.kit)
    api = make_api(ROUTERS)
    runlog = RunLog(db, clock, fleet, rollout, Kept(
        settings.run_log_days, settings.run_log_mib, settings.history_days
    ))  # fmt: skip
    agent_plane = AgentPlane(fleet, exchange, rollout, clock, runs=runlog)
    drills = DrillService(db, ids, tenancy, DrillParts(agent_plane, fleet, rollout, clock), exchange.forget)
    found: dict[str, Any] = {
        "importing": Importing(db, clock, advisories, _first(tenancy), settings.feed_addresses()),
        "asking": Asking(db, advisories), "osv_rates": Rates(clock), "carrying": Carrying(db, advisories),
        "checking": Checking(db),
        "settings": settings, "clock": clock, "ids": ids, "db": db, "bus": bus, "tenancy": tenancy, "fleet": fleet,
        "advisories": advisories, "exposure": exposure, "releases": releases, "rollout": rollout,
        "releasing": releasing, "freezing": freezing, "remediation": remediation, "break_glass": glass,
        "drills": drills, "cells": cells, "conducting": conducting, "holding": holding, "pools": pools,
        "accepting": accepting, "trend": trend, "updates": updates, "events": events,
        "one_liner": installer.one_liner, "runlog": runlog, "single": Single(rollout),
        "sbom": SbomService(db, clock, ids, fleet, exposure),
    }  # fmt: skip
    for name, part in found.items():
        setattr(api.state, name, part)
    replays = Replays()
    api.state.own_replays = own = OwnReplays(fleet, replays)
    console = build_console(api.state, lambda kit: DrillPages(kit, drills, replays, clock, own).routes())

    def measured(inner: Any) -> RequestContext:
        return RequestContext(inner, lambda: ids.new("rq"), clock)

    cell_plane = CellPlane(cells.on_join, conducting.on_exchange)
    app = App(agent_plane, TrustPlane(releases), cell_plane, measured(api), measured(console), db.ping, installer)
    flush = Reconciler("presence-flush", fleet.flush, FLUSH_S, clock)
    return Services(
        settings, clock, db, bus, tenancy, fleet, advisories, exposure, releases, rollout, remediation, drills,
        replays, exchange, follower, console, Calling(linked, bus), conducting, events, app, flush, (
            *_reconcilers(tenancy, advisories, exposure, trend, releases, rollout, shipping, clock),
            leading,
            Reconciler("events", delivering.reconcile, EVENTS_S, clock),
            Reconciler("run-logs", forgetting(runlog, tenancy.tenants), RUN_LOGS_S, clock),
            Reconciler("fleet-hours", _hours_counted(HourCount(db, clock), tenancy), LOOK_S, clock),
        ),
    )  # fmt: skip


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
    tenancy: TenancyService, advisories: AdvisoriesService, exposure: ExposureService, trend: Trend,
    releases: ReleasesService, rollout: RolloutService, shipping: Shipping, clock: Clock,
) -> tuple[Reconciler, ...]:  # fmt: skip
    async def assess() -> str:
        tenants = await tenancy.tenants()
        report = await exposure.reconcile(tenants)
        await trend.look(tenants)
        return report

    assessing = Reconciler("exposure", assess, EXPOSURE_S, clock)
    draw = random.Random(clock.now_ms())  # noqa: S311 - which endpoints are compared is no secret

    async def compare() -> str:
        return "; ".join([await exposure.check(tenant_id, draw) for tenant_id in await tenancy.tenants()])

    async def load_advisories() -> str:
        feeds = await advisories.reload()
        assessing.kick()
        await advisories.ask()
        assessing.kick()
        return f"{len(feeds)} feeds"

    async def ship() -> str:
        await asyncio.sleep(SHIPPING_AFTER_S)
        return await shipping.reconcile()

    rolling = Reconciler("rollouts", rollout.reconcile, RECONCILE_S, clock)
    rollout.on_harm = rolling.kick
    return (
        Reconciler("shipping", ship, SHIPPING_S, clock),
        rolling,
        Reconciler("releases", releases.reconcile, RELEASES_S, clock),
        Reconciler("advisories", load_advisories, ADVISORIES_S, clock),
        assessing,
        Reconciler("exposure-index", compare, COMPARE_S, clock),
    )
