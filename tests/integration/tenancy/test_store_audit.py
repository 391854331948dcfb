"""The audit log only grows, its chain shows every change, and writers at the same time do not tear it."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from tests.postgres_clusters import TestDatabase

from brakeline.core.clock import ManualClock
from brakeline.platform.database import Database
from brakeline.tenancy import audit
from brakeline.tenancy.model import system_principal

WHO = system_principal("te_a", "test")


async def write(database: Database, clock: ManualClock, count: int, tenant: str = "te_a") -> None:
    for i in range(count):
        async with database.tenant(tenant) as conn:
            await audit.append(conn, clock, WHO, "thing.do", f"ob_{i}", {"ü": i}, {"ü": i + 1, "a": None})


async def check(database: Database, tenant: str = "te_a") -> audit.Verified:
    async with database.tenant(tenant) as conn:
        return await audit.verify(conn, tenant)


async def tamper(test_database: TestDatabase, statement: str) -> None:
    """What somebody does who got hold of a superuser's login."""
    conn = await asyncpg.connect(test_database.dsn_super)
    await conn.execute(f"SET session_replication_role = replica; {statement}")
    await conn.close()


async def test_an_untouched_log_is_intact_and_an_empty_one_too(database: Database, clock: ManualClock) -> None:
    assert await check(database) == audit.Verified(0, "")
    await write(database, clock, 3)
    found = await check(database)
    assert (found.entries, found.intact) == (3, True)


@pytest.mark.parametrize(
    ("statement", "problem", "good"),
    [
        ("UPDATE brakeline.audit_entry SET after = '{}' WHERE sequence = 2", "entry 2 was changed", 1),
        ("UPDATE brakeline.audit_entry SET actor_name = 'else' WHERE sequence = 3", "entry 3 was changed", 2),
        (
            "UPDATE brakeline.audit_entry SET at = at + interval '1 ms' WHERE sequence = 1",
            "entry 1 was changed",
            0,
        ),
        ("DELETE FROM brakeline.audit_entry WHERE sequence = 2", "entry 2 is missing", 1),
        ("DELETE FROM brakeline.audit_entry WHERE sequence = 4", "the chain ends at 3, but 4 entries were written", 3),
        ("DELETE FROM brakeline.audit_entry WHERE sequence = 1", "entry 1 is missing", 0),
        (
            "UPDATE brakeline.audit_entry SET after = 'x', hash = brakeline.audit_hash(previous_hash, ARRAY[tenant_id, "
            "sequence::text, (extract(epoch FROM at) * 1000)::bigint::text, actor_kind, actor_id, actor_name, action, "
            "object_id, before, 'x']) WHERE sequence = 2",
            "entry 3 does not follow",
            2,
        ),
    ],
)
async def test_every_kind_of_tampering_is_found(
    database: Database, test_database: TestDatabase, clock: ManualClock, statement: str, problem: str, good: int
) -> None:
    await write(database, clock, 4)
    await tamper(test_database, statement)
    found = await check(database)
    assert problem in found.problem
    assert found.entries == good


@pytest.mark.parametrize("role", ["app", "owner", "super"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE brakeline.audit_entry SET action = 'x'",
        "DELETE FROM brakeline.audit_entry",
        "TRUNCATE brakeline.audit_entry",
    ],
)
async def test_change_and_removal_are_refused_to_every_role(
    database: Database, test_database: TestDatabase, clock: ManualClock, role: str, statement: str
) -> None:
    await write(database, clock, 1)
    conn = await asyncpg.connect(getattr(test_database, f"dsn_{role}"))
    await conn.execute("SELECT set_config('brakeline.tenant', 'te_a', false)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"append-only|permission denied"):
        await conn.execute(statement)
    await conn.close()
    assert (await check(database)).entries == 1


async def test_the_application_cannot_write_entries_past_the_function(database: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        async with database.tenant("te_a") as conn:
            await conn.execute("INSERT INTO brakeline.audit_entry SELECT * FROM brakeline.audit_entry")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        async with database.tenant("te_a") as conn:
            await conn.execute("UPDATE brakeline.audit_head SET sequence = 0")


async def test_writers_at_the_same_time_and_of_two_tenants_keep_two_whole_chains(
    database: Database, clock: ManualClock
) -> None:
    await asyncio.gather(*(write(database, clock, 10, tenant) for tenant in ("te_a", "te_b") for _ in range(4)))
    for tenant in ("te_a", "te_b"):
        found = await check(database, tenant)
        assert (found.entries, found.problem) == (40, "")


async def test_an_act_that_is_rolled_back_leaves_no_entry(database: Database, clock: ManualClock) -> None:
    async def half() -> None:
        async with database.tenant("te_a") as conn:
            await audit.append(conn, clock, WHO, "thing.do", "ob")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await half()
    await write(database, clock, 1)
    assert (await check(database)).entries == 1


async def test_one_tenants_log_is_not_anothers(database: Database, clock: ManualClock) -> None:
    await write(database, clock, 2)
    async with database.tenant("te_b") as conn:
        assert await audit.entries_before(conn, None, 10) == ()
    async with database.tenant("te_a") as conn:
        assert [e.sequence for e in await audit.entries_before(conn, None, 10)] == [2, 1]
        assert [e.sequence for e in await audit.entries_before(conn, 2, 10)] == [1]
