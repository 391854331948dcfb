"""uvicorn as this product needs it: TLS, uvloop, long keep-alive, an orderly end within seconds and exit code 0.

`uvicorn.run` raises the signal again after its work and so ends with 143; this `Server` does not. `on_stop` runs when
every connection knows that its present answer is its last: long-polls and feeds must answer then, or they hold it up,
and whoever is answered does not come back on the same connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

import uvicorn

from brakeline.core.errors import Fault

KEEP_ALIVE_S: Final = 120  # above the check-in interval: a new TLS handshake costs as much as 20 check-ins
GRACEFUL_S: Final = 1  # requests in progress; everything must end within 5 s of SIGTERM
ARRIVED_S: Final = 0.02  # what had arrived before the signal is read by then, and answered, not cut
FLUSH_S: Final = 0.2  # answers written last are on their way by then
BACKLOG: Final = 2048  # connections waiting to be accepted after a restart


class PortTaken(Fault):
    """The port is used by another program."""

    code = "port-taken"
    hint = "Stop that program, or choose another port with --port N (0 = any free one)."


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a taken port is found before anything else is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(BACKLOG)  # SO_REUSEADDR lets two programs bind; only one of them can listen
    except OSError as e:
        made.close()
        raise PortTaken(f"{host}:{port}: {e.strerror}") from None
    made.setblocking(False)
    return made


class Server(uvicorn.Server):
    """Ends by itself on SIGTERM or SIGINT and leaves the exit code to us."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        kept = {s: signal.signal(s, self.handle_exit) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for sig, handler in kept.items():
                signal.signal(sig, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.sleep(ARRIVED_S)
        # Comes after the first, synchronous part of `shutdown`, which closes idle connections and marks the others.
        asyncio.get_running_loop().call_soon(self._on_stop)
        ending = asyncio.create_task(self._drop_idle())
        await super().shutdown(sockets)
        ending.cancel()

    async def _drop_idle(self) -> None:
        """Once no request is in progress, drop what is still connected.

        Closing a TLS connection waits for the other side's goodbye, and an idle agent says none for minutes.
        """
        while self.server_state.tasks:  # noqa: ASYNC110 - a set of uvicorn's, nothing tells of its change
            await asyncio.sleep(0.02)
        await asyncio.sleep(FLUSH_S)
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    def stop(self) -> None:
        """As a signal would."""
        self.should_exit = True


def make_server(app: Any, certificate: Path, key: Path, on_stop: Callable[[], None]) -> Server:
    """A server for `app` with TLS from the installation's own files."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_S,
        backlog=BACKLOG,
        ssl_certfile=str(certificate),
        ssl_keyfile=str(key),
    )
    return Server(config, on_stop)


async def started(server: Server, serving: asyncio.Task[None]) -> None:
    """Wait until the server accepts connections, or raise what ended it."""
    while not server.started:
        if serving.done():
            serving.result()
            raise Fault("the server ended before it had started")
        await asyncio.sleep(0.01)
