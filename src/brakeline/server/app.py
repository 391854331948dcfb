"""The server as one ASGI application: what endpoints ask raw, `/api/v1` by FastAPI, the rest to the console.

`/agent/v1/*`, `/trust/v1/*` and `/cell/v1/*` are dispatched before any framework: cheap. `/healthz` says that the
process runs, `/readyz` that it can serve (database reachable, schema migrated), `/metrics` is for Prometheus. People's
requests get a request id and are measured.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from brakeline import __version__
from brakeline.core.errors import Invalid, Unavailable
from brakeline.events.decide import Network
from brakeline.platform.observe import Asgi, Receive, Scope, Send
from brakeline.platform.web import BoundedBodies, install_problem_handlers
from brakeline.server.install import KIT, SCRIPT, Installer
from brakeline.server.metrics import readable
from brakeline.server.trust_plane import PREFIX as TRUST_PREFIX

AGENT_PREFIX: Final = "/agent/v1/"
CELL_PREFIX: Final = "/cell/v1/"

Ready = Callable[[], Awaitable[None]]
Answer = tuple[int, bytes, bytes]  # status, content type, body


def make_api(routers: tuple[Any, ...]) -> FastAPI:
    """People's API from the slices' routers."""
    api = FastAPI(
        title="Brakeline",
        version=__version__,
        summary="Patch management that cannot become the outage.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its pages load scripts from elsewhere; the committed document is docs/reference/openapi.json
        redoc_url=None,
    )
    install_problem_handlers(api)
    own = [
        route.path_regex for router in routers for route in router.routes
        if isinstance(route, APIRoute) and route.body_field is None and "requestBody" in (route.openapi_extra or {})
    ]  # fmt: skip
    api.add_middleware(BoundedBodies, own=own)
    for router in routers:
        api.include_router(router)
    return api


class App:
    """Dispatch by path."""

    def __init__(
        self, agent_plane: Asgi, trust_plane: Asgi, cell_plane: Asgi, api: Asgi, console: Asgi, ready: Ready,
        installer: Installer, metrics_for: tuple[Network, ...],
    ) -> None:  # fmt: skip
        self._agent_plane, self._trust_plane, self._api, self._console = agent_plane, trust_plane, api, console
        self._cell_plane = cell_plane
        self._ready = ready
        self._installer, self._metrics_for = installer, metrics_for
        self._own: dict[str, Callable[[Scope], Awaitable[Answer]]] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            SCRIPT: self._script,
            KIT: self._kit,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith(AGENT_PREFIX):
            await self._agent_plane(scope, receive, send)
        elif path.startswith(TRUST_PREFIX):
            await self._trust_plane(scope, receive, send)
        elif path.startswith(CELL_PREFIX):
            await self._cell_plane(scope, receive, send)
        elif path in self._own and scope["method"] in ("GET", "HEAD"):
            await _respond(send, *await self._own[path](scope), head=scope["method"] == "HEAD")
        elif path.startswith(("/api/", "/v1/")):  # the second is OSV's own
            await self._api(scope, receive, send)
        else:
            await self._console(scope, receive, send)

    async def _healthz(self, _: Scope) -> Answer:
        return 200, b"application/json", b'{"status":"alive"}'

    async def _readyz(self, _: Scope) -> Answer:
        try:
            await self._ready()
        except Unavailable as e:
            return 503, b"application/json", json.dumps({"status": "not ready", "reason": str(e)}).encode()
        return 200, b"application/json", b'{"status":"ready"}'

    async def _metrics(self, scope: Scope) -> Answer:
        return readable(scope, self._metrics_for)

    async def _script(self, scope: Scope) -> Answer:
        try:
            return 200, b"text/x-shellscript; charset=utf-8", await self._installer.script(_host(scope))
        except Invalid as e:
            return 400, b"text/plain; charset=utf-8", str(e).encode()
        except Unavailable as e:
            return 503, b"text/plain; charset=utf-8", str(e).encode()

    async def _kit(self, _: Scope) -> Answer:
        try:
            return 200, b"application/x-tar", (await self._installer.kit()).data
        except Unavailable as e:
            return 503, b"text/plain; charset=utf-8", str(e).encode()


def _host(scope: Scope) -> str:
    return next((v.decode("latin-1") for k, v in scope["headers"] if k == b"host"), "")


async def _respond(send: Send, status: int, kind: bytes, body: bytes, *, head: bool) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    if status == 503:
        headers.append((b"retry-after", b"2"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})
