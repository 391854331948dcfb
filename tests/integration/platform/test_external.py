"""`--dsn`: somebody else's PostgreSQL, with roles of our making or of an administrator's."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.postgres_clusters import NO_DURABILITY

from brakeline.core.errors import Unavailable
from brakeline.platform.database import Database
from brakeline.platform.migrate import migrate
from brakeline.platform.postgres import RunningPostgres, start_postgres
from brakeline.platform.postgres_layout import write_access_rules
from brakeline.platform.postgres_roles import RolesMissing, prepare_external

PASSWORDS = "local all admin scram-sha-256\nlocal all weak scram-sha-256\nlocal all brakeline_app scram-sha-256\n"


@pytest.fixture
async def foreign() -> AsyncIterator[RunningPostgres]:
    """A cluster that asks for passwords, with an administrator and a user who may create nothing."""
    root = Path(tempfile.mkdtemp(prefix="brk-"))
    root.chmod(0o755)
    running = await start_postgres(root, extra_options=NO_DURABILITY, sync_initdb=False)
    conn = await asyncpg.connect(running.layout.dsn("postgres", "postgres"))
    for statement in (
        "DROP DATABASE brakeline", "DROP ROLE brakeline_app", "DROP ROLE brakeline_feed", "DROP ROLE brakeline_owner",
        "CREATE ROLE admin LOGIN CREATEROLE PASSWORD 'pw'", "CREATE ROLE weak LOGIN PASSWORD 'pw'",
        'CREATE DATABASE "our db" OWNER admin',
    ):  # fmt: skip
        await conn.execute(statement)
    rules = PASSWORDS + PASSWORDS.splitlines()[2].replace("_app", "_feed") + "\n"
    write_access_rules(running.layout, running.identity, rules)
    await conn.execute("SELECT pg_reload_conf()")
    await conn.close()
    yield running
    await running.stop()
    shutil.rmtree(root)


def dsn(running: RunningPostgres, user: str, password: str = "pw") -> str:
    return running.layout.dsn(user, "our%20db") + f"&password={password}"


async def test_roles_are_made_with_passwords_that_stay(foreign: RunningPostgres, tmp_path: Path) -> None:
    first = await prepare_external(dsn(foreign, "admin"), tmp_path / "secrets")
    assert len(await migrate(first.dsn_owner)) > 0
    again = await prepare_external(dsn(foreign, "admin"), tmp_path / "secrets")
    assert again == first
    assert await migrate(again.dsn_owner) == ()
    database = await Database.open(again.dsn_app, again.dsn_feed)
    async with database.tenant("te_a") as conn:
        assert await conn.fetchval("SELECT current_user::text") == "brakeline_app"
        assert await conn.fetchval("SELECT count(*) FROM brakeline.person") == 0
    async with database.feed() as conn:
        assert await conn.fetchval("SELECT current_user::text") == "brakeline_feed"
    await database.close()
    owner = await asyncpg.connect(foreign.layout.dsn("postgres", "our%20db"))
    owners = await owner.fetch("SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'brakeline'")
    await owner.close()
    assert [r["tableowner"] for r in owners] == ["brakeline_owner"]
    for path in (tmp_path / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_who_may_not_create_roles_is_told_what_an_administrator_has_to_run(
    foreign: RunningPostgres, tmp_path: Path
) -> None:
    with pytest.raises(RolesMissing, match="CREATE ROLE brakeline_app LOGIN"):
        await prepare_external(dsn(foreign, "weak"), tmp_path)
    given = await prepare_external(dsn(foreign, "weak"), tmp_path, "postgresql://app@db/b", "postgresql://feed@db/b")
    assert (given.dsn_app, given.dsn_feed) == ("postgresql://app@db/b", "postgresql://feed@db/b")


async def test_a_wrong_password_is_said(foreign: RunningPostgres, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="check user and password"):
        await prepare_external(dsn(foreign, "admin", "wrong"), tmp_path)
