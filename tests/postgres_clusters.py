"""Throw-away PostgreSQL clusters for tests: one per provider and session, one migrated template, a copy per test.

A session that was killed leaves its directory behind; the next session stops that postmaster and removes it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import asyncpg
from tests.support import DEBIAN_15, require

from brakeline.platform.migrate import migrate
from brakeline.platform.postgres import RunningPostgres, start_postgres
from brakeline.platform.postgres_layout import APP, FEED, OWNER, SUPERUSER

PREFIX = "brakeline-test-pg"
NO_DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "120"}
MEMORY_BYTES_MIN = 2 << 30
BINDIRS: dict[str, Path | None] = {"wheel18": None, "debian15": DEBIAN_15}


def place() -> Path:
    """Memory, where there is enough: making a database from the template takes 10 ms there and 300 ms on a disk."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_BYTES_MIN:
        return memory
    return Path(tempfile.gettempdir())


class Cluster:
    """A running cluster that hands out migrated databases."""

    def __init__(self, name: str) -> None:
        bindir = BINDIRS[name]
        require(bindir is None or (bindir / "postgres").exists(), f"PostgreSQL programs at {bindir}")
        self.name = name
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}-{os.getpid()}-", dir=place()))
        self.root.chmod(0o755)  # root's cluster runs as nobody
        self.count = 0
        self.running: RunningPostgres = asyncio.run(
            start_postgres(self.root, bindir, extra_options=NO_DURABILITY, sync_initdb=False)
        )
        asyncio.run(migrate(self.running.dsn_owner))

    def dsn(self, role: str, database: str) -> str:
        return self.running.layout.dsn(role, database)

    async def new_database(self) -> TestDatabase:
        """A copy of the migrated database."""
        return await self._create("brakeline")

    async def empty_database(self) -> TestDatabase:
        """A database without a schema, for tests of migrations."""
        return await self._create("template0")

    async def _create(self, template: str) -> TestDatabase:
        self.count += 1
        name = f"test_{self.count}"
        conn = await asyncpg.connect(self.dsn(SUPERUSER, "postgres"))
        try:
            await conn.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER} STRATEGY FILE_COPY")
        finally:
            await conn.close()
        return TestDatabase(self, name)

    async def drop(self, name: str) -> None:
        conn = await asyncpg.connect(self.dsn(SUPERUSER, "postgres"))
        try:
            await conn.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            await conn.close()

    def close(self) -> None:
        asyncio.run(self.running.stop())
        shutil.rmtree(self.root)


class TestDatabase:
    """One database of a cluster, by its addresses."""

    __test__ = False  # no test class

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.dsn_super = cluster.dsn(SUPERUSER, name)
        self.dsn_owner = cluster.dsn(OWNER, name)
        self.dsn_app = cluster.dsn(APP, name)
        self.dsn_feed = cluster.dsn(FEED, name)


def sweep() -> None:
    """Stop and remove what sessions left behind whose process is gone."""
    for root in (r for base in {place(), Path(tempfile.gettempdir())} for r in base.glob(f"{PREFIX}-*")):
        match = re.match(rf"{PREFIX}-(\d+)-", root.name)
        if match is None or Path(f"/proc/{match[1]}").exists() or not os.access(root, os.W_OK):
            continue
        pid_file = root / "pg" / "postmaster.pid"
        if pid_file.exists():
            pid = int(pid_file.read_text().splitlines()[0])
            if Path(f"/proc/{pid}/cwd").exists() and os.readlink(f"/proc/{pid}/cwd") == str(root / "pg"):
                os.kill(pid, signal.SIGQUIT)
        shutil.rmtree(root, ignore_errors=True)
