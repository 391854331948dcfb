"""`brakeline server run`: database, migrations, TLS, services, listening; one line when ready; ends in order.

Order matters: the port is taken first (a taken port costs nothing then), the database is up before anything is
served, the context file for the command line is written before `ready` is printed, and `ready` is printed only after
the server answered its own `GET /readyz` over TLS. SIGTERM: exit code 0 within 5 s, of which at most 1.3 s belong to
requests in progress (`serve`), 1.5 s to services (`wiring`) and 2 s to PostgreSQL (`platform.postgres`); it takes less
than 1 s when nothing hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from brakeline.core.errors import Fault
from brakeline.platform.clock import SystemClock
from brakeline.platform.migrate import migrate
from brakeline.platform.observe import logger, set_up_logs
from brakeline.platform.postgres import RunningPostgres, start_postgres
from brakeline.platform.postgres_roles import Dsns, prepare_external
from brakeline.platform.settings import Settings
from brakeline.platform.tls import SERVER_NAME, TlsFiles, ensure_tls
from brakeline.server.serve import listen, make_server, started
from brakeline.server.wiring import Services, build
from brakeline.tenancy.model import system_principal

CONTEXT_TTL_S: Final = 30 * 24 * 60 * 60  # renewed at every start
READY_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: what `after_ready` of `serve` gets."""

    url: str
    services: Services


AfterReady = Callable[[Running], Awaitable[None]]


def serve(settings: Settings, after_ready: AfterReady | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code. A `Fault` at the start is printed, and gives 1."""
    set_up_logs(settings.log_format, settings.log_level)
    try:
        uvloop.run(_serve(settings, after_ready))
    except Fault as e:
        print(f"brakeline: {e}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: Settings, after_ready: AfterReady | None) -> None:
    clock = SystemClock()
    sock = listen(settings.host, settings.port)
    port = sock.getsockname()[1]
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        tls = ensure_tls(settings.data_dir, settings.public_names, clock)
        async with _database(settings) as dsns:
            services = await build(settings, port, dsns, tls, clock)
            try:
                server = make_server(services.app, tls.certificate_file, tls.key_file, services.on_stop)
                serving = asyncio.create_task(server.serve([sock]), name="serving")
                await services.start()
                await started(server, serving)
                await _announce(services, tls, port)
                if after_ready is not None:
                    await after_ready(Running(f"https://127.0.0.1:{port}", services))
                await serving
            finally:
                await services.stop()
    finally:
        sock.close()


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Dsns]:
    """Addresses of a migrated database: the one that `dsn` names, or the embedded one, kept running meanwhile."""
    if settings.dsn is not None:
        dsns = await prepare_external(settings.dsn, settings.data_dir / "secrets", settings.dsn_app, settings.dsn_feed)
        await migrate(dsns.dsn_owner)
        yield dsns
        return
    postgres = await start_postgres(settings.data_dir, settings.pg_bindir)
    keeper = asyncio.create_task(_keep(postgres), name="postgres-keeper")
    try:
        await migrate(postgres.dsn_owner)
        yield Dsns(postgres.dsn_owner, postgres.dsn_app, postgres.dsn_feed)
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        await postgres.stop()


async def _keep(postgres: RunningPostgres) -> None:
    """Start PostgreSQL again when it has gone; a failure is logged and tried again."""
    while True:
        await asyncio.sleep(1.0)
        if not postgres.alive():
            try:
                logger.warning("postgres-restarted", report=await postgres.ensure())
            except Fault as e:
                logger.error("postgres-down", reason=str(e))


async def _announce(services: Services, tls: TlsFiles, port: int) -> None:
    """Make the first owner, write the command line's context, print the login link and the ready line."""
    url = f"https://127.0.0.1:{port}"
    link = await services.tenancy.bootstrap()
    await _write_context(services, tls, url)
    async with asyncio.timeout(READY_S):
        await _until_ready(tls, port)
    if link is not None:
        print(f"login link {url}/login/{link.secret}  (once, for {link.person.email})", flush=True)
    print(f"ready {url}", flush=True)


async def _write_context(services: Services, tls: TlsFiles, url: str) -> None:
    tenant = await services.tenancy.first_tenant()
    made = await services.tenancy.create_token(
        system_principal(tenant.tenant_id, "command line of this machine"),
        "command line of this machine", ttl_s=CONTEXT_TTL_S, replace=True,
    )  # fmt: skip
    context = {"url": url, "ca_file": str(tls.ca_file.resolve()), "token": made.secret}
    _write_private(services.settings.data_dir / "context.json", json.dumps(context, indent=1).encode())


def _write_private(path: Path, data: bytes) -> None:
    """0600 from its first byte, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    part.replace(path)


async def _until_ready(tls: TlsFiles, port: int) -> None:
    """Ask ourselves, as anybody else would, until /readyz says 200."""
    context = ssl.create_default_context(cafile=str(tls.ca_file))
    while await _status(context, port) != 200:  # noqa: ASYNC110 - nothing tells us but asking
        await asyncio.sleep(0.05)


async def _status(context: ssl.SSLContext, port: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=SERVER_NAME)
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            line = await reader.readline()
            return int(line.split()[1])
        finally:
            writer.close()
    return 0
