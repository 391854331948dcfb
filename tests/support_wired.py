"""A whole server as `server.wiring` builds it, over TLS in the test's own loop, with a small seed of advisories.

For tests of what one part's commit makes another part do: nothing of it is put together by the test.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.postgres_clusters import TestDatabase
from tests.support_fleet import SmallFleet

from brakeline.core.clock import ManualClock
from brakeline.platform.clock import IdMaker, SystemClock
from brakeline.platform.postgres_roles import Dsns
from brakeline.platform.settings import Settings
from brakeline.platform.tls import ensure_tls
from brakeline.server.serve import Server, listen, make_server, started
from brakeline.server.wiring import Services, build
from brakeline.tenancy.model import Principal

PASSWORD = "four random words are good"
ROWS = [{"source": "curl", "cve": "CVE-2025-1", "fixed": "2.0-1", "date": "2025-05-05"}]


@dataclass
class Wired:
    """A running server, its first owner's session, and a fleet that its own services keep."""

    services: Services
    server: Server
    url: str
    port: int
    cookie: str
    owner: Principal
    token: str
    fleet: SmallFleet
    ca: Path

    async def imported(self, feed: str, *documents: dict[str, Any]) -> dict[str, Any]:
        """Through the API, as the command line does it."""
        body = "\n".join(map(json.dumps, documents)).encode()
        return await asyncio.to_thread(self._post, f"/api/v1/content/{feed}/import", body)

    def _post(self, path: str, body: bytes) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path, body, {"authorization": f"Bearer {self.token}", "content-type": "application/octet-stream"}
        )
        with urllib.request.urlopen(request, timeout=120, context=ssl.create_default_context(cafile=str(self.ca))) as a:
            return dict(json.load(a))

    def cut(self) -> None:
        """Every connection breaks; the server goes on."""
        for connection in list(self.server.server_state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()


def advisory(cve: str, package: str, fixed: str) -> dict[str, Any]:
    """One of Debian's, in OSV's shape."""
    events = [{"introduced": "0"}, {"fixed": fixed}]
    return {
        "id": f"DEBIAN-{cve}", "modified": "2026-11-20T00:00:00Z", "published": "2026-11-20T00:00:00Z",
        "aliases": [cve], "affected": [{"package": {"ecosystem": "Debian:12", "name": package},
                                        "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
    }  # fmt: skip


def small_seed(directory: Path, rows: Sequence[dict[str, str]] = ROWS) -> Path:
    """Content that comes with a product, a few rows of it."""
    directory.mkdir()
    text = "\n".join(map(json.dumps, rows))
    (directory / "rows.jsonl").write_text(text)
    entry = {
        "feed": "small", "file": "rows.jsonl", "kind": "advisories", "ecosystem": "debian:12", "rows": len(rows),
        "version": "1", "limits": "", "bytes": len(text.encode()), "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip
    (directory / "manifest.json").write_text(json.dumps({"feeds": [entry]}))
    return directory


@asynccontextmanager
async def running(test_database: TestDatabase, directory: Path) -> AsyncIterator[Wired]:
    """Serve until the block ends."""
    clock = SystemClock()
    settings = Settings(data_dir=directory, port=0)
    sock: socket.socket = listen("127.0.0.1", 0)
    port, tls = sock.getsockname()[1], ensure_tls(directory, (), clock)
    dsns = Dsns("", test_database.dsn_app, test_database.dsn_feed)
    services = await build(settings, port, dsns, tls, clock)
    await services.advisories.load_seed(small_seed(directory / "seed"))
    server = make_server(services.app, tls.certificate_file, tls.key_file, services.on_stop)
    serving = asyncio.create_task(server.serve([sock]))
    await services.start()
    await started(server, serving)
    try:
        yield await _entered(services, server, port, tls.ca_file)
    finally:
        server.stop()
        await serving
        await services.stop()
        sock.close()


async def _entered(services: Services, server: Server, port: int, ca: Path) -> Wired:
    link = await services.tenancy.bootstrap()
    assert link is not None
    session = await services.tenancy.redeem_login_link(link.secret)
    await services.tenancy.set_password(session.principal, PASSWORD)
    made = await services.tenancy.create_token(session.principal, "importer")
    fleet = SmallFleet(
        services.db, ManualClock(services.clock.now_ms()), IdMaker(services.clock), owner=session.principal
    )
    fleet.service = services.fleet
    return Wired(services, server, f"https://127.0.0.1:{port}", port, session.cookie, session.principal, made.secret,
                 fleet, ca)  # fmt: skip
