"""Use cases of live drills: plan, run, stop, list, show. One at a time per organisation; each leaves a report.

Running one needs `rollout.create`; it changes no real endpoint, so it takes no second person. After a start of the
server a drill that it did not end is broken off, and whatever its simulated endpoints left behind is removed. Drills
on real endpoints (`consenting`) are run, ended and shown by the same means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from brakeline.core.errors import Bug, Conflict, Fault, NotFound
from brakeline.drills import decide, store
from brakeline.drills.consenting import RealDrills
from brakeline.drills.model import ENDPOINTS, Drill, Plan, Report, State
from brakeline.drills.run import Parts, Run
from brakeline.drills.run_real import OVER, RealRun
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Connection, Database
from brakeline.platform.observe import logger
from brakeline.rollout.model import Phase
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal, system_principal
from brakeline.tenancy.service import TenancyService

PAGE_MAX: Final = 100
READ: Final = "rollout.read"
CUT_OFF: Final = "the server ended while it ran"
END_TRIES: Final = 60
END_AGAIN_S: Final = 2.0
LOST_MS: Final = 15 * 60_000  # no drill takes so long
REAL_LOST_MS: Final = 6 * 3_600_000  # nor one on real endpoints this long
UNDER_WAY: Final = frozenset({Phase.DRAFT, Phase.ROLLING, Phase.HOLDING, Phase.HALTED, Phase.COMPLETED})


class DrillService:
    """See the module."""

    def __init__(self, db: Database, ids: IdMaker, tenancy: TenancyService, parts: Parts,
                 gone: Callable[[Sequence[str]], None]) -> None:  # fmt: skip
        """`gone`: told which endpoints there are no more."""
        self._db, self._ids, self._tenancy, self._parts, self._gone = db, ids, tenancy, parts, gone
        self._clock = parts.clock
        self._closing = False
        self._runs: dict[str, Run | RealRun] = {}
        self.real = RealDrills(db, ids, parts, self)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Before the first request: what an end of the server cut off is said to be so, and cleared away."""
        for tenant_id in await self._tenancy.tenants():
            async with self._db.tenant(tenant_id) as conn:
                left = await store.running(conn)
                if left is not None:
                    await store.end(conn, left.id, State.BROKEN_OFF, CUT_OFF, None, self._clock.now_ms())
                    await store.clear(conn)
            await self._withdraw_left(tenant_id)

    async def _withdraw_left(self, tenant_id: str) -> None:
        """Rollouts of drills on real endpoints that nobody steers any more: one that was cut off, or never begun."""
        for live in self._parts.rollouts.live.of(tenant_id) or ():
            if live.row.change.is_drill and live.row.blueprint.phase in UNDER_WAY:
                who = system_principal(tenant_id, "drill")
                try:
                    await self._parts.rollouts.withdraw(who, live.row.rollout_id, OVER)
                except Fault as e:  # a server that does not start for a drill's sake would be worse
                    logger.warning("drill-not-withdrawn", rollout=live.row.rollout_id, reason=str(e))

    async def close(self) -> None:
        """The server ends: every drill is broken off."""
        self._closing = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for tenant_id, run in tuple(self._runs.items()):  # one that was cancelled before its first step
            await self._end(tenant_id, run, State.BROKEN_OFF, CUT_OFF)

    # --- acts ---------------------------------------------------------------------------------------------------------

    def plan(self, principal: Principal, fault: str, endpoints: int = ENDPOINTS) -> Plan:
        """What it would do. Changes nothing."""
        principal.require(READ)
        return decide.plan_of(decide.fault_named(fault), endpoints)

    async def run(self, principal: Principal, fault_name: str, endpoints: int = ENDPOINTS) -> Drill:
        """Begin one. `Conflict` while another one runs."""
        principal.require("rollout.create")
        fault = decide.fault_named(fault_name)
        decide.check_size(endpoints)
        now_ms, tenant_id = self._clock.now_ms(), principal.tenant_id
        drill = Drill(self._ids.new("dr"), fault.name, endpoints, now_ms, principal.name, State.RUNNING, 0, "", None)
        async with self._db.tenant(tenant_id) as conn:
            await self._free(conn, tenant_id, drill)
            place = await store.organisation(conn, self._ids.new("te"), now_ms)
            if place is None:
                raise Bug("an organisation of drills has no drills of its own", tenant=tenant_id)
            await store.clear(conn)
            after = {"fault": fault.name, "simulated_endpoints": endpoints}
            await audit.append(conn, self._clock, principal, "drill.run", drill.id, None, after)
        real = len(await self._parts.fleet.matching(tenant_id, ""))
        self.launch(tenant_id, Run(self._parts, drill, fault, place, real))
        return drill

    async def insert(self, tenant_id: str, drill: Drill) -> None:
        """For `consenting`: the row of one that begins. `Conflict` while another one runs."""
        async with self._db.tenant(tenant_id) as conn:
            await self._free(conn, tenant_id, drill)

    def launch(self, tenant_id: str, run: Run | RealRun) -> None:
        """Drive it to its end."""
        self._runs[tenant_id] = run
        self._tasks[tenant_id] = asyncio.create_task(self._drive(tenant_id, run), name=f"drill {run.drill.id}")

    def end_real(self, tenant_id: str, by: str) -> None:
        """Whoever takes consent back ends what runs on real endpoints."""
        running = self._runs.get(tenant_id)
        if running is not None and not running.simulated:
            running.stop(by)

    async def stop(self, principal: Principal, drill_id: str) -> Drill:
        """End one before its time. One that has ended stays as it ended."""
        principal.require("rollout.brake")
        running = self._runs.get(principal.tenant_id)
        if running is not None and running.drill.id == drill_id:
            running.stop(principal.name)
            task = self._tasks[principal.tenant_id]
            await asyncio.wait({task}, timeout=10)
        return await self.show(principal, drill_id)

    async def _drive(self, tenant_id: str, run: Run | RealRun) -> None:
        state, why = State.BROKEN_OFF, CUT_OFF
        try:
            state = await run.go()
            stopped = f"stopped by {run.stop_by}" if run.stop_by else "its rollout was withdrawn"
            why = stopped if state is State.STOPPED else run.told(state)
        except Fault as e:
            why = str(e)
        except ExceptionGroup as e:
            why = f"the simulated endpoints could not enrol: {e.exceptions[0]}"
        except Exception as e:  # noqa: BLE001 - outermost loop of a task nobody waits for: it must end with a report
            logger.exception("drill-failed", drill=run.drill.id)
            why = f"a defect of ours, see the server's log: {type(e).__name__}"
        finally:
            await asyncio.shield(self._end(tenant_id, run, state, why))

    async def _end(self, tenant_id: str, run: Run | RealRun, state: State, why: str) -> None:
        """Save the report and remove everything simulated. While the database is away it is tried again; nobody speaks
        for the simulated endpoints any more, whatever becomes of it."""
        try:
            for _ in range(END_TRIES):
                try:
                    await self._written(tenant_id, run, state, why)
                except Fault as e:
                    logger.warning("drill-not-ended", drill=run.drill.id, reason=str(e))
                    await asyncio.sleep(0 if self._closing else END_AGAIN_S)
                else:
                    break
        finally:
            self._runs.pop(tenant_id, None)
            self._tasks.pop(tenant_id, None)

    async def _written(self, tenant_id: str, run: Run | RealRun, state: State, why: str) -> None:
        report, who = run.report(), system_principal(tenant_id, "drill")
        await self._parts.fleet.flush()  # what waits to be written of them would find no row later
        async with self._db.tenant(tenant_id) as conn:
            await store.end(conn, run.drill.id, state, why, report, self._clock.now_ms())
            removed = await store.clear(conn) if run.simulated else 0
            after = {"state": state.value, "why": why, "simulated_endpoints_removed": removed}
            await audit.append(conn, self._clock, who, "drill.end", run.drill.id, {"state": "running"}, after)
        if not run.simulated:
            return
        self._parts.fleet.forget(run.tenant_id)
        self._gone(run.endpoint_ids())
        await self._parts.rollouts.refresh(run.tenant_id)

    async def _free(self, conn: Connection, tenant_id: str, drill: Drill) -> None:
        """Make its row. `Conflict` while one runs; one whose end could not be written down is ended once it is old."""
        if await store.insert(conn, tenant_id, drill):
            return
        left = await store.running(conn)
        lost_ms = REAL_LOST_MS if left is not None and left.real else LOST_MS
        if left is None or tenant_id in self._runs or drill.asked_ms - left.asked_ms < lost_ms:
            raise Conflict("a drill runs already; wait for its end or stop it: brakeline drill stop")
        await store.end(conn, left.id, State.BROKEN_OFF, "its end could not be written down", None, drill.asked_ms)
        await store.insert(conn, tenant_id, drill)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def list(self, principal: Principal, *, before: str | None = None, limit: int = 50) -> tuple[Drill, ...]:
        """Newest first."""
        principal.require(READ)
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.page(conn, before, min(max(limit, 1), PAGE_MAX))
        return tuple(self._now(principal, d) for d in found)

    async def show(self, principal: Principal, drill_id: str) -> Drill:
        """One drill; while it runs, with what is known by now."""
        principal.require(READ)
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.get(conn, drill_id)
        if found is None:
            raise NotFound("no such drill; `brakeline drill list` has them", id=drill_id[:40])
        return self._now(principal, found)

    def _now(self, principal: Principal, drill: Drill) -> Drill:
        run = self._runs.get(principal.tenant_id)
        if drill.state is not State.RUNNING or run is None or run.drill.id != drill.id:
            return drill
        report: Report = run.report()
        return Drill(
            drill.id, drill.fault, drill.endpoints, drill.asked_ms, drill.asked_by, drill.state, 0, report.why, report,
            drill.rollout_id,
        )  # fmt: skip
