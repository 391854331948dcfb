"""What listens inside the fleet's namespaces: the apt proxy and the relay to the server, in one process per fleet.

`python -m tools.fleetbox.services SPEC` (JSON) makes its listening sockets inside the core namespace by setns(2) and
connects from this machine's own. It writes "listening" when all of them are there.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from tools.fleetbox import cgroups
from tools.fleetbox.network import gateway, listen_in
from tools.fleetbox.proxy import ArchiveCache, serve
from tools.fleetbox.settings import PROXY_PORT, REPOSITORY, FleetError, Place
from tools.fleetbox.sources import Archive, apt_setting

RELAY_CHUNK = 1 << 16


@contextmanager
def proxy_on_loopback(place: Place, source: Archive) -> Iterator[str]:
    """The same cache for building layers: its address on this machine while the context lasts."""
    listener = socket.create_server(("127.0.0.1", 0))
    cache = ArchiveCache(place.cache / "http", source.origins, None, apt_setting("Acquire::http::Proxy"))
    server = serve(listener, cache)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.shutdown()
        server.server_close()


def archive_state(proxy: str, source: Archive, suite: str) -> tuple[str, bool]:
    """Digest of the archive's signed indexes, and whether they are of now (False: the archive cannot be reached)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))
    digest, current = sha256(), True
    for uri in (f"{source.main.as_http}/dists/{suite}", f"{source.security.as_http}/dists/{suite}-security"):
        try:
            with opener.open(f"{uri}/InRelease", timeout=90) as response:
                digest.update(response.read())
                current = current and "Warning" not in response.headers
        except (urllib.error.URLError, OSError) as error:
            raise FleetError(f"The package archive of this machine's apt sources cannot be reached: {error}") from None
    return digest.hexdigest(), current


def start(place: Place, regions: tuple[str, ...], source: Archive, server_port: int) -> int:
    """Start the fleet's service process; its pid, once it listens. `server_port` 0 = no relay."""
    place.repository.mkdir(parents=True, exist_ok=True)
    spec = {
        "namespace": place.namespace("core"),
        "gateways": [gateway(index) for index in range(len(regions))],
        "cache": str(place.cache / "http"),
        "origins": source.origins,
        "repository": str(place.repository),
        "upstream_proxy": apt_setting("Acquire::http::Proxy"),
        "server_port": server_port,
        "group": place.namespace("services"),
    }
    cgroups.create(place.namespace("services"), limited=False)
    with (place.run / "services.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.fleetbox.services", json.dumps(spec)],
            cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        if process.stdout.readline() != b"listening\n":
            raise FleetError(f"The fleet's apt proxy did not start: see {place.run / 'services.log'}.")
    return process.pid


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Carry one connection's bytes to the server and back; the end of either side ends both."""
    try:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:  # the server is down: the endpoint sees its connection closed, as behind any forwarder
        writer.close()
        return
    try:
        await asyncio.wait(
            [
                asyncio.ensure_future(_copy(reader, upstream_writer)),
                asyncio.ensure_future(_copy(upstream_reader, writer)),
            ],
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        upstream_writer.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(RELAY_CHUNK):
            writer.write(data)
            await writer.drain()


async def _main(spec: dict[str, object]) -> None:
    namespace, port, gateways = str(spec["namespace"]), spec["server_port"], spec["gateways"]
    assert isinstance(gateways, list)
    assert isinstance(port, int)
    origins = spec["origins"]
    assert isinstance(origins, list)
    cache = ArchiveCache(
        Path(str(spec["cache"])), tuple(origins), Path(str(spec["repository"])), str(spec["upstream_proxy"])
    )
    for host in gateways:
        serve(listen_in(namespace, host, PROXY_PORT), cache)
        if port:
            await asyncio.start_server(lambda r, w: _relay(r, w, port), sock=listen_in(namespace, host, port))
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    spec = json.loads(sys.argv[1])
    cgroups.join(spec["group"])  # before anything else: `down` finds us by it
    asyncio.run(_main(spec))
