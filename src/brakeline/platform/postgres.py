"""The supervisor of the embedded PostgreSQL: `await start_postgres(data_dir)` -> `RunningPostgres`.

What always holds: no TCP listener; sockets and data in 0700 directories; one supervisor for one cluster (a lock);
a killed supervisor leaves the postmaster running, and the next start adopts it; `stop()` is a fast shutdown; a
cluster made by another major version is refused with what to do; nothing of a half-made cluster is ever used.
`postgres_providers` finds the programs, `postgres_identity` decides as whom they run, `postgres_layout` has the
places and options, `postgres_process` starts them, `postgres_roles` makes database and roles. With `--dsn` none of
this runs: see `postgres_roles`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from brakeline.core.errors import Fault
from brakeline.platform.postgres_identity import Identity, choose_identity
from brakeline.platform.postgres_layout import (
    APP,
    FEED,
    OWNER,
    SUPERUSER,
    Layout,
    layout_at,
    refuse_foreign_owner,
)
from brakeline.platform.postgres_process import (
    DiskFull,
    PostgresFailed,
    exists,
    initdb,
    is_our_postmaster,
    launch,
    processes_in,
    wait_ready,
    wait_until,
)
from brakeline.platform.postgres_providers import Provider, find_provider, providers
from brakeline.platform.postgres_roles import ensure_database

__all__ = ["AlreadyRunning", "DiskFull", "PostgresFailed", "RunningPostgres", "WrongMajor", "start_postgres"]

STOP_S: Final = 2.0  # then immediate shutdown (recovers at the next start): the server must end within 5 s
NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class WrongMajor(Fault):
    """The data directory was made by another major version of PostgreSQL."""

    code = "wrong-postgres-major"


class AlreadyRunning(Fault):
    """Another Brakeline server uses this data directory."""

    code, status = "already-running", 409
    hint = "Stop it first, or choose another data directory with --data DIR."


@dataclass(slots=True)
class RunningPostgres:
    """A running cluster and the right to stop it."""

    layout: Layout
    provider: Provider
    identity: Identity
    lock: IO[str]
    pid: int = 0
    adopted: bool = False  # it was running before we came
    extra_options: dict[str, str] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None

    @property
    def dsn_super(self) -> str:
        return self.layout.dsn(SUPERUSER)

    @property
    def dsn_owner(self) -> str:
        return self.layout.dsn(OWNER)

    @property
    def dsn_app(self) -> str:
        return self.layout.dsn(APP)

    @property
    def dsn_feed(self) -> str:
        return self.layout.dsn(FEED)

    def alive(self) -> bool:
        """Whether the postmaster still runs."""
        if self.child is not None:
            return self.child.poll() is None
        return is_our_postmaster(self.pid, self.layout)

    async def ensure(self) -> str:
        """Start the postmaster again if it has gone; one line of what was found. For a reconciler."""
        if self.alive():
            return f"PostgreSQL runs (pid {self.pid})"
        await asyncio.to_thread(_launch, self)
        return f"PostgreSQL had gone and was started again (pid {self.pid})"

    async def stop(self) -> None:
        """Fast shutdown (sessions end, a checkpoint is written); immediate after `STOP_S`. Releases the lock."""
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        for sig in (signal.SIGINT, signal.SIGQUIT):
            if not self.alive():
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)
            wait_until(lambda: not self.alive(), STOP_S)
        self.lock.close()


async def start_postgres(
    data_dir: Path,
    pg_bindir: Path | None = None,
    *,
    extra_options: dict[str, str] | None = None,
    sync_initdb: bool = True,
) -> RunningPostgres:
    """A running cluster below `data_dir` with database and roles, adopted or started, made first if need be.

    `extra_options` and `sync_initdb=False` are for tests that may lose data. Raises a `Fault` that says what to do.
    """
    running = await asyncio.to_thread(_prepare_and_start, data_dir, pg_bindir, extra_options or {}, sync_initdb)
    try:
        await ensure_database(running.layout.dsn(SUPERUSER, "postgres"))
    except BaseException:
        await running.stop()
        raise
    return running


def _prepare_and_start(
    data_dir: Path, pg_bindir: Path | None, extra_options: dict[str, str], sync_initdb: bool
) -> RunningPostgres:
    with _disk_full_said(data_dir):
        layout = layout_at(data_dir)
        lock = _locked(layout)
        try:
            provider = find_provider(pg_bindir)
            identity, provider = choose_identity(provider, layout.data_dir)
            running = RunningPostgres(layout, provider, identity, lock, extra_options=extra_options)
            refuse_foreign_owner(layout, identity)
            _refuse_other_major(layout, provider)
            if _adopt(running):
                return running
            if not layout.cluster.exists():
                initdb(layout, provider, identity, sync_initdb)
            _launch(running)
        except BaseException:
            lock.close()
            raise
    return running


@contextlib.contextmanager
def _disk_full_said(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if e.errno in NO_SPACE:
            raise DiskFull(f"while preparing {data_dir}") from None
        raise PostgresFailed(f"cannot prepare {data_dir}: {e.strerror or e}") from e


def _locked(layout: Layout) -> IO[str]:
    """The supervisor's lock; the kernel frees it when the process ends, however it ends."""
    lock = layout.lock.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read(20).strip()
        lock.close()
        raise AlreadyRunning(f"{layout.data_dir} is in use by process {holder or 'unknown'}.") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _refuse_other_major(layout: Layout, provider: Provider) -> None:
    version = layout.cluster / "PG_VERSION"
    if not version.exists():
        return
    major = int(version.read_text().strip() or 0)
    if major == provider.major:
        return
    fitting = next((p for p in providers() if p.major == major), None)
    way = f"--pg-bindir {fitting.bindir}" if fitting else f"--pg-bindir DIR with PostgreSQL {major}'s programs"
    raise WrongMajor(
        f"{layout.cluster} belongs to PostgreSQL {major}, but {provider.bindir} is {provider.major}. "
        f"Start with {way}; or, to move up, dump with those programs (pg_dump -Fc brakeline), start Brakeline "
        "with an empty data directory, and restore (pg_restore)."
    )


def _adopt(running: RunningPostgres) -> bool:
    """Take over a postmaster that a killed supervisor left behind; clears a pid file whose number is reused."""
    layout = running.layout
    pid_file = layout.cluster / "postmaster.pid"
    try:
        lines = pid_file.read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, ValueError, IndexError):
        return False
    if not is_our_postmaster(pid, layout):
        if exists(pid) and not processes_in(layout):
            pid_file.unlink(missing_ok=True)  # another program has its number now, and PostgreSQL would not dare
        return False
    socket_dir = lines[4].strip() if len(lines) > 4 else ""
    if Path(lines[1]) != layout.cluster or socket_dir != str(layout.socket_dir):
        raise PostgresFailed(
            f"a PostgreSQL (pid {pid}) that Brakeline did not start uses {layout.cluster} "
            f"(socket directory {socket_dir or 'none'}). Stop it and start again."
        )
    running.pid, running.adopted = pid, True
    try:
        wait_ready(layout, pid, running.alive)
    except PostgresFailed:
        if running.alive():
            raise
        return False  # it was shutting down when we came
    return True


def _launch(running: RunningPostgres) -> None:
    running.child = launch(running.layout, running.provider, running.identity, running.extra_options)
    running.pid, running.adopted = running.child.pid, False
    wait_ready(running.layout, running.pid, running.alive)
