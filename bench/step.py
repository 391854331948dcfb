"""What one round of the executor costs on a real database: `python -m bench.step`.

    python -m bench.step [--json FILE] [--sizes 2000,20000,100000] [--repeat N]

A rollout in its last ring with so many endpoints, all of them in arms, as in `bench.evaluate`; a sixtieth of them check
in before each round, as they do each second. *Anew*: the round of a process that has just started, which reads
everything. *Kept*: the round of one that has looked a second ago. CPU-seconds of this process and of PostgreSQL
together, and the ratio of the two in the same run. Both rounds include what the check-in path reads again. Then what it
costs to look at the rollout whole, and at a page of its endpoints.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench._proc import cpu_s, report, tree
from bench.evaluate import NOW_MS, situation
from brakeline.core.clock import ManualClock
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.model import Presence
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import MemoryBus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.platform.migrate import migrate
from brakeline.platform.postgres import start_postgres
from brakeline.rollout.model import Report, Subject, Wish
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import arms, rollouts
from brakeline.rollout.store.arms import Target
from brakeline.rollout.store.rollouts import RolloutRow
from brakeline.tenancy.model import PERMISSIONS, Principal

TENANT = "te_bench"
LOOKS = Principal(TENANT, "pe_bench", "person", "bench", PERMISSIONS)
CHECK_IN_S = 60

Started = Callable[[], tuple[FleetService, RolloutService]]


async def fill(db: Database, count: int) -> str:
    """The fleet and its rollout, as rows; the rollout's id."""
    policy, current, seen = situation(count)
    current = replace(current, rollout_id=f"ro_{count}")
    mine = [replace(s, endpoint_id=f"ep_{count}_{i:06}") for i, s in enumerate(seen.subjects)]
    row = RolloutRow(
        current.rollout_id, "bench", seen.change, policy, bytes(32), seen.attributes, NOW_MS, "bench", Wish.RUN,
        "bench", "", 0, 0, current, Report(()),
    )  # fmt: skip
    async with db.tenant(TENANT) as conn:
        await conn.execute("SELECT brakeline.tenant_create($1, 'bench', now())", TENANT)
        await conn.executemany(
            """INSERT INTO brakeline.endpoint (tenant_id, endpoint_id, region, hostname, os_id, os_version, os_name,
                 kernel, architecture, machine_class, agent_version, package_manager, enrolled_at, enrolled_by)
               VALUES ($1,$2,$3,$2,'debian','12','Debian 12','6.1','amd64',$4,'0.1','apt',now(),'bench')""",
            [(TENANT, s.endpoint_id, s.region, s.machine_class) for s in mine],
        )
        await rollouts.insert(conn, TENANT, row)
        await arms.add_targets(conn, TENANT, row.rollout_id, [as_target(s) for s in mine])
        await add_subjects(conn, row.rollout_id, mine)
    return row.rollout_id


def as_target(s: Subject) -> Target:
    return Target(s.endpoint_id, s.endpoint_id, s.region, s.machine_class, s.attributes, s.u)


async def add_subjects(conn: Any, rollout_id: str, subjects: list[Subject]) -> None:
    stamp = {ms: datetime.fromtimestamp(ms / 1000, UTC) for s in subjects for ms in (s.ready_ms, s.proven_ms)}
    await conn.executemany(
        """INSERT INTO brakeline.rollout_subject (tenant_id, rollout_id, endpoint_id, arm, ring, tick, region,
             machine_class, attributes, u, generation, ready_at, baseline_failed, progress, heard, proven_at, ended_at)
           VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,'{}',$13,$14,$15,$15)""",
        [(TENANT, rollout_id, s.endpoint_id, s.arm.value, s.ring, s.tick, s.region, s.machine_class,
          list(s.attributes), s.u, s.generation, stamp[s.ready_ms], s.progress.value, s.heard,
          stamp[s.proven_ms] if s.proven_ms else None) for s in subjects],
    )  # fmt: skip


