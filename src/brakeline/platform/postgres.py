"""The supervisor of the embedded PostgreSQL: `await start_postgres(data_dir)` -> `RunningPostgres`.

What always holds: no TCP listener; sockets and data in 0700 directories; one supervisor for one cluster (a lock);
a killed supervisor leaves the postmaster running, and the next start adopts it; `stop()` is a fast shutdown; a
cluster made by another major version is refused with what to do; nothing of a half-made cluster is ever used.
`postgres_providers` finds the programs, `postgres_identity` decides as whom they run, `postgres_layout` has the
places and options, `postgres_roles` makes database and roles. With `--dsn` none of this runs: see `postgres_roles`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, NoReturn

from brakeline.core.errors import Fault
from brakeline.platform.postgres_identity import Identity, choose_identity
from brakeline.platform.postgres_layout import (
    APP,
    FEED,
    OWNER,
    PORT,
    SUPERUSER,
    Layout,
    layout_at,
    options,
    own_directory,
    own_tree,
    write_access_rules,
)
from brakeline.platform.postgres_providers import Provider, find_provider, providers
from brakeline.platform.postgres_roles import ensure_database

START_S: Final = 60.0  # crash recovery after a power cut may take this long; a normal start takes 0.1 s
STOP_S: Final = 3.5  # then immediate shutdown (recovers at the next start): the server must end within 5 s
POLL_S: Final = 0.01
LOG_BYTES_MAX: Final = 10 * 1024 * 1024  # one older file is kept, so the log never takes more than twice this
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


class PostgresFailed(Fault):
    """The embedded PostgreSQL could not be started."""

    code = "postgres-failed"


class DiskFull(Fault):
    """The disk is full, so the database cannot work."""

    code, status = "disk-full", 507
    hint = "Free some space (at least 200 MB) on the file system of the data directory and start again."


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
        return _is_our_postmaster(self.pid, self.layout)

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
            _wait_until(lambda: not self.alive(), STOP_S)
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
            _refuse_other_major(layout, provider)
            if _adopt(running):
                return running
            if not layout.cluster.exists():
                _initdb(running, sync_initdb)
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
        if e.errno in {28, 122}:  # ENOSPC, EDQUOT
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
    """Take over a postmaster that a killed supervisor left behind; clears a stale pid file."""
    pid_file = running.layout.cluster / "postmaster.pid"
    try:
        lines = pid_file.read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, ValueError, IndexError):
        return False
    if not _is_our_postmaster(pid, running.layout):
        pid_file.unlink(missing_ok=True)  # its process is gone, and its number may be another program's by now
        return False
    socket_dir = lines[4].strip() if len(lines) > 4 else ""
    if Path(lines[1]) != running.layout.cluster or socket_dir != str(running.layout.socket_dir):
        raise PostgresFailed(
            f"a PostgreSQL (pid {pid}) that Brakeline did not start uses {running.layout.cluster} "
            f"(socket directory {socket_dir or 'none'}). Stop it and start again."
        )
    running.pid, running.adopted = pid, True
    _wait_ready(running)
    return True


def _is_our_postmaster(pid: int, layout: Layout) -> bool:
    """Whether process `pid` is a postgres whose working directory is our cluster (a postmaster's always is)."""
    try:
        where = os.readlink(f"/proc/{pid}/cwd")
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return False
    return name == "postgres" and where == str(layout.cluster)


def _initdb(running: RunningPostgres, sync: bool) -> None:
    """Make the cluster beside its place and move it there when it is whole."""
    fresh = running.layout.data_dir / "pg.new"
    shutil.rmtree(fresh, ignore_errors=True)
    own_directory(fresh, running.identity)
    command = [
        *running.identity.prefix, running.provider.program("initdb"), "-D", str(fresh), "-U", SUPERUSER,
        "--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=peer", "--no-instructions",
        *([] if sync else ["--no-sync"]),
    ]  # fmt: skip
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd="/", env=ENVIRONMENT,
        **running.identity.popen_arguments(),
    )  # fmt: skip
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        _raise_failure("initdb failed", done.stderr, running.layout)
    fresh.rename(running.layout.cluster)


def _launch(running: RunningPostgres) -> None:
    layout, identity = running.layout, running.identity
    own_tree(layout.cluster, identity)
    own_directory(layout.socket_dir, identity)
    write_access_rules(layout, identity)
    layout.log.parent.mkdir(mode=0o700, exist_ok=True)
    if layout.log.exists() and layout.log.stat().st_size > LOG_BYTES_MAX:
        layout.log.replace(layout.log.with_suffix(".log.1"))
    command = [
        *identity.prefix, running.provider.program("postgres"), "-D", str(layout.cluster), "-h", "", "-p", str(PORT),
        "-k", str(layout.socket_dir), *options(running.provider.major, running.extra_options),
    ]  # fmt: skip
    with layout.log.open("ab") as log:
        running.child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=ENVIRONMENT,
            start_new_session=True,  # Ctrl-C at the terminal is for us; we then stop it in order
            **identity.popen_arguments(),
        )  # fmt: skip
    running.pid, running.adopted = running.child.pid, False
    _wait_ready(running)


def _wait_ready(running: RunningPostgres) -> None:
    """Until the pid file says ready. Raises `PostgresFailed` with the log's last lines when it ends instead."""
    pid_file = running.layout.cluster / "postmaster.pid"

    def ready() -> bool:
        with contextlib.suppress(OSError, IndexError):
            lines = pid_file.read_text().splitlines()
            if int(lines[0]) == running.pid and lines[7].strip() == "ready":
                return True
        return not running.alive()

    if not _wait_until(ready, START_S):
        raise PostgresFailed(f"PostgreSQL was not ready within {START_S:.0f} s; see {running.layout.log}")
    if not running.alive():
        tail = running.layout.log.read_text(errors="replace")[-2000:] if running.layout.log.exists() else ""
        _raise_failure("PostgreSQL ended at once", tail, running.layout)


def _raise_failure(what: str, output: str, layout: Layout) -> NoReturn:
    last = "; ".join(line.strip() for line in output.strip().splitlines()[-4:])
    if "No space left on device" in output or "Disk quota exceeded" in output:
        raise DiskFull(f"{what} in {layout.data_dir}: {last}")
    raise PostgresFailed(f"{what}: {last or 'it said nothing'} (log: {layout.log})")


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True
