"""The part of `bench.exposure` that needs PostgreSQL: a cluster of its own, durable, with a fleet in its tables.

Endpoints, packed rows and figures are written as a server would have left them; inventories themselves are not, because
nothing that is measured here reads one. The service under test is the real one. Called with the number of endpoints.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import _estate
from bench.exposure import percentiles
from brakeline.advisories.by_feed import UNREAD, feed_rows
from brakeline.advisories.model import Advisory
from brakeline.advisories.service import AdvisoriesService, Knowledge
from brakeline.exposure import store_index
from brakeline.exposure.index import TenantIndex
from brakeline.exposure.news import Arrival
from brakeline.exposure.packed import GAP, OFFER, UNIT, text_of
from brakeline.exposure.postings import joined_of
from brakeline.exposure.reach import reach
from brakeline.exposure.service import ExposureService
from brakeline.exposure.snapshot_files import SnapshotFiles
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import PostgresBus
from brakeline.platform.clock import IdMaker, SystemClock
from brakeline.platform.database import Database
from brakeline.platform.migrate import migrate
from brakeline.platform.postgres import start_postgres
from brakeline.platform.postgres_layout import APP, FEED
from brakeline.platform.postgres_roles import connect
from brakeline.tenancy.model import system_principal

TENANT = "te_bench"
COMMITS = 200
NEWS = "CVE-2031-1"
MOVED = 500  # about so many endpoints does the new advisory concern


class Given(AdvisoriesService):
    """Advisories as the table would give them: AlmaLinux's are no findings' rows in the shipped feeds yet."""

    rows: list[Advisory]

    async def knowledge(self) -> Knowledge:
        known = await super().knowledge()
        empty = {feed: replace(each, rows=[]) for feed, each in known.by_feed.items()}
        return replace(known, by_feed=empty | {"given": feed_rows("given", UNREAD, self.rows, [])})

    async def newer(self, known: Knowledge) -> Knowledge:  # noqa: ARG002 -- rows that are given have no feed
        return await self.knowledge()


async def write_fleet(
    db: Database, dsn_super: str, index: TenantIndex, rules: str, fingerprint: str, tenant_id: str = TENANT
) -> None:
    """What a server would have left of this fleet, by COPY. Since when a source stands open is there of one endpoint,
    and not of all that have it: a hundred rows each, which no look reads while an import is on its way.
    """
    packed = {}
    for kind, postings in ((UNIT, index.keys), (OFFER, index.offers), (GAP, index.gaps)):
        said = [(kind, text_of(kind, value)) for value in postings.values]
        async with db.tenant(tenant_id) as conn:
            given = await store_index.ids_of(conn, tenant_id, said) if said else {}
        places = np.array([given[one] for one in said] or [0], "<u4")
        flat, lengths = joined_of(postings.rows)
        data, ends = places[flat].tobytes(), np.cumsum(lengths) * 4
        packed[kind] = [data[end - 4 * n : end] for end, n in zip(ends.tolist(), lengths.tolist(), strict=True)]
    ids, then, now = index.roll.ids, datetime(1970, 1, 1, 0, 0, 0, 1000, UTC), datetime.now(UTC)
    rows = ((one, then, rules, index.figures[n][0], 0, n in index.lists_known, packed[UNIT][n], packed[OFFER][n],
             packed[GAP][n]) for n, one in enumerate(ids))  # fmt: skip
    conn = await connect(dsn_super)
    try:
        await conn.execute("SET session_replication_role = replica")  # no keys are looked up: all come from one list
        for table, columns, values in (
            ("endpoint", "endpoint_id region hostname os_id os_version os_name kernel architecture machine_class"
             " agent_version package_manager enrolled_at enrolled_by", (
                 (one, "eu", one, "debian", "12", "Debian 12", "", "amd64", "vm", "0.1", "apt", now, "bench")
                 for one in ids)),
            ("endpoint_status", "endpoint_id sequence digest committed_at", ((one, 1, "", then) for one in ids)),
            ("presence", "endpoint_id last_seen boot_id asleep agent_version failed_services", (
                (one, now, "b", False, "0.1", []) for one in ids)),
            ("exposure_row", "endpoint_id inventory_at rules packages missing lists_known units offers gaps", rows),
            ("endpoint_exposure", "endpoint_id assessed_at inventory_at advisories packages not_assessed cves"
             " carrier_cves kev fixable sources", (
                 (one, now, then, fingerprint, 300, 0, 9, 0, 0, 0, 5) for one in ids)),
            ("endpoint_exposure_source", "endpoint_id source version cves first_seen", (
                (ids[0], source, "1", 1, now) for source in sorted({key[0].source for key in index.keys.values}))),
        ):  # fmt: skip
            await conn.copy_records_to_table(
                table, schema_name="brakeline", columns=["tenant_id", *columns.split()],
                records=((tenant_id, *one) for one in values),
            )  # fmt: skip
        await conn.execute("ANALYZE")
    finally:
        await conn.close()


async def all_heard(dsn_super: str) -> None:
    """Every endpoint as if it had checked in just now and for the next hour."""
    conn = await connect(dsn_super)
    try:
        await conn.execute("UPDATE brakeline.presence SET last_seen = now() + interval '1 hour'")
    finally:
        await conn.close()


class Bench:
    """A database with a fleet, and servers over it."""

    def __init__(self, db: Database, bus: PostgresBus, directory: Path) -> None:
        self.db, self.bus, self.clock = db, bus, SystemClock()
        self.fleet = FleetService(db, self.clock, IdMaker(self.clock), bus, CellIdentity(Ed25519PrivateKey.generate()))
        self.advisories = Given(db, self.clock)
        self.files = SnapshotFiles(directory / "index")

    def server(self) -> ExposureService:
        return ExposureService(self.db, self.clock, self.bus, self.fleet, self.advisories, self.files)

    async def opened(self) -> tuple[ExposureService, float]:
        """A server that has just opened its index, and the CPU-seconds of this process for it."""
        server = self.server()
        await server.knowledge()
        begun = time.process_time()
        await server._ensure(TENANT)
        return server, time.process_time() - begun

    async def commits(self, server: ExposureService) -> tuple[list[float], list[float], list[float]]:
        """New advisories one after another: whom each concerns, committed, and told to a subscriber. Each after the
        commit of one row that says nothing, which is what the disk and the scheduler ask of everybody."""
        index, committed, told, bare = server._index(TENANT), [], [], []
        rows = [row for row in self.advisories.rows if row.fixed][:: len(self.advisories.rows) // COMMITS][:COMMITS]
        async with self.bus.subscribe(f"finding:{TENANT}") as messages:
            for number, row in enumerate(rows):
                begun = time.perf_counter()
                async with self.db.tenant(TENANT) as conn:
                    await conn.execute("UPDATE brakeline.exposure_row SET missing = 0 WHERE endpoint_id = $1",
                                       index.roll.ids[number])  # fmt: skip
                bare.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                found = reach(index, [row])
                line = Arrival(number, row.cve, (row.source,), len(found.affected), 0, len(found.patchable))
                async with self.db.tenant(TENANT) as conn:
                    await store_index.save_arrivals(conn, TENANT, [line])
                committed.append(time.perf_counter() - begun)
                await self.bus.publish(f"finding:{TENANT}", "")
                await anext(messages)
                told.append(time.perf_counter() - begun)
        return committed, told, bare

    async def feed(self, server: ExposureService) -> dict[str, Any]:
        """A feed brings one more row: everything from there to the figures of every endpoint."""
        index = server._index(TENANT)
        name = min(index.orders, key=lambda n: abs(len(index.keys.union(one for _, one in index.orders[n])) - MOVED))
        news = Advisory(name[1], NEWS, "99:0-1", "2031-01-01", ecosystem=name[0])
        self.advisories.rows = [*self.advisories.rows, news]
        async with self.db.feed() as conn:
            await conn.execute("UPDATE brakeline.feed_state SET sha256 = 'one more' WHERE kind = 'advisories'")
        spent: dict[str, float] = {}
        at: list[float] = []
        begun = time.process_time()
        await server.hear([TENANT])
        at.append(time.process_time())
        known, kept = await server.knowledge(), server._kept[TENANT]
        counted = 0
        save = server._save

        async def saved(*given: Any) -> bool:
            nonlocal counted
            counted += 1
            if counted == 1:
                at.append(time.process_time())
            return await save(*given)

        server._save = saved  # type: ignore[method-assign]
        await server._recount(TENANT, kept, known)
        ended = time.process_time()
        spent["feed"], spent["same"] = at[0] - begun, at[1] - at[0]
        begun = time.process_time()
        await server.vulnerabilities(system_principal(TENANT, "bench"), "", limit=50)
        page = time.process_time() - begun
        server._exposed.clear()
        server._ranks.clear()
        server._marks.clear()
        begun = time.process_time()
        await server.vulnerabilities(system_principal(TENANT, "bench"), "", limit=50)
        whole = time.process_time() - begun
        return spent | {"count": (ended - at[1]) / counted, "moved": counted, "page": page, "whole": whole}


async def measured(endpoints: int) -> dict[str, Any]:
    rows = _estate.advisories()
    units, made, newest = _estate.estates(rows)
    index = _estate.index_for(endpoints, units, made, newest, 7)
    with tempfile.TemporaryDirectory(prefix="bl-kept-") as name:
        Path(name).chmod(0o755)
        running = await start_postgres(Path(name) / "data")
        try:
            await migrate(running.dsn_owner)
            db = await Database.open(running.layout.dsn(APP, "brakeline"), running.layout.dsn(FEED, "brakeline"))
            bus = await PostgresBus.open(running.layout.dsn(APP, "brakeline"))
            await AdvisoriesService(db, SystemClock()).load_seed()
            bench = Bench(db, bus, Path(name))
            bench.advisories.rows = rows
            first = bench.server()
            fingerprint = (await first.knowledge()).fingerprint
            await write_fleet(db, running.dsn_super, index, first._rules(), fingerprint)
            del first
            server, rebuild = await bench.opened()
            assert server._kept[TENANT].origin == "database", "made of rows"
            assert server._index(TENANT).keys.size() == index.keys.size(), "as it was drawn"
            await server._write_down(TENANT)
            server, opening = await bench.opened()
            assert server._kept[TENANT].origin == "snapshot", server._kept[TENANT].refused
            await server.vulnerabilities(
                system_principal(TENANT, "bench"), "", limit=50
            )  # others were looked at before
            committed, told, bare = await bench.commits(server)
            found = await bench.feed(server)
            await bus.close()
            await db.close()
        finally:
            await running.stop()
    return found | {
        "endpoints": endpoints, "rebuild": rebuild, "open": opening, "commits": len(committed),
        "committed": percentiles(committed), "bare": percentiles(bare), "told": percentiles(told),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured(int(sys.argv[1])))))
