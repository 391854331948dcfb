"""Several whole cells in one process, each on a database of its own, that talk as they do over TLS: signed bytes.

What passes between them is kept in `Wire.passed`, and the wire can be cut, bent and replayed. Everything else is the
product: rollout service, executor, cells' service, conducting, link.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support_rollout import OWNER, SmallFleet

from brakeline.cells.acts import CellActs
from brakeline.cells.service import EXCHANGE_ROUTE, CellsService
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Fault, Unavailable
from brakeline.fleet.cell import CellIdentity
from brakeline.platform.bus import MemoryBus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.platform.web import problem
from brakeline.protocol.codec import encode
from brakeline.releases.service import ReleasesService
from brakeline.rollout.conducting import Conducting
from brakeline.rollout.linked import Linked
from brakeline.rollout.releasing import Releasing


@dataclass
class Wire:
    """Between the cells. `bend` may change what a cell sends; `cut` are names that are not reached and reach nobody."""

    cells: dict[str, Cell] = field(default_factory=dict)
    passed: list[tuple[str, bytes]] = field(default_factory=list)  # (from whom, what), both ways
    cut: set[str] = field(default_factory=set)
    slow_s: float = 0  # what an answer takes on its way
    bend: Callable[[str, bytes], bytes] = lambda _, body: body

    def post_of(self, caller: str) -> Callable[..., object]:
        async def post(url: str, path: str, ca_pem: str, body: bytes, within_s: float = 5) -> tuple[int, bytes]:
            callee = url.removeprefix("https://")
            if {caller, callee} & self.cut:
                raise Unavailable(f"{callee} does not answer: cut off")
            body = self.bend(caller, body)
            self.passed.append((caller, body))
            status, answer = await self.cells[callee].take(path, body)
            await asyncio.sleep(self.slow_s)
            self.passed.append((callee, answer))
            return status, answer

        return post


class Cell(SmallFleet):
    """One control plane; every one could conduct."""

    def __init__(self, name: str, region: str, db: Database, clock: ManualClock, directory: Path, wire: Wire) -> None:
        directory.mkdir()
        super().__init__(db, clock, directory)
        self.cell = CellIdentity.load(directory / "cell.key", name, region)
        self.name, self.region, self.wire = name, region, wire
        self.releases: ReleasesService | None = None
        wire.cells[name] = self
        self.open()

    def open(self) -> None:
        """As after a start: nothing in memory survives."""
        service = self.new_service()
        ids = IdMaker(self.clock)
        self.cells = CellsService(self.db, self.clock, ids, self.cell, self.directory, "", self.wire.post_of(self.name))
        CellActs(self.cells, self.tenancy.approvals, self.fleet)
        self.conducting = Conducting(self.db, self.clock, ids, MemoryBus(), self.cells, self.tenancy.approvals,
                                     service.journal.frozen)  # fmt: skip
        self.releasing = Releasing(service, self.releases) if self.releases is not None else None
        self.linked = Linked(service, self.cells, self.releasing)

    async def with_releases(self) -> ReleasesService:
        """With a repository of releases under its own name."""
        approvals, trust = self.tenancy.approvals, self.directory / "trust"
        self.releases = ReleasesService(self.db, self.clock, approvals, trust, self.name)
        await self.releases.open()
        self.open()
        return self.releases

    async def take(self, path: str, body: bytes) -> tuple[int, bytes]:
        """As the server's cell plane does."""
        try:
            found = await (self.conducting.on_exchange if path == EXCHANGE_ROUTE else self.cells.on_join)(body)
            if callable(found):
                found = await found()
        except Fault as e:
            return e.status, json.dumps(problem(e, "")).encode()
        return 200, encode(found)

    async def enlist(self, conductor: Cell) -> None:
        """Join under its own name."""
        made = await conductor.cells.invite(OWNER, self.name, self.region, f"https://{conductor.name}")
        await self.cells.join(OWNER, made.token)

    async def beat(self, seconds: float = 0) -> None:
        """Check-ins, results, executor; then one exchange."""
        await self.round(seconds)
        await self.linked.reconcile()


async def beats(cells: list[Cell], conductor: Cell, count: int, seconds: float = 10) -> None:
    """So many rounds of all of them, on one clock."""
    for _ in range(count):
        cells[0].clock.advance(seconds)
        for cell in cells:
            await cell.beat()
        await conductor.conducting.reconcile()