async def hear(fleet: FleetService, clock: ManualClock, count: int, every: int) -> None:
    """One second's check-ins (`every` = 1: everybody's)."""
    second = clock.now_ms() // 1000
    for i in range(second % every, count, every):
        fleet.presences.record(TENANT, f"ep_{count}_{i:06}", Presence(clock.now_ms(), "boot 1", agent_version="0.1"))
    await fleet.flush()


async def spent(work: Callable[[], Awaitable[object]]) -> float:
    """CPU-seconds of this process and of its PostgreSQL."""
    others = [pid for pid in tree(os.getpid()) if pid != os.getpid()]
    mine, theirs = time.process_time(), cpu_s(others)
    await work()
    return time.process_time() - mine + cpu_s([pid for pid in tree(os.getpid()) if pid != os.getpid()]) - theirs


async def measure(db: Database, started: Started, clock: ManualClock, count: int, repeat: int) -> dict[str, Any]:
    """Both rounds at one size."""
    rollout_id = await fill(db, count)
    fleet, service = started()
    await hear(fleet, clock, count, 1)
    anew = []
    for _ in range(max(1, repeat // 10)):
        clock.advance(1)
        fleet, service = started()
        await hear(fleet, clock, count, CHECK_IN_S)
        anew.append(await spent(service.reconcile))
    await service.reconcile()

    async def rounds() -> None:
        for _ in range(repeat):
            clock.advance(1)
            await service.reconcile()

    async def rounds_of_check_ins() -> float:
        total = 0.0
        for _ in range(repeat):
            clock.advance(1)
            await hear(fleet, clock, count, CHECK_IN_S)
            total += await spent(service.reconcile)
        return total / repeat

    kept = await rounds_of_check_ins()
    quiet = await spent(rounds) / repeat
    shown = await spent(lambda: service.show(LOOKS, rollout_id))
    paged = await spent(lambda: asyncio.gather(*(service.members(LOOKS, rollout_id) for _ in range(repeat)))) / repeat
    async with db.tenant(TENANT) as conn:
        await conn.execute("DELETE FROM brakeline.rollout WHERE rollout_id = $1", rollout_id)
    every = statistics.median(anew)
    return {"subjects": count, "anew_cpu_s": every, "kept_cpu_s": kept, "nobody_heard_cpu_s": quiet,
            "ratio": every / kept, "shown_cpu_s": shown, "page_cpu_s": paged, "pages_ratio": shown / paged}  # fmt: skip


async def run(sizes: list[int], repeat: int) -> list[tuple[str, Any, str]]:
    clock, rows = ManualClock(NOW_MS), []
    with tempfile.TemporaryDirectory(prefix="brakeline-bench-") as name:
        root = Path(name)
        root.chmod(0o755)
        cluster = await start_postgres(root, None, extra_options={"fsync": "off"}, sync_initdb=False)
        try:
            await migrate(cluster.dsn_owner)
            for size in sizes:
                db = await Database.open(cluster.dsn_app, pool_max=4)

                def started(db: Database = db) -> tuple[FleetService, RolloutService]:
                    ids, bus, cell = IdMaker(clock), MemoryBus(), CellIdentity.load(root / "cell.key")
                    fleet = FleetService(db, clock, ids, bus, cell)
                    return fleet, RolloutService(db, clock, ids, bus, fleet, cell, root / "brake.journal")

                found = await measure(db, started, clock, size, repeat)
                rows += [(f"{size:,} subjects: {k}", v, note(k, repeat)) for k, v in found.items() if k != "subjects"]
                await db.close()
        finally:
            await cluster.stop()
    return rows


def note(name: str, repeat: int) -> str:
    return {
        "anew_cpu_s": "a round that reads everything",
        "kept_cpu_s": f"a round a second later, a sixtieth checked in; mean of {repeat}",
        "nobody_heard_cpu_s": "the same, nobody checked in",
        "ratio": "anew over kept",
        "shown_cpu_s": "the whole view of the rollout, every endpoint by name",
        "page_cpu_s": "a page of a hundred of its endpoints",
        "pages_ratio": "the whole view over a page",
    }[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", default="")
    parser.add_argument("--sizes", default="2000,20000,100000")
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    report(asyncio.run(run(sizes, options.repeat)), ["--json", options.json] if options.json else [])


if __name__ == "__main__":
    main()
