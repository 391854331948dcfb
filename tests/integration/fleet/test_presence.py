"""Presence of several organisations on a real database: one that is slow or fails keeps no other from being written."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.support_fleet import OWNER, SmallFleet

from brakeline.core.clock import ManualClock
from brakeline.fleet.model import Presence
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.messages import CheckIn, Health

ORGANISATIONS = ("te_a", "te_b", "te_c")


class Three:
    """One endpoint in each of three organisations, as they are written: the first before the others."""

    def __init__(self, fleet: SmallFleet, endpoints: dict[str, str]) -> None:
        self.fleet, self.service, self.endpoints, self.told = fleet, fleet.service, endpoints, list[str]()

    def heard(self) -> None:
        for tenant_id, endpoint_id in self.endpoints.items():
            presence = Presence(self.fleet.clock.now_ms(), "boot-1")
            self.service.presences.record(tenant_id, endpoint_id, presence)

    async def written(self) -> dict[str, bool]:
        """Of whom this very moment is in the database."""
        found = {}
        for tenant_id, endpoint_id in self.endpoints.items():
            async with self.fleet.db.tenant(tenant_id) as conn:
                sql = "SELECT last_seen FROM brakeline.presence WHERE endpoint_id = $1"
                seen = await conn.fetchval(sql, endpoint_id)
            found[tenant_id] = seen is not None and round(seen.timestamp() * 1000) == self.fleet.clock.now_ms()
        return found


@pytest.fixture
async def three(database: Database, clock: ManualClock, ids: IdMaker) -> Three:
    fleet, endpoints = SmallFleet(database, clock, ids), {}
    for tenant_id in ORGANISATIONS:
        async with database.system() as conn:
            await conn.execute("SELECT brakeline.tenant_create($1, $1, now())", tenant_id)
        endpoints[tenant_id] = await fleet.enrol("web-1", owner=replace(OWNER, tenant_id=tenant_id))
    made = Three(fleet, endpoints)
    made.heard()
    await made.service.flush()
    clock.advance(60)
    return made


async def test_an_organisation_that_is_slow_holds_up_nobody_but_itself(three: Three, database: Database) -> None:
    async with database.tenant("te_a") as conn:
        await conn.execute("SELECT FROM brakeline.presence FOR UPDATE")
        three.heard()
        await asyncio.wait_for(three.service.flush(), 8)
        assert await three.written() == {"te_a": False, "te_b": True, "te_c": True}
        now_ms = three.fleet.clock.now_ms()
        seen = await three.service.presences.read("te_a", None)
        assert [p.last_check_in_ms for p in seen.values()] == [now_ms], "what is being written counts already"
        three.fleet.clock.advance(60)
        three.heard()
        await asyncio.wait_for(three.service.flush(), 8)
        assert await three.written() == {"te_a": False, "te_b": True, "te_c": True}, "also by the next one"
    await three.service.close()
    await three.service.flush()
    assert await three.written() == dict.fromkeys(ORGANISATIONS, True)


async def test_an_organisation_that_fails_keeps_its_rows_and_the_others_are_written(three: Three) -> None:
    three.service.presences.record("te_a", "ep_of_nobody", Presence(1, "boot-1"))
    for _ in range(2):
        three.heard()
        with pytest.raises(Exception, match="foreign key"):
            await three.service.flush()
        assert await three.written() == {"te_a": False, "te_b": True, "te_c": True}
        three.fleet.clock.advance(60)
    assert three.service.presences.waiting == 2
    three.service.forget("te_a")
    three.heard()
    await three.service.flush()
    assert await three.written() == dict.fromkeys(ORGANISATIONS, True)


async def test_who_says_goodbye_waits_for_its_own_organisation_alone(three: Three, database: Database) -> None:
    session = await three.service.session(three.endpoints["te_b"])
    async with database.tenant("te_a") as conn:
        await conn.execute("SELECT FROM brakeline.presence FOR UPDATE")
        three.heard()
        three.service.record_check_in(session, "boot-1", CheckIn("0.1.0", 0, "", Health()))
        flushing = asyncio.create_task(three.service.flush())
        await asyncio.sleep(0)
        three.fleet.clock.advance(1)
        await asyncio.wait_for(three.service.goodbye(session, "boot-1", "suspend"), 8)
        async with database.tenant("te_b") as other:
            assert await other.fetchval("SELECT asleep FROM brakeline.presence")
        await flushing
    await three.service.close()
