"""The composition root: the only place that knows every part. Builds services and reconcilers, starts and stops them.

`build` needs addresses of a migrated database; `run` decides where they come from. Parts get what they need by
their constructors and find nothing by themselves. Routes find the services on `request.app.state`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from brakeline.core.clock import Clock
from brakeline.fleet.api import router as fleet_router
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.model import EndpointIdentity
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import Bus, PostgresBus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.platform.driver import Reconciler
from brakeline.platform.observe import RequestContext
from brakeline.platform.postgres_roles import Dsns
from brakeline.platform.settings import Settings
from brakeline.platform.tls import TlsFiles
from brakeline.protocol.messages import Settings as AgentSettings
from brakeline.server.agent_plane import AgentPlane
from brakeline.server.app import App, make_api
from brakeline.server.exchange import Exchange, NoOrders
from brakeline.server.install import Installer
from brakeline.server.wakes import listen_for_wakes
from brakeline.tenancy.api import router as tenancy_router
from brakeline.tenancy.service import TenancyService

FLUSH_S = 1.0  # last-seen times may be lost for this long after a crash, nothing else
ROUTERS = (tenancy_router, fleet_router)


@dataclass(slots=True)
class Services:
    """Every part, by name; `app` is the ASGI application over all of them."""

    settings: Settings
    clock: Clock
    db: Database
    bus: Bus
    tenancy: TenancyService
    fleet: FleetService
    exchange: Exchange
    installer: Installer
    app: App
    reconcilers: tuple[Reconciler, ...]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Start what runs in the background."""
        for reconciler in self.reconcilers:
            reconciler.start()
        self.tasks.append(asyncio.create_task(listen_for_wakes(self.bus, self.exchange), name="wakes"))

    def on_stop(self) -> None:
        """A signal came: whatever holds connections open must answer now."""
        self.exchange.end_all()

    async def stop(self) -> None:
        """End the background, write down what was coalesced, close the engines."""
        for reconciler in self.reconcilers:
            await reconciler.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.reconcilers[0].run_once()  # the last flush
        await self.bus.close()
        await self.db.close()


async def build(settings: Settings, port: int, dsns: Dsns, tls: TlsFiles, clock: Clock) -> Services:
    """Every part, put together and not yet started."""
    ids = IdMaker(clock)
    db = await Database.open(dsns.dsn_app, dsns.dsn_feed)
    bus = await PostgresBus.open(dsns.dsn_app)
    tenancy = TenancyService(db, clock, ids)
    cell = CellIdentity.load(settings.data_dir / "cell.key", settings.cell, settings.region)
    fleet = FleetService(db, clock, ids, bus, cell)
    installer = Installer(settings, port, tls)

    async def agent_settings(_: EndpointIdentity) -> AgentSettings:
        return AgentSettings(check_in_interval_s=settings.check_in_interval_s)

    orders = NoOrders()
    exchange = Exchange(clock, agent_settings, orders)
    api = make_api(ROUTERS)
    state: Any = api.state
    state.settings, state.clock, state.ids, state.db, state.bus = settings, clock, ids, db, bus
    state.tenancy, state.fleet, state.one_liner = tenancy, fleet, installer.one_liner
    people = RequestContext(api, lambda: ids.new("rq"), clock)
    plane = AgentPlane(fleet, exchange, orders, clock)
    app = App(plane, people, people, db.ping, installer)
    flush = Reconciler("presence-flush", fleet.flush, FLUSH_S, clock)
    return Services(settings, clock, db, bus, tenancy, fleet, exchange, installer, app, (flush,))
