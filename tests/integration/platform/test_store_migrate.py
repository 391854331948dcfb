"""Migrations: forward only, once, never edited, never older than the database."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.postgres_clusters import Cluster, TestDatabase

from brakeline.core.errors import Bug
from brakeline.platform.migrate import (
    DIRECTORY,
    LOCK_KEY,
    DatabaseNewer,
    HistoryEdited,
    MigrationFailed,
    migrate,
    read_migrations,
)


@pytest.fixture
async def empty(postgres: Cluster) -> AsyncIterator[TestDatabase]:
    made = await postgres.empty_database()
    yield made
    await postgres.drop(made.name)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Only the foundation, so that tests can add what they like."""
    shutil.copy(DIRECTORY / "0001_foundation.sql", tmp_path)
    return tmp_path


async def test_all_files_are_applied_once_and_then_there_is_nothing_to_do(empty: TestDatabase) -> None:
    applied = await migrate(empty.dsn_owner)
    assert applied == tuple(f"{m.number:04}_{m.name}" for m in read_migrations())
    assert await migrate(empty.dsn_owner) == ()


async def test_two_servers_that_start_at_once_apply_each_file_once(empty: TestDatabase) -> None:
    first, second = await asyncio.gather(migrate(empty.dsn_owner), migrate(empty.dsn_owner))
    assert sorted([len(first), len(second)]) == [0, len(read_migrations())]


async def test_an_edited_file_is_refused(empty: TestDatabase, directory: Path) -> None:
    await migrate(empty.dsn_owner, directory)
    with (directory / "0001_foundation.sql").open("a") as f:
        f.write("-- innocent\n")
    with pytest.raises(HistoryEdited, match="0001_foundation"):
        await migrate(empty.dsn_owner, directory)


async def test_a_database_of_a_newer_release_is_refused(empty: TestDatabase, directory: Path) -> None:
    newer = directory / "0999_newer.sql"
    newer.write_text("CREATE TABLE brakeline.t (x int);")
    await migrate(empty.dsn_owner, directory)
    newer.unlink()
    with pytest.raises(DatabaseNewer, match="0999"):
        await migrate(empty.dsn_owner, directory)


async def test_a_failing_migration_leaves_nothing_behind_and_names_itself(empty: TestDatabase, directory: Path) -> None:
    (directory / "0002_bad.sql").write_text("CREATE TABLE brakeline.half (x int); SELECT 1 / 0;")
    with pytest.raises(MigrationFailed, match="0002_bad: division by zero"):
        await migrate(empty.dsn_owner, directory)
    conn = await asyncpg.connect(empty.dsn_owner)
    assert await conn.fetchval("SELECT to_regclass('brakeline.half')") is None
    assert await conn.fetchval("SELECT max(number) FROM brakeline.schema_migration") == 1
    await conn.close()


async def test_a_migration_does_not_wait_for_ever_for_a_table(
    empty: TestDatabase, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brakeline.platform.migrate.LOCK_TIMEOUT", "50ms")
    await migrate(empty.dsn_owner, directory)
    (directory / "0002_alter.sql").write_text("ALTER TABLE brakeline.person ADD COLUMN x int;")
    reader = await asyncpg.connect(empty.dsn_super)
    async with reader.transaction():
        await reader.execute("LOCK TABLE brakeline.person IN ACCESS SHARE MODE")
        with pytest.raises(MigrationFailed, match="lock timeout"):
            await migrate(empty.dsn_owner, directory)
    assert await migrate(empty.dsn_owner, directory) == ("0002_alter",)
    await reader.close()


async def test_a_second_migrator_waits_a_while_and_then_says_so(
    empty: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brakeline.platform.migrate.LOCK_TIMEOUT", "50ms")
    other = await asyncpg.connect(empty.dsn_owner)
    await other.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    with pytest.raises(MigrationFailed, match="another migration"):
        await migrate(empty.dsn_owner)
    await other.close()


@pytest.mark.parametrize("name", ["1_short.sql", "0002-dash.sql", "0001_twice.sql"])
def test_bad_names_and_numbers_used_twice_are_our_bug(directory: Path, name: str) -> None:
    (directory / name).write_text("SELECT 1;")
    with pytest.raises(Bug):
        read_migrations(directory)
