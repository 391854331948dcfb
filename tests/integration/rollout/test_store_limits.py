"""Budgets as PostgreSQL 18 and 15 keep them: whatever Python forgets, nothing is offered past them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import pytest
from tests.integration.rollout import spending
from tests.postgres_clusters import TestDatabase
from tests.support_rollout import CHANGE, OWNER, SmallFleet, quick_policy

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Invalid
from brakeline.fleet.model import EndpointIdentity
from brakeline.platform.database import Connection, Database
from brakeline.rollout import budget
from brakeline.rollout.acts import Acts
from brakeline.rollout.budget import DEFAULT, FLEET, Budget, Group, Limit, Per, Refusal, Usage
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import budgets, offers

TENANT = OWNER.tenant_id
HOUR_MS, SLOT_MS = 3_600_000, 300_000


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> SmallFleet:
    made = SmallFleet(database, clock, tmp_path)
    await made.enrol(8)
    return made


@pytest.fixture
async def rollout(fleet: SmallFleet) -> str:
    """A draft: its offers are made by hand."""
    await fleet.hear()
    return await fleet.service.create(OWNER, "t", CHANGE, quick_policy(1), ids(fleet))


def ids(fleet: SmallFleet) -> list[str]:
    return [t.identity.endpoint_id for t in fleet.twins]


async def bound(fleet: SmallFleet, limit: Limit, group: Group = FLEET, per: Per = Per.HOUR) -> None:
    async with fleet.db.tenant(TENANT) as conn:
        await budgets.put(conn, TENANT, Budget(group, per, limit, fleet.clock.now_ms(), "Olga"))


async def offer(fleet: SmallFleet, rollout_id: str, endpoint_id: str) -> None:
    """What a path of Python does that has forgotten every check."""
    async with fleet.db.tenant(TENANT) as conn:
        await spending.insert(conn, TENANT, rollout_id, endpoint_id, fleet.clock.now_ms())


async def usage(fleet: SmallFleet, group: Group = FLEET, per: Per = Per.HOUR) -> Usage:
    async with fleet.db.tenant(TENANT) as conn:
        found = await budgets.usages(conn, fleet.clock.now_ms())
    return next(u for u in found if (u.group, u.per) == (group, per))


async def tag(fleet: SmallFleet, *tags: str, count: int) -> None:
    async with fleet.db.tenant(TENANT) as conn:
        await conn.execute(
            "UPDATE brakeline.endpoint SET tags = $1 WHERE endpoint_id = ANY($2)", list(tags), ids(fleet)[:count]
        )


async def test_a_path_that_forgets_every_check_is_stopped_by_the_database(fleet: SmallFleet, rollout: str) -> None:
    await bound(fleet, Limit(3))
    for endpoint_id in ids(fleet)[:3]:
        await offer(fleet, rollout, endpoint_id)
    for endpoint_id in ids(fleet)[3:5]:
        with pytest.raises(asyncpg.CheckViolationError, match="budget_never_exceeded"):
            await offer(fleet, rollout, endpoint_id)
    assert (await usage(fleet)).used == 3
    async with fleet.db.tenant(TENANT) as conn:
        assert len(await offers.of_rollout(conn, rollout)) == 3


async def test_the_service_without_its_own_check_is_stopped_by_the_database(fleet: SmallFleet) -> None:
    class Careless(RolloutService):
        async def _over_budget(self, conn: Connection, identity: EndpointIdentity, left_in_tick: int) -> Refusal | None:
            return None

    service = fleet.service
    fleet.service = Careless(
        service.db, service.clock, service.ids, service.bus, service.fleet, service.cell, fleet.directory / "j"
    )
    Acts(fleet.service, fleet.tenancy.approvals)
    await fleet.create(quick_policy(8))  # opens its ring while there is room for all
    await bound(fleet, Limit(2))
    with pytest.raises(asyncpg.CheckViolationError, match="budget_never_exceeded"):
        await fleet.rounds(3)
    assert (await usage(fleet)).used == 2


async def test_the_application_cannot_touch_the_counters_and_their_owner_cannot_exceed_them(
    fleet: SmallFleet, rollout: str, test_database: TestDatabase
) -> None:
    await bound(fleet, Limit(1))
    await offer(fleet, rollout, ids(fleet)[0])
    for statement in (
        "UPDATE brakeline.budget_slot SET spent = 0",
        "DELETE FROM brakeline.budget_slot",
        "INSERT INTO brakeline.budget_slot SELECT tenant_id, scope, per, slot + 1, 0, 1, 9 FROM brakeline.budget_slot",
        "UPDATE brakeline.budget_scope SET cap = 99",
        "ALTER TABLE brakeline.rollout_offer DISABLE TRIGGER rollout_offer_spends",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with fleet.db.tenant(TENANT) as conn:
                await conn.execute(statement)
    owner = await asyncpg.connect(test_database.dsn_super)
    with pytest.raises(asyncpg.CheckViolationError, match="budget_never_exceeded"):
        await owner.execute("UPDATE brakeline.budget_slot SET spent = spent + 1")
    await owner.close()


async def test_two_processes_that_offer_at_once_never_exceed_it(
    fleet: SmallFleet, rollout: str, test_database: TestDatabase
) -> None:
    await fleet.enrol(52)
    await bound(fleet, Limit(20))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tests.integration.rollout.spending", test_database.dsn_app, TENANT, rollout]
    halves = ids(fleet)[::2], ids(fleet)[1::2]
    running = [
        await asyncio.create_subprocess_exec(
            *command, str(fleet.clock.now_ms()), *half, stdout=asyncio.subprocess.PIPE, env=environment
        )
        for half in halves
    ]
    counts = [int((await process.communicate())[0]) for process in running]
    assert sum(counts) == 20, counts
    assert all(process.returncode == 0 for process in running)
    assert (await usage(fleet)).used == 20


async def test_no_sixty_minutes_exceed_it_wherever_they_begin(fleet: SmallFleet, rollout: str) -> None:
    """One offer a minute for three hours by one who never asks: the database alone decides."""
    await bound(fleet, Limit(4))
    made: list[int] = []
    for _ in range(180):
        fleet.clock.advance(60)
        free = ids(fleet)[len(made) % 8]
        try:
            await offer(fleet, rollout, free)
        except asyncpg.CheckViolationError:
            continue
        made.append(fleet.clock.now_ms())
        async with fleet.db.tenant(TENANT) as conn:
            await conn.execute("UPDATE brakeline.rollout_offer SET closed_at = now() WHERE closed_at IS NULL")
            await conn.execute("UPDATE brakeline.rollout_offer SET attempt = attempt + 1000 * $1", len(made))
    assert all(sum(start <= t < start + HOUR_MS for t in made) <= 4 for start in made)
    assert len(made) >= 8, "and it comes free again"


async def test_when_there_is_room_again_is_told_and_true(fleet: SmallFleet, rollout: str) -> None:
    await bound(fleet, Limit(2))
    await offer(fleet, rollout, ids(fleet)[0])
    fleet.clock.advance(1200)
    await offer(fleet, rollout, ids(fleet)[1])
    spent = await usage(fleet)
    assert budget.in_words(spent, fleet.clock.now_ms()).startswith(
        "budget: 2 of 2 endpoints per hour are spent; next in "
    )
    wait_ms = spent.next_ms - fleet.clock.now_ms()
    assert 0 < wait_ms <= HOUR_MS + SLOT_MS - 1_200_000
    fleet.clock.advance((wait_ms - 1000) / 1000)
    assert (await usage(fleet)).room == 0
    fleet.clock.advance(2)
    assert (await usage(fleet)).room == 1
    await offer(fleet, rollout, ids(fleet)[2])


async def test_a_clock_that_jumps_ahead_once_blocks_nothing_for_ever(fleet: SmallFleet, rollout: str) -> None:
    await bound(fleet, Limit(1))
    now_ms = fleet.clock.now_ms()
    async with fleet.db.tenant(TENANT) as conn:
        await spending.insert(conn, TENANT, rollout, ids(fleet)[0], now_ms + 365 * 24 * HOUR_MS)
    assert (await usage(fleet)).used == 0
    await offer(fleet, rollout, ids(fleet)[1])


async def test_of_a_process_whose_clock_is_minutes_behind_the_offers_count_too(fleet: SmallFleet, rollout: str) -> None:
    await bound(fleet, Limit(2))
    await offer(fleet, rollout, ids(fleet)[0])
    async with fleet.db.tenant(TENANT) as conn:
        behind = fleet.clock.now_ms() - 2 * SLOT_MS
        await spending.insert(conn, TENANT, rollout, ids(fleet)[1], behind)
    with pytest.raises(asyncpg.CheckViolationError):
        await offer(fleet, rollout, ids(fleet)[2])


async def test_a_group_at_once_counts_who_came_to_no_end_and_whom_nobody_set_aside(
    fleet: SmallFleet, rollout: str
) -> None:
    await tag(fleet, "db", count=4)
    await bound(fleet, Limit(1), Group("tag", "db"), Per.AT_ONCE)
    first, second, third, _, other = ids(fleet)[:5]
    await offer(fleet, rollout, first)
    await offer(fleet, rollout, other)  # not of the group
    with pytest.raises(asyncpg.CheckViolationError, match="budget_never_exceeded"):
        await offer(fleet, rollout, second)
    async with fleet.db.tenant(TENANT) as conn:
        (made,) = [o for o in await offers.of_rollout(conn, rollout) if o.endpoint_id == first]
        await offers.close(conn, [made.offer_id], "installed", fleet.clock.now_ms())
    await offer(fleet, rollout, second)
    with pytest.raises(asyncpg.CheckViolationError):
        await offer(fleet, rollout, third)
    async with fleet.db.tenant(TENANT) as conn:  # it died in mid-change; a person goes on knowing of it
        await conn.execute(
            """INSERT INTO brakeline.rollout_subject (tenant_id, rollout_id, endpoint_id, arm, ring, tick, region,
                 machine_class, attributes, u, generation, ready_at, baseline_failed, set_aside_at)
               VALUES ($1, $2, $3, 'treated', 0, 1, 'eu', 'server', '{}', 1, 1, now(), '{}', now())""",
            TENANT, rollout, second,
        )  # fmt: skip
    await offer(fleet, rollout, third)


async def test_a_pattern_is_a_budget_for_each_value_and_of_several_the_most_careful_holds(
    fleet: SmallFleet, rollout: str
) -> None:
    await tag(fleet, "site-a", count=8)
    await tag(fleet, "site-b", count=4)
    await bound(fleet, Limit(None, 500), Group("tag", "site-*"))
    found = {str(u.group): (u.cap, u.size) for u in await usages(fleet)}
    assert found == {"": (50, 8), "tag:site-a": (2, 4), "tag:site-b": (2, 4)}
    await bound(fleet, Limit(1), Group("tag", "site-b"))
    assert (await usage(fleet, Group("tag", "site-b"))).cap == 1
    await offer(fleet, rollout, ids(fleet)[0])
    with pytest.raises(asyncpg.CheckViolationError):
        await offer(fleet, rollout, ids(fleet)[1])
    await offer(fleet, rollout, ids(fleet)[4])


async def usages(fleet: SmallFleet) -> tuple[Usage, ...]:
    async with fleet.db.tenant(TENANT) as conn:
        return await budgets.usages(conn, fleet.clock.now_ms())


async def test_the_rule_of_every_tenant_is_the_same_in_both_languages(fleet: SmallFleet) -> None:
    assert (await usage(fleet)).cap == DEFAULT.cap(8) == 50
    await fleet.enrol(592)
    fleet.clock.advance(301)
    assert ((await usage(fleet)).cap, (await usage(fleet)).size) == (DEFAULT.cap(600), 600)


async def test_a_changed_budget_holds_from_the_next_offer_on(fleet: SmallFleet, rollout: str) -> None:
    await offer(fleet, rollout, ids(fleet)[0])
    await bound(fleet, Limit(1))
    with pytest.raises(asyncpg.CheckViolationError):
        await offer(fleet, rollout, ids(fleet)[1])
    await bound(fleet, Limit(2))
    await offer(fleet, rollout, ids(fleet)[1])


async def test_another_tenant_s_offers_are_not_ours(fleet: SmallFleet, rollout: str) -> None:
    await bound(fleet, Limit(1))
    async with fleet.db.tenant("te_2") as conn:
        assert (await budgets.of_the_fleet(conn, fleet.clock.now_ms())).cap == 50
        assert await budgets.budgets(conn) == ()
    await offer(fleet, rollout, ids(fleet)[0])
    async with fleet.db.tenant("te_2") as conn:
        assert (await budgets.of_the_fleet(conn, fleet.clock.now_ms())).used == 0


async def test_a_budget_without_bounds_is_refused_by_the_table_too(fleet: SmallFleet) -> None:
    for limit in (Limit(), Limit(0), Limit(200_000), Limit(None, 0), Limit(None, 1001)):
        with pytest.raises(asyncpg.CheckViolationError):
            await bound(fleet, limit)
    with pytest.raises(Invalid, match="there is no unlimited"):
        await fleet.service.limits.set_budget(OWNER)
