"""What the tables themselves refuse, on PostgreSQL 18 and 15: a second open offer, a second treatment, a lost race."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from tests.support_rollout import OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.rollout.model import Arm
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store import rollouts


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(6)
    return made


async def test_a_blueprint_is_published_once_per_parent(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1))
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        row = await rollouts.get(conn, rollout)
        assert row is not None
        after = replace(row.blueprint, generation=row.blueprint.generation + 1, parent=row.blueprint.generation)
        assert await rollouts.publish(conn, OWNER.tenant_id, after)
        assert not await rollouts.publish(conn, OWNER.tenant_id, after)
        assert not await rollouts.publish(conn, OWNER.tenant_id, replace(after, generation=after.generation + 5))


async def test_an_endpoint_is_treated_once_and_has_one_open_offer(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1))
    await fleet.round()
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        treated = [s.subject for s in await arms_store.subjects(conn, rollout) if s.subject.arm is Arm.TREATED]
    again = replace(treated[0], tick=treated[0].tick + 1, ring=treated[0].ring + 1)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with fleet.db.tenant(OWNER.tenant_id) as conn:
            await arms_store.insert_subject(conn, OWNER.tenant_id, rollout, again, (), None)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with fleet.db.tenant(OWNER.tenant_id) as conn:
            await conn.execute(
                """INSERT INTO brakeline.rollout_offer SELECT tenant_id, offer_id || 'x', rollout_id, endpoint_id,
                     attempt + 1, payload, signature, issued_at, expires_at FROM brakeline.rollout_offer"""
            )


async def test_the_budget_of_a_tick_cannot_be_overspent(fleet: SmallFleet) -> None:
    rollout = await fleet.create(quick_policy(1))
    await fleet.round()
    async with fleet.db.tenant(OWNER.tenant_id) as conn:
        tick = next(t for t in await arms_store.ticks(conn, rollout) if t.treated)
    with pytest.raises(asyncpg.CheckViolationError):
        async with fleet.db.tenant(OWNER.tenant_id) as conn:
            await arms_store.spend(conn, rollout, tick.region, tick.tick)
