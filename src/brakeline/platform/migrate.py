"""Forward-only migrations: numbered SQL files, each in one transaction, applied in order of number, once.

What always holds: one migrator at a time (advisory lock); a migration that waits for a lock gives up before it
queues up the application behind it; the text of an applied file never changes (its SHA-256 is kept); a database
that has seen newer migrations than this code knows is refused. There is no way back but a restored backup.
The files are in `migrations/`; `0001_foundation.sql` has the functions that declare the class of each table.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from brakeline.core.errors import Bug, Fault
from brakeline.platform.postgres_layout import OWNER
from brakeline.platform.postgres_roles import connect

DIRECTORY: Final = Path(__file__).parent / "migrations"
LOCK_KEY: Final = 0x62726B6C  # "brkl": any constant of our own
LOCK_TIMEOUT: Final = "4s"  # a blocked ALTER TABLE blocks everybody behind it: better fail and try again
STATEMENT_TIMEOUT: Final = "60s"  # a longer change of data belongs into a reconciler, in batches

LEDGER = """
CREATE SCHEMA IF NOT EXISTS brakeline;
CREATE TABLE IF NOT EXISTS brakeline.schema_migration (
  number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())
"""


class DatabaseNewer(Fault):
    """The database was used by a newer Brakeline than this one."""

    code = "database-newer"
    hint = "Start the newer release again, or restore the backup made before the upgrade."


class HistoryEdited(Fault):
    """A migration that was already applied has another text now."""

    code = "migration-edited"
    hint = "Never edit an applied migration: restore the file and write a new one with the next number."


class MigrationFailed(Fault):
    """A migration could not be applied; the database is as it was before it."""

    code = "migration-failed"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(directory: Path = DIRECTORY) -> tuple[Migration, ...]:
    """Every file of `directory`, in order of number. Raises `Bug` on a bad name or a number used twice."""
    found: dict[int, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)\.sql", path.name)
        if match is None:
            raise Bug(f"{path.name}: migrations are named NNNN_words.sql")
        number = int(match[1])
        if number in found:
            raise Bug(f"migration number {number:04} is used by {found[number].name} and {match[2]}")
        found[number] = Migration(number, match[2], path.read_text(encoding="utf-8"))
    return tuple(found[n] for n in sorted(found))


def pending(known: tuple[Migration, ...], applied: dict[int, str]) -> tuple[Migration, ...]:
    """Which of `known` are to be applied, given number -> SHA-256 of those that were. Pure.

    Raises `DatabaseNewer` and `HistoryEdited`.
    """
    numbers = {m.number for m in known}
    newer = sorted(set(applied) - numbers)
    if newer:
        raise DatabaseNewer(f"it has migration {newer[-1]:04}, which is unknown here.")
    for m in known:
        if m.number in applied and applied[m.number] != m.sha256:
            raise HistoryEdited(f"{m.number:04}_{m.name}.sql")
    return tuple(m for m in known if m.number not in applied)


async def migrate(dsn_owner: str, directory: Path = DIRECTORY) -> tuple[str, ...]:
    """Bring the database up to this code; the names of what was applied now (empty = nothing to do)."""
    known = read_migrations(directory)
    conn = await connect(dsn_owner, lock_timeout=LOCK_TIMEOUT, statement_timeout=STATEMENT_TIMEOUT)
    try:
        await _become_owner(conn)
        await conn.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        await conn.execute(LEDGER)
        rows = await conn.fetch("SELECT number, sha256 FROM brakeline.schema_migration")
        todo = pending(known, {r["number"]: r["sha256"] for r in rows})
        for migration in todo:
            await _apply(conn, migration)
    except asyncpg.LockNotAvailableError as e:
        raise MigrationFailed(f"another migration runs, or a table is in use: {e}. Try again.") from None
    finally:
        await conn.close()
    return tuple(f"{m.number:04}_{m.name}" for m in todo)


async def _become_owner(conn: asyncpg.Connection[asyncpg.Record]) -> None:
    """Act as `brakeline_owner`, so that tables never belong to an administrator's or superuser's login."""
    await conn.execute(f"SET ROLE {OWNER}")


async def _apply(conn: asyncpg.Connection[asyncpg.Record], migration: Migration) -> None:
    label = f"{migration.number:04}_{migration.name}"
    try:
        async with conn.transaction():
            await conn.execute("SET LOCAL search_path = brakeline, pg_temp")
            await conn.execute(migration.sql)
            await conn.execute(
                "INSERT INTO brakeline.schema_migration (number, name, sha256) VALUES ($1, $2, $3)",
                migration.number, migration.name, migration.sha256,
            )  # fmt: skip
    except asyncpg.LockNotAvailableError:
        raise
    except asyncpg.PostgresError as e:
        raise MigrationFailed(f"{label}: {e}") from e
