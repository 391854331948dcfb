"""An agent plane over real TLS and a real PostgreSQL, in the test's own event loop.

Clients run in threads (`asyncio.to_thread`). `orders` and `settings` can be changed while it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support_agent import AgentTwin

from brakeline.core.clock import Clock
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.model import EndpointIdentity
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import Bus, PostgresBus
from brakeline.platform.clock import IdMaker, SystemClock
from brakeline.platform.database import Database
from brakeline.platform.tls import TlsFiles, ensure_tls
from brakeline.protocol.messages import (
    Candidate,
    CheckIn,
    ResultsAck,
    RunAck,
    RunPart,
    Settings,
    SignedOrder,
    TransactionResult,
)
from brakeline.server.agent_plane import AgentPlane, Limits
from brakeline.server.exchange import Exchange
from brakeline.server.followers import listen_for_wakes
from brakeline.server.serve import listen, make_server, started
from brakeline.tenancy.model import PERMISSIONS, Principal

OWNER = Principal("te_1", "pe_1", "person", "Olga", PERMISSIONS)


@dataclass
class ScriptedOrders:
    """A source of orders that says what the test tells it, and notes what it was told."""

    candidates: tuple[Candidate, ...] = ()
    offers: tuple[SignedOrder, ...] = ()
    halted: tuple[str, ...] = ()
    check_ins: list[CheckIn] = field(default_factory=list)
    results: list[TransactionResult] = field(default_factory=list)
    parts: list[RunPart] = field(default_factory=list)
    hold: asyncio.Event | None = None  # run logs wait for it

    async def candidates_for(
        self, identity: EndpointIdentity, *, launched: bool, settled: bool, bounded: bool, drills: bool
    ) -> tuple[Candidate, ...]:
        return self.candidates

    async def on_check_in(
        self, identity: EndpointIdentity, check_in: CheckIn, boot_id: str = ""
    ) -> tuple[tuple[SignedOrder, ...], tuple[str, ...]]:
        self.check_ins.append(check_in)
        return self.offers, self.halted

    async def record_results(self, identity: EndpointIdentity, results: tuple[TransactionResult, ...]) -> ResultsAck:
        self.results += results
        return ResultsAck(tuple(r.transaction_id for r in results))

    async def take(self, identity: EndpointIdentity, part: RunPart) -> RunAck:
        self.parts.append(part)
        if self.hold is not None:
            await self.hold.wait()
        return RunAck(len(part.entries) + 1)


@dataclass
class Plane:
    """A running agent plane."""

    db: Database
    bus: Bus
    fleet: FleetService
    orders: ScriptedOrders
    exchange: Exchange
    port: int
    tls: TlsFiles
    settings: Settings = field(default_factory=Settings)

    def agent(self, **how: object) -> AgentTwin:
        return AgentTwin(self.port, str(self.tls.ca_file), **how)  # type: ignore[arg-type]

    async def token(self, **how: object) -> str:
        return (await self.fleet.create_token(OWNER, **how)).token  # type: ignore[arg-type]

    async def enrolled(self, **how: object) -> AgentTwin:
        """An endpoint that is enrolled already."""
        twin = self.agent(**how)
        await asyncio.to_thread(twin.enrol, await self.token())
        return twin


@asynccontextmanager
async def running_plane(
    db: Database, directory: Path, clock: Clock | None = None, limits: Limits | None = None
) -> AsyncIterator[Plane]:
    """Serve until the block ends."""
    clock = clock or SystemClock()
    bus = await PostgresBus.open(db.dsn_app)
    fleet = FleetService(db, clock, IdMaker(clock), bus, CellIdentity.load(directory / "cell.key"))
    orders = ScriptedOrders()
    tls = ensure_tls(directory, (), SystemClock())
    plane: Plane

    async def settings(_: EndpointIdentity, __: str) -> Settings:
        return plane.settings

    exchange = Exchange(clock, settings, orders)
    sock = listen("127.0.0.1", 0)
    plane = Plane(db, bus, fleet, orders, exchange, sock.getsockname()[1], tls)
    app = AgentPlane(fleet, exchange, orders, clock, limits, runs=orders)
    server = make_server(app, tls.certificate_file, tls.key_file, exchange.end_all)
    serving = asyncio.create_task(server.serve([sock]))
    waking = asyncio.create_task(listen_for_wakes(bus, exchange))
    await started(server, serving)
    try:
        yield plane
    finally:
        server.stop()
        await serving
        waking.cancel()
        await asyncio.gather(waking, return_exceptions=True)
        await bus.close()
