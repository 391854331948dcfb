"""The walls round a drill, on PostgreSQL 18 and 15: what removes simulated endpoints can remove nothing else."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.drills import store
from brakeline.drills.model import Drill, State
from brakeline.platform.database import Database
from brakeline.tenancy import audit
from brakeline.tenancy.model import system_principal

PLACE = "te_drills"


def drill(number: int, state: State = State.RUNNING) -> Drill:
    return Drill(f"dr_{number}", "bad-release", 300, 1_000, "Olga", state, 0, "", None)


async def count(db: Database, tenant_id: str, table: str) -> int:
    async with db.tenant(tenant_id) as conn:
        found: int = await conn.fetchval(f"SELECT count(*) FROM brakeline.{table}")
    return found


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    """Six real endpoints with a rollout, and the drill organisation beside."""
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(6)
    await made.create(quick_policy(1))
    await made.round()
    async with database.tenant(OWNER.tenant_id) as conn:
        assert await store.organisation(conn, PLACE, clock.now_ms()) == PLACE
    return made


async def fill(fleet: SmallFleet) -> None:
    """Something of every kind in the drill organisation."""
    async with fleet.db.tenant(PLACE) as conn:
        await conn.execute(
            """INSERT INTO brakeline.endpoint (tenant_id, endpoint_id, region, hostname, os_id, os_version, os_name,
                 kernel, architecture, machine_class, agent_version, package_manager, enrolled_at, enrolled_by)
               VALUES ($1,'ep_drill','drill-east','drill-0000','drill','1','simulated','0','none','server','drill',
                       'none',now(),'et')""",
            PLACE,
        )  # fmt: skip
        await conn.execute(
            """INSERT INTO brakeline.presence
                 (tenant_id, endpoint_id, last_seen, boot_id, asleep, agent_version, failed_services)
               VALUES ($1,'ep_drill',now(),'b',false,'drill','{}')""",
            PLACE,
        )
        await conn.execute(
            """INSERT INTO brakeline.quarantine (tenant_id, name, version, rollout_id, since, reason)
               VALUES ($1,'brakeline-drill','2','ro_drill',now(),'x')""",
            PLACE,
        )
        await audit.append(conn, fleet.clock, system_principal(PLACE, "drill"), "drill.test", "x", None, {})


async def test_clearing_removes_everything_simulated_and_nothing_real(fleet: SmallFleet) -> None:
    await fill(fleet)
    tables = ("endpoint", "presence", "rollout", "rollout_target", "rollout_event", "quarantine")
    before = {t: await count(fleet.db, OWNER.tenant_id, t) for t in tables}
    assert before["endpoint"] == 6
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        assert await store.clear(conn) == 1
    assert {t: await count(fleet.db, OWNER.tenant_id, t) for t in tables} == before
    assert {t: await count(fleet.db, PLACE, t) for t in tables} == dict.fromkeys(tables, 0)
    assert await count(fleet.db, PLACE, "audit_entry") == 1, "an audit log is append-only, here too"


async def test_after_clearing_the_transaction_is_the_real_organisation_s_again(fleet: SmallFleet) -> None:
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        await store.clear(conn)
        assert await conn.fetchval("SELECT brakeline.current_tenant()") == OWNER.tenant_id
        assert await conn.fetchval("SELECT count(*) FROM brakeline.endpoint") == 6


async def test_an_organisation_without_drills_clears_nothing(fleet: SmallFleet) -> None:
    await fill(fleet)
    async with fleet.db.tenant("te_other") as conn:
        assert await store.clear(conn) == 0
    async with fleet.db.tenant(PLACE) as conn:
        assert await store.clear(conn) == 0, "not even the drill organisation itself"
    assert await count(fleet.db, PLACE, "endpoint") == 1


async def test_a_drill_organisation_has_no_drills_of_its_own(fleet: SmallFleet) -> None:
    async with fleet.db.tenant(PLACE) as conn:
        assert await store.organisation(conn, "te_deeper", 0) is None
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        assert await store.organisation(conn, "te_again", 0) == PLACE, "asked twice it is the same"


async def test_without_an_organisation_nothing_is_made_or_cleared(fleet: SmallFleet) -> None:
    for call in ("SELECT brakeline.drill_clear()", "SELECT brakeline.drill_tenant('te_x', now())"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with fleet.db.system() as conn:
                await conn.execute(call)


async def test_one_drill_at_a_time_and_reports_stay(fleet: SmallFleet) -> None:
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        assert await store.insert(conn, OWNER.tenant_id, drill(1))
        assert not await store.insert(conn, OWNER.tenant_id, drill(2))
        assert await store.end(conn, "dr_1", State.HALTED, "braked", None, 2_000)
        assert not await store.end(conn, "dr_1", State.MISSED, "later", None, 3_000), "an end stands"
        assert await store.insert(conn, OWNER.tenant_id, drill(3))
        assert [d.id for d in await store.page(conn, None, 10)] == ["dr_3", "dr_1"]
    async with fleet.db.tenant("te_other") as conn:
        assert await store.page(conn, None, 10) == []
        assert await store.get(conn, "dr_1") is None
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with fleet.db.tenant(OWNER.tenant_id) as conn:
            await conn.execute("DELETE FROM brakeline.drill")
