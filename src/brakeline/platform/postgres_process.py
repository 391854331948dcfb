"""Processes of the embedded PostgreSQL: make a cluster, start its postmaster, see whether it is ready or ours.

No locks and no decisions here: those are `postgres`. Everything blocks; callers use a thread.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from brakeline.core.errors import Fault
from brakeline.platform.postgres_identity import Identity
from brakeline.platform.postgres_layout import (
    PORT,
    SUPERUSER,
    Layout,
    options,
    own_directory,
    own_tree,
    write_access_rules,
)
from brakeline.platform.postgres_providers import Provider

START_S: Final = 60.0  # crash recovery after a power cut may take this long; a normal start takes 0.1 s
ORPHANS_S: Final = 10.0  # backends end by themselves when their postmaster is gone; never start beside them
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


def initdb(layout: Layout, provider: Provider, identity: Identity, sync: bool) -> None:
    """Make the cluster beside its place and move it there when it is whole."""
    fresh = layout.data_dir / "pg.new"
    shutil.rmtree(fresh, ignore_errors=True)
    own_directory(fresh, identity)
    command = [
        *identity.prefix, provider.program("initdb"), "-D", str(fresh), "-U", SUPERUSER,
        "--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=peer", "--no-instructions",
        *([] if sync else ["--no-sync"]),
    ]  # fmt: skip
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd="/", env=ENVIRONMENT,
        **identity.popen_arguments(),
    )  # fmt: skip
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise_failure("initdb failed", done.stderr, layout)
    fresh.rename(layout.cluster)


def launch(
    layout: Layout, provider: Provider, identity: Identity, extra_options: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start the postmaster; returns before it is ready."""
    if not wait_until(lambda: not processes_in(layout), ORPHANS_S):
        left = ", ".join(map(str, processes_in(layout)))
        raise PostgresFailed(f"processes of an earlier PostgreSQL still work in {layout.cluster}: {left}; end them")
    own_tree(layout.cluster, identity)
    own_directory(layout.socket_dir, identity)
    write_access_rules(layout, identity)
    layout.log.parent.mkdir(mode=0o700, exist_ok=True)
    if layout.log.exists() and layout.log.stat().st_size > LOG_BYTES_MAX:
        layout.log.replace(layout.log.with_suffix(".log.1"))
    command = [
        *identity.prefix, provider.program("postgres"), "-D", str(layout.cluster), "-h", "", "-p", str(PORT),
        "-k", str(layout.socket_dir), *options(provider.major, extra_options),
    ]  # fmt: skip
    with layout.log.open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=ENVIRONMENT,
            start_new_session=True,  # Ctrl-C at the terminal is for us; we then stop it in order
            **identity.popen_arguments(),
        )  # fmt: skip


def wait_ready(layout: Layout, pid: int, alive: Callable[[], bool]) -> None:
    """Until the pid file says ready. Raises `PostgresFailed` with the log's last lines when it ends instead."""
    pid_file = layout.cluster / "postmaster.pid"

    def ready() -> bool:
        with contextlib.suppress(OSError, IndexError):
            lines = pid_file.read_text().splitlines()
            if int(lines[0]) == pid and lines[7].strip() == "ready":
                return True
        return not alive()

    if not wait_until(ready, START_S):
        raise PostgresFailed(f"PostgreSQL was not ready within {START_S:.0f} s; see {layout.log}")
    if not alive():
        tail = layout.log.read_text(errors="replace")[-2000:] if layout.log.exists() else ""
        raise_failure("PostgreSQL ended at once", tail, layout)


def exists(pid: int) -> bool:
    """Whether any process has this number."""
    return Path(f"/proc/{pid}").exists()


def processes_in(layout: Layout) -> list[int]:
    """Every postgres process of this cluster: the postmaster, or what a killed one left behind."""
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and is_our_postmaster(int(p.name), layout)]


def is_our_postmaster(pid: int, layout: Layout) -> bool:
    """Whether process `pid` is a postgres that works in our cluster (its working directory always is the cluster)."""
    try:
        where = os.readlink(f"/proc/{pid}/cwd")
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return False
    return name == "postgres" and where == str(layout.cluster)


def raise_failure(what: str, output: str, layout: Layout) -> NoReturn:
    last = "; ".join(line.strip() for line in output.strip().splitlines()[-4:])
    if "No space left on device" in output or "Disk quota exceeded" in output:
        raise DiskFull(f"{what} in {layout.data_dir}: {last}")
    raise PostgresFailed(f"{what}: {last or 'it said nothing'} (log: {layout.log})")


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True
