"""A server with a large fleet, for `bench.exposure_console`: made once, kept in a directory, and copied for each run.

Invariants: what is kept is never written to after it was made; a directory with anything else in it is refused. One
that other code has made (its rows are of other rules), or another number of endpoints, is made anew.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import _estate
from bench._kept import write_fleet
from bench._proc import python
from brakeline.advisories.importing import Importing
from brakeline.exposure import rules
from brakeline.exposure.model import Role
from brakeline.platform.clock import SystemClock
from brakeline.platform.migrate import migrate
from brakeline.platform.postgres import RunningPostgres, start_postgres
from brakeline.platform.postgres_roles import Dsns
from brakeline.platform.settings import Settings
from brakeline.platform.tls import ensure_tls
from brakeline.server.wiring import Services, build

ALMA = "osv-almalinux"
REACHED = 0.01  # of the endpoints have the package that an advisory is about: counting them is not in the figures
NAMES = 64
FORMAT = 2  # of what `_fill` writes down
BEGUN = "begun"  # written first: what it lies in is ours to remove
MADE = "made.json"  # written last: without it a directory is half made


async def started_postgres(directory: Path) -> tuple[RunningPostgres, Dsns]:
    running = await start_postgres(directory / "data")
    await migrate(running.dsn_owner)
    return running, Dsns(running.dsn_owner, running.dsn_app, running.dsn_feed)


async def services_in(directory: Path, dsns: Dsns, port: int) -> Services:
    clock = SystemClock()
    return await build(Settings(data_dir=directory), port, dsns, ensure_tls(directory, (), clock), clock)


async def _fill(directory: Path, endpoints: int) -> dict[str, Any]:
    """Advisories, the fleet, and the snapshot of its index; gives what a run has to know."""
    units, made, newest = _estate.estates(_estate.advisories())
    index = _estate.index_for(endpoints, units, made, newest, 7)
    names = sorted(
        (name for name in index.orders if name[0] == _estate.DEBIAN and name[2] is Role.ACTIVE),
        key=lambda n: abs(len(index.keys.union(one for _, one in index.orders[n])) - endpoints * REACHED),
    )[:NAMES]
    running, dsns = await started_postgres(directory)
    try:
        services = await services_in(directory, dsns, 0)
        link = await services.tenancy.bootstrap()
        assert link is not None
        owner = (await services.tenancy.redeem_login_link(link.secret)).principal
        await services.advisories.load_seed()

        async def first() -> str:
            return owner.tenant_id

        alma = (_estate.DATA / "osv" / f"{ALMA}.jsonl.zst").read_bytes()
        await Importing(services.db, services.clock, services.advisories, first, {}).import_file(owner, ALMA, alma)
        exposure = services.exposure
        fingerprint = (await exposure.knowledge()).fingerprint
        await write_fleet(services.db, running.dsn_super, index, exposure._rules(), fingerprint, owner.tenant_id)
        exposure._kept.clear()  # it was opened while there was no fleet
        await exposure._ensure(owner.tenant_id)
        await exposure._prune(owner.tenant_id)
        await exposure._write_down(owner.tenant_id)
        judged_by = exposure._kept[owner.tenant_id].rules
        await services.stop()
    finally:
        await running.stop()
    return {"endpoints": endpoints, "rules": judged_by, "names": [name[1] for name in names]}


def site(directory: Path, endpoints: int, kept: Path | None) -> dict[str, Any]:
    """Put a server's data into `directory`, from `kept` where it fits; gives what a run has to know."""
    if kept is None:
        return _filled(directory, endpoints)
    made = kept / MADE
    if made.exists():
        found: dict[str, Any] = json.loads(made.read_text())
        if found["endpoints"] == endpoints and found["code"] == _code():
            subprocess.run(["cp", "-a", "--reflink=auto", f"{kept}/.", str(directory)], check=True)
            return found
        print(f"{kept} is of {found['endpoints']:,} endpoints or of other code: it is made anew", flush=True)
    elif kept.exists() and any(kept.iterdir()) and not (kept / BEGUN).exists():
        raise SystemExit(f"{kept} has something in it and is no fleet that was kept: name another directory")
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True, mode=0o755)
    (kept / BEGUN).touch()
    found = _filled(kept, endpoints) | {"code": _code()}
    made.write_text(json.dumps(found))
    return site(directory, endpoints, kept)


def _code() -> str:
    """Names what a kept fleet is made by: the code that judges, and this."""
    return f"{rules.code()}-{FORMAT}"


def _filled(directory: Path, endpoints: int) -> dict[str, Any]:
    """By a process of its own, so that what it takes is not in the server's."""
    command = [python(), "-m", "bench._site", str(directory), str(endpoints)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_fill(Path(sys.argv[1]), int(sys.argv[2])))))
