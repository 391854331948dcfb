"""Logs, metrics and request ids: how the server tells what it does.

One event a line, with the facts as fields: `logger.info("endpoint-enrolled", endpoint_id=…)`; event names are
kebab-case and stable. Fields never hold secrets (tokens, cookies, keys). Every request has an id (`rq_…`) that
stands in its log lines, in its answer's header `X-Request-Id` and in each problem document.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from brakeline.core.clock import Clock

REGISTRY: Final = CollectorRegistry(auto_describe=True)  # of this process; rendered at /metrics
logger: Final = structlog.stdlib.get_logger("brakeline")
request_id_now: ContextVar[str] = ContextVar("request_id", default="")

REQUESTS = Histogram(
    "brakeline_request_seconds",
    "Time to answer people's requests",
    ["method", "route", "status"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0),
    registry=REGISTRY,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


def set_up_logs(form: str = "console", level: str = "info") -> None:
    """Log to stderr, as JSON lines (`form="json"`) or for eyes (`"console"`). stdout stays free for answers.

    Tracebacks are plain: those of `rich`, structlog's default where it is installed, print every local variable,
    passwords and tokens of requests among them, and take seconds of CPU for a request of a megabyte.
    """
    plain = structlog.dev.plain_traceback
    last: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _with_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if form == "json" else []),
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _with_request_id(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    request_id = request_id_now.get()
    if request_id:
        event.setdefault("request_id", request_id)
    return event


def render_metrics() -> bytes:
    """The registry in Prometheus' text format."""
    return generate_latest(REGISTRY)


class RequestContext:
    """ASGI middleware: gives every HTTP request its id, measures it. Put it outermost around people's routes."""

    def __init__(self, app: Asgi, new_id: Callable[[], str], clock: Clock) -> None:
        self._app, self._new_id, self._clock = app, new_id, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._new_id()
        token = request_id_now.set(request_id)
        begun_s = self._clock.monotonic_s()
        status = 500

        async def send_with_id(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            route = getattr(scope.get("route"), "path", "other")  # the pattern, so that labels stay few
            REQUESTS.labels(scope["method"], route, str(status)).observe(self._clock.monotonic_s() - begun_s)
            request_id_now.reset(token)
