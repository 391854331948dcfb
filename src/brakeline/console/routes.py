"""The console as one ASGI application: `build_console(state)`; mount it last, at the root of the server.

It brings its own error pages and headers, and nothing in it needs a lifespan. `Console.feed.stop()` must be called
when the server is told to end (uvicorn's `handle_exit`), else an open stream holds the shutdown up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brakeline.console.assets import load_assets
from brakeline.console.desk import Desk
from brakeline.console.feed import Feed
from brakeline.console.gatehouse import Gatehouse
from brakeline.console.kit import Kit, NotLoggedIn, login_redirect
from brakeline.console.pages_account import AccountPages
from brakeline.console.pages_catalog import CatalogPages
from brakeline.console.pages_cells import CellPages
from brakeline.console.pages_change import ChangePages
from brakeline.console.pages_content import ContentPages
from brakeline.console.pages_events import EventPages
from brakeline.console.pages_findings import FindingPages
from brakeline.console.pages_fleet import FleetPages
from brakeline.console.pages_lead import LeadPages
from brakeline.console.pages_limits import LimitsPages
from brakeline.console.pages_pool import PoolPages
from brakeline.console.pages_release import ReleasePages
from brakeline.console.pages_restart import RestartPages
from brakeline.console.pages_rollback import RollbackPages
from brakeline.console.pages_runs import RunPages
from brakeline.console.pages_sbom import SbomPages
from brakeline.console.pages_stop import StopPages
from brakeline.console.render import Renderer
from brakeline.console.screens import Doors, Screens
from brakeline.console.security import PAGE_HEADERS
from brakeline.console.services import services_of
from brakeline.core.errors import BrakelineError, Fault, Invalid, NotFound

Handler = Callable[[Request, Exception], Awaitable[Response]]
Pages = Callable[[Kit], list[Route]]


class Console:
    """ASGI application with the handle that the server needs at its end."""

    def __init__(self, app: ASGIApp, feed: Feed) -> None:
        self._app, self.feed = app, feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)


def build(screens: Screens, doors: Doors, *, dev: bool = False, feed: Feed | None = None,
          drills: Pages | None = None) -> Console:  # fmt: skip
    """The console over any screens and doors: the real ones (`build_console`) or the twin. `drills`: the pages of the
    slice above."""
    assets = load_assets()
    kit = Kit(Renderer(assets), screens, doors, feed or Feed(), dev=dev)
    routes = [
        *FindingPages(kit).routes(), *RunPages(kit).routes(), *FleetPages(kit).routes(),
        *RestartPages(kit).routes(), *ChangePages(kit).routes(),  # in this order: ids match the other's path
        *RollbackPages(kit).routes(),
        *LeadPages(kit).routes(),  # before the acts on a release
        *ReleasePages(kit).routes(), *StopPages(kit).routes(), *LimitsPages(kit).routes(), *CellPages(kit).routes(),
        *EventPages(kit).routes(), *PoolPages(kit).routes(), *ContentPages(kit).routes(), *SbomPages(kit).routes(),
        *CatalogPages(kit).routes(),
        *AccountPages(kit, assets).routes(),
    ]  # fmt: skip
    if drills is not None:
        kit.drills = True
        routes += drills(kit)
    if dev:  # else its samples are not even loaded: a quarter of a CPU-second of every start
        from brakeline.console.specimens import SpecimenPages

        routes += SpecimenPages(kit).routes()
    handlers: dict[Any, Handler] = {
        NotLoggedIn: _not_logged_in,
        Fault: _fault_page(kit),
        HTTPException: _http_error(kit),
    }
    return Console(Starlette(routes=routes, exception_handlers=handlers), kit.feed)


async def _not_logged_in(request: Request, _: Exception) -> Response:
    return login_redirect(request)


def _fault_page(kit: Kit) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        assert isinstance(error, BrakelineError)
        return kit.error(request, error)

    return handle


def _http_error(kit: Kit) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return kit.error(request, NotFound(f"nothing is at {request.url.path[:80]}"))
        return kit.error(request, Invalid(f"{request.method} is not possible at {request.url.path[:80]}"))

    return handle


def _with_headers(send: Send) -> Send:
    """Add the page headers to what has none of its own."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            _add(message)
        await send(message)

    return wrapped


def _add(message: MutableMapping[str, Any]) -> None:
    headers = message.setdefault("headers", [])
    present = {name.lower() for name, _ in headers}
    message["headers"] = [
        *headers,
        *((k.encode(), v.encode()) for k, v in PAGE_HEADERS.items() if k.encode() not in present),
    ]


def build_console(state: Any, drills: Pages | None = None) -> Console:
    """The console of a server. What it needs of `state` is the fields of `services.Services`."""
    services = services_of(state)
    doors = Gatehouse(services.tenancy, services.break_glass)
    return build(Desk(services), doors, dev=services.settings.specimens, drills=drills)
