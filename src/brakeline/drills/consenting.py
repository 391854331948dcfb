"""Drills on real endpoints: whether the organisation wants any, what one would do, and run it.

An organisation says yes once (permission `rollout.approve`) and takes it back by one press, which ends what runs. Each
run is a look at its plan first: whoever starts it brings back how many endpoints that look has shown.
"""

from __future__ import annotations

from typing import Final, Protocol

from brakeline.core.errors import Conflict, Fault
from brakeline.drills import decide_real, store
from brakeline.drills.model import Consent, Drill, RealPlan, State
from brakeline.drills.run import Parts
from brakeline.drills.run_real import RealRun
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

ACTIVE: Final = "state:active"


class NoConsent(Conflict):
    """Nobody of the organisation has said that real endpoints may take part in drills."""

    code = "no-drill-consent"
    hint = "Whoever may approve says so once: `brakeline drill consent --give`, or on the page of drills."


class Runs(Protocol):
    """What `service.DrillService` is to drills on real endpoints."""

    async def insert(self, tenant_id: str, drill: Drill) -> None: ...
    def launch(self, tenant_id: str, run: RealRun) -> None: ...
    def end_real(self, tenant_id: str, by: str) -> None: ...
    async def show(self, principal: Principal, drill_id: str) -> Drill: ...


class RealDrills:
    """See the module."""

    def __init__(self, db: Database, ids: IdMaker, parts: Parts, runs: Runs) -> None:
        self._db, self._ids, self._parts, self._runs = db, ids, parts, runs

    async def consent(self, principal: Principal) -> Consent | None:
        """Who has said yes, and when; None = nobody."""
        principal.require("rollout.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.consent(conn)

    async def give(self, principal: Principal) -> Consent:
        """Say yes. Saying it twice changes nothing."""
        principal.require("rollout.approve")
        given = Consent(self._parts.clock.now_ms(), principal.name)
        async with self._db.tenant(principal.tenant_id) as conn:
            if await store.give_consent(conn, principal.tenant_id, given):
                await audit.append(conn, self._parts.clock, principal, "drill.consent", "", None, {"consent": True})
            return await store.consent(conn) or given

    async def take_back(self, principal: Principal) -> None:
        """One press: no further drill on real endpoints, and one that runs ends."""
        principal.require("rollout.brake")
        async with self._db.tenant(principal.tenant_id) as conn:
            if await store.take_consent_back(conn):
                before, after = {"consent": True}, {"consent": False}
                await audit.append(conn, self._parts.clock, principal, "drill.consent", "", before, after)
        self._runs.end_real(principal.tenant_id, principal.name)

    async def plan(self, principal: Principal, filter_text: str = "", fails: int | None = None) -> RealPlan:
        """What it would do. Changes nothing."""
        principal.require("rollout.read")
        ids = await self._takers(principal, filter_text)
        regions = len(await self._parts.fleet.values_of(principal.tenant_id, "region"))
        consent = await self.consent(principal)
        return decide_real.plan_of(len(ids), regions, fails, filter_text, consent is not None)

    async def run(self, principal: Principal, filter_text: str = "", fails: int | None = None,
                  expect_count: int | None = None) -> Drill:  # fmt: skip
        """Begin one. `NoConsent`, `Conflict` while another drill runs or when not `expect_count` endpoints match."""
        principal.require("rollout.create")
        if await self.consent(principal) is None:
            raise NoConsent("this organisation has not agreed to drills on its real endpoints")
        self._parts.rollouts.refuse_if_frozen(principal.tenant_id)
        ids = await self._takers(principal, filter_text)
        told_to_fail = decide_real.check(len(ids), fails)
        if expect_count is not None and len(ids) != expect_count:
            raise Conflict(f"{len(ids)} endpoints would take part now, not {expect_count}", found=len(ids))
        return await self._begin(principal, filter_text, ids, told_to_fail)

    async def _begin(self, principal: Principal, filter_text: str, ids: list[str], fails: int) -> Drill:
        clock, tenant_id = self._parts.clock, principal.tenant_id
        title = decide_real.title(fails, len(ids))
        drill = Drill(self._ids.new("dr"), title, len(ids), clock.now_ms(), principal.name, State.RUNNING, 0, "", None)
        await self._runs.insert(tenant_id, drill)
        run = RealRun(self._parts, drill, principal, ids, fails)
        try:
            rollout_id = await run.make()
        except Fault as e:
            async with self._db.tenant(tenant_id) as conn:
                await store.end(conn, drill.id, State.BROKEN_OFF, str(e), None, clock.now_ms())
            raise
        async with self._db.tenant(tenant_id) as conn:
            await store.on_real(conn, drill.id, rollout_id)
            after = {"real_endpoints": len(ids), "told_to_fail": fails, "filter": filter_text, "rollout": rollout_id}
            await audit.append(conn, clock, principal, "drill.run", drill.id, None, after)
        self._runs.launch(tenant_id, run)
        return await self._runs.show(principal, drill.id)

    async def _takers(self, principal: Principal, filter_text: str) -> list[str]:
        """Active endpoints that match; whose agents know no drills is told by each of them."""
        return await self._parts.fleet.matching(principal.tenant_id, f"{filter_text} {ACTIVE}".strip())
