"""Every table has a class, and nobody reads or writes across tenants, by raw SQL as the application's own role."""

from __future__ import annotations

import asyncpg
import pytest
from tests.postgres_clusters import TestDatabase

from brakeline.core.clock import ManualClock
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database

TABLES = """
SELECT c.oid::regclass::text AS name, coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
       c.relrowsecurity AND c.relforcerowsecurity AS forced, c.relispartition AS is_partition,
       (SELECT array_agg(p.polname::text) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
       (SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = c.oid AND i.indisprimary) AS first_of_key,
       pg_get_userbyid(c.relowner) AS owner,
       ARRAY(SELECT p FROM unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE','TRUNCATE']) p
             WHERE has_table_privilege('brakeline_app', c.oid, p)) AS app,
       ARRAY(SELECT p FROM unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE','TRUNCATE']) p
             WHERE has_table_privilege('brakeline_feed', c.oid, p)) AS feed
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%'
ORDER BY 1
"""


def objections(table: asyncpg.Record) -> list[str]:
    """What is wrong with one table's class, as sentences; empty = nothing."""
    found = []
    kind = table["comment"].partition(";")[0].removeprefix("class=")
    if table["is_partition"]:
        return [f"{table['name']}: the application reaches a partition directly"] if table["app"] else []
    if kind not in {"tenant", "shared", "system"}:
        return [f"{table['name']}: not classified; call brakeline.declare_…_table in its migration"]
    if table["owner"] != "brakeline_owner":
        found.append(f"{table['name']}: owned by {table['owner']}")
    if kind == "tenant":
        if not table["forced"] or table["policies"] != ["tenant"]:
            found.append(f"{table['name']}: row-level security is not forced by exactly the policy 'tenant'")
        if table["first_of_key"] != "tenant_id":
            found.append(f"{table['name']}: its primary key does not lead with tenant_id")
        if table["feed"] or "TRUNCATE" in table["app"]:
            found.append(f"{table['name']}: rights too wide for a tenant table")
    if kind == "shared" and table["app"] != ["SELECT"]:
        found.append(f"{table['name']}: the application may do {table['app']} on a shared table")
    if kind == "system" and (table["app"] or table["feed"]):
        found.append(f"{table['name']}: a system table is reachable directly")
    return found


async def all_objections(dsn: str) -> list[str]:
    conn = await asyncpg.connect(dsn)
    try:
        tables = await conn.fetch(TABLES)
    finally:
        await conn.close()
    assert len(tables) >= 8
    return [o for table in tables for o in objections(table)]


async def test_every_table_has_a_class_and_the_rights_of_it(test_database: TestDatabase) -> None:
    assert await all_objections(test_database.dsn_super) == []


@pytest.mark.parametrize(
    ("planted", "says"),
    [
        ("CREATE TABLE brakeline.stray (tenant_id text, x int)", "not classified"),
        ("CREATE TABLE public.stray (x int)", "not classified"),
        (
            "CREATE TABLE brakeline.weak (tenant_id text, x int, PRIMARY KEY (x, tenant_id)); "
            "SELECT brakeline.declare_tenant_table('brakeline.weak')",
            "does not lead with tenant_id",
        ),
        ("ALTER TABLE brakeline.person NO FORCE ROW LEVEL SECURITY", "not forced"),
        ("CREATE POLICY wider ON brakeline.person USING (true)", "not forced by exactly"),
        ("GRANT SELECT ON brakeline.session TO brakeline_app", "reachable directly"),
        (
            "CREATE TABLE brakeline.product (x int PRIMARY KEY); SELECT brakeline.declare_shared_table("
            "'brakeline.product'); GRANT INSERT ON brakeline.product TO brakeline_app",
            "on a shared table",
        ),
    ],
)
async def test_a_planted_violation_is_found(test_database: TestDatabase, planted: str, says: str) -> None:
    conn = await asyncpg.connect(test_database.dsn_super)
    await conn.execute("SET ROLE brakeline_owner" if "public" not in planted else "RESET ROLE")
    await conn.execute(planted)
    await conn.close()
    found = await all_objections(test_database.dsn_super)
    assert len(found) == 1
    assert says in found[0]


async def test_the_application_role_is_weak(test_database: TestDatabase) -> None:
    conn = await asyncpg.connect(test_database.dsn_super)
    roles = await conn.fetch(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles "
        "WHERE rolname LIKE 'brakeline%'"
    )
    owned = await conn.fetchval("SELECT count(*) FROM pg_class WHERE relowner = 'brakeline_app'::regrole")
    member = await conn.fetchval("SELECT pg_has_role('brakeline_app', 'brakeline_owner', 'MEMBER')")
    await conn.close()
    assert {r["rolname"] for r in roles} == {"brakeline_owner", "brakeline_app", "brakeline_feed"}
    assert [v for r in roles for v in r.values() if v is True] == []
    assert owned == 0
    assert member is False


ADD = "INSERT INTO brakeline.person VALUES ('te_a', 'pe_1', 'a@example.org', 'A', '{owner}', now(), 'pe_1')"


async def test_other_tenants_rows_cannot_be_seen_changed_or_made(database: Database) -> None:
    async with database.tenant("te_a") as conn:
        await conn.execute(ADD)
    async with database.tenant("te_b") as conn:
        assert await conn.fetch("SELECT * FROM brakeline.person") == []
        assert await conn.execute("UPDATE brakeline.person SET name = 'B'") == "UPDATE 0"
        assert await conn.execute("DELETE FROM brakeline.person") == "DELETE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await conn.execute(ADD.replace("pe_1", "pe_2"))
    async with database.tenant("te_a") as conn:
        assert await conn.fetchval("SELECT name FROM brakeline.person") == "A"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await conn.execute("UPDATE brakeline.person SET tenant_id = 'te_b'")


async def test_a_missing_tenant_is_an_error_and_so_is_the_empty_one_left_behind(database: Database) -> None:
    async with database.tenant("te_a") as conn:
        await conn.execute(ADD)
    for _ in range(2):  # the second time on a connection that had a tenant before
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant is set"):
            async with database.system() as conn:
                await conn.fetch("SELECT * FROM brakeline.person")
        async with database.tenant("te_a") as conn:
            assert len(await conn.fetch("SELECT * FROM brakeline.person")) == 1


@pytest.mark.parametrize("table", ["tenant", "credential", "session", "login_link", "api_token", "schema_migration"])
async def test_system_tables_are_closed(database: Database, table: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        async with database.tenant("te_a") as conn:
            await conn.fetch(f"SELECT * FROM brakeline.{table}")


async def test_ids_made_later_sort_later(ids: IdMaker, clock: ManualClock) -> None:
    first = ids.new("ep")
    clock.advance(0.001)
    assert first < ids.new("ep")
