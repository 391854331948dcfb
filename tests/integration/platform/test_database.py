"""Transactions of one tenant; the database away is `Unavailable`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from tests.postgres_clusters import NO_DURABILITY, TestDatabase

from brakeline.core.errors import Bug, Invalid, Unavailable
from brakeline.platform.database import Database

ADD = "INSERT INTO brakeline.person VALUES ('te_a', 'pe_1', 'a@example.org', 'A', '{owner}', now(), 'pe_1')"


async def test_a_transaction_ends_as_a_whole(database: Database) -> None:
    async def half() -> None:
        async with database.tenant("te_a") as conn:
            await conn.execute(ADD)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await half()
    async with database.tenant("te_a") as conn:
        assert await conn.fetchval("SELECT count(*) FROM brakeline.person") == 0


async def test_no_quote_gets_into_the_tenant(database: Database) -> None:
    with pytest.raises(Bug):
        async with database.tenant("x', true); SELECT 1 --"):
            pass


async def test_the_feed_cannot_touch_tenants_rows(database: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.feed() as conn:
            await conn.fetch("SELECT * FROM brakeline.person")


async def test_the_feed_may_think_for_long_between_two_statements_and_nobody_else(database: Database) -> None:
    asked = "SELECT current_setting('idle_in_transaction_session_timeout')"
    async with database.feed() as conn:
        assert await conn.fetchval(asked) == "10min"
    async with database.tenant("te_a") as conn:
        assert await conn.fetchval(asked) == "1min"
    async with database.feed() as conn:  # the setting was of that transaction alone, and is made anew
        assert await conn.fetchval(asked) == "10min"


async def test_no_database_at_all_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await Database.open(f"postgresql:///brakeline?host={tmp_path}&user=brakeline_app")


async def test_a_database_that_goes_away_is_unavailable_and_comes_back(
    database: Database, test_database: TestDatabase
) -> None:
    killer = await asyncpg.connect(test_database.cluster.dsn("postgres", "postgres"))
    kick = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{test_database.name}'"

    async def cut_off() -> None:
        async with database.tenant("te_a") as conn:
            await killer.execute(kick)
            await conn.execute(ADD)

    with pytest.raises(Unavailable):
        await cut_off()
    async with database.tenant("te_a") as conn:
        assert await conn.fetchval("SELECT count(*) FROM brakeline.person") == 0
    await killer.close()


async def test_the_callers_own_errors_pass_unchanged(database: Database) -> None:
    with pytest.raises(FileNotFoundError):
        async with database.system():
            Path("/does/not/exist").read_text()


@pytest.mark.parametrize("kept", ["$1::text", "jsonb_build_object('a', $1::text)", "to_jsonb($1::text)"])
@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
async def test_a_text_that_cannot_be_kept_is_refused_as_such(database: Database, kept: str, text: str) -> None:
    with pytest.raises(Invalid, match="cannot be kept"):
        async with database.tenant("te_a") as conn:
            await conn.fetchval(f"SELECT {kept}", text)


async def test_what_is_no_text_at_all_stays_an_error_of_ours(database: Database) -> None:
    with pytest.raises(asyncpg.DataError):
        async with database.tenant("te_a") as conn:
            await conn.fetchval("SELECT 1 / $1::int", 0)


async def test_closing_lets_a_transaction_end_but_not_for_ever(
    test_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brakeline.platform.database.CLOSE_S", 0.2)
    database = await Database.open(test_database.dsn_app)
    begun = asyncio.Event()

    async def transaction(seconds: float) -> None:
        async with database.tenant("te_a") as conn:
            begun.set()
            await conn.execute(ADD)
            await conn.execute("SELECT pg_sleep($1)", seconds)

    short = asyncio.create_task(transaction(0.05))
    await begun.wait()
    await database.close()
    await short
    database = await Database.open(test_database.dsn_app)
    async with database.tenant("te_a") as conn:
        assert await conn.fetchval("DELETE FROM brakeline.person RETURNING 1") == 1
    begun.clear()
    endless = asyncio.create_task(transaction(60))
    await begun.wait()
    await database.close()
    with pytest.raises(Unavailable):
        await endless


async def test_too_many_at_once_wait_for_a_connection(database: Database) -> None:
    async def one() -> int:
        async with database.tenant("te_a") as conn:
            value: int = await conn.fetchval("SELECT 1 FROM pg_sleep(0.01)")
            return value

    assert sum(await asyncio.gather(*(one() for _ in range(30)))) == 30


def test_only_tests_give_up_durability() -> None:
    from brakeline.platform.postgres_layout import OPTIONS

    assert not set(NO_DURABILITY) & set(OPTIONS) - {"max_connections"}
