"""What all routes of people's API share: problem documents (RFC 9457), cursors, pages, how much may be sent.

A `Fault` raised anywhere becomes `application/problem+json` with a stable `code`; a `Bug` becomes a 500 that tells
nothing of our insides but the request id to look for in the log. Bodies are bounded before anybody is asked who sends.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from brakeline.core.errors import BrakelineError, Bug, Fault, Invalid
from brakeline.platform.observe import Asgi, Receive, Scope, Send, logger, request_id_now

T = TypeVar("T")
API_BODY_BYTES_MAX: Final = 2 * 1024 * 1024  # read whole before anybody is asked who sends it; the longest are lists
RETRY_AFTER_S = 2  # with 503: long enough for a restart of the database, short enough for people
CODES_BY_STATUS = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
}


def problem(fault: BrakelineError, request_id: str) -> dict[str, Any]:
    """The members of a problem document."""
    if isinstance(fault, Fault):
        facts = {k: v if isinstance(v, (int, float, bool, list)) else str(v) for k, v in fault.context.items()}
        title, status, detail, hint = fault.title, fault.status, fault.detail, fault.hint
    else:
        title, status, detail, hint, facts = "Something is wrong with Brakeline itself.", 500, "", Bug.hint, {}
    return {
        "type": f"urn:brakeline:problem:{fault.code}", "title": title, "status": status, "detail": detail,
        "code": fault.code, "hint": hint, "context": facts, "request_id": request_id,
    }  # fmt: skip


def problem_response(fault: BrakelineError, request_id: str = "") -> JSONResponse:
    """`fault` as an answer; 401 names the scheme, 429 and 503 say when to come again."""
    body = problem(fault, request_id or request_id_now.get())
    headers = {}
    if body["status"] in (429, 503):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if body["status"] == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="brakeline"'
    return JSONResponse(body, body["status"], headers, media_type="application/problem+json")


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    async def on_brakeline_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BrakelineError)
        if not isinstance(error, Fault):
            logger.error("bug", error=str(error), exc_info=error)
        return problem_response(error)

    async def on_bad_request(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem_response(Invalid(f"{where}: {first['msg']}", errors=len(error.errors())))

    async def on_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = CODES_BY_STATUS.get(error.status_code, "http")
        body = {
            "type": f"urn:brakeline:problem:{code}", "title": str(error.detail), "status": error.status_code,
            "detail": "", "code": code, "hint": "", "context": {}, "request_id": request_id_now.get(),
        }  # fmt: skip
        return JSONResponse(body, error.status_code, error.headers, media_type="application/problem+json")

    async def on_anything(_: Request, error: Exception) -> JSONResponse:
        logger.error("unexpected-error", error=str(error), exc_info=error)
        return problem_response(Bug(type(error).__name__))

    app.add_exception_handler(BrakelineError, on_brakeline_error)
    app.add_exception_handler(RequestValidationError, on_bad_request)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_anything)


class BodyTooLarge(Fault):
    """More was sent than a request may bring."""

    code, status = "body-too-large", 413
    hint = "Send less at once; files have routes of their own, which take more."


class BoundedBodies:
    """ASGI middleware: whoever sends more than API_BODY_BYTES_MAX gets a 413, before it is held or parsed.

    `own`: paths of routes that read their body themselves, and stop where theirs ends.
    """

    def __init__(self, app: Asgi, own: Sequence[re.Pattern[str]] = ()) -> None:
        self._app, self._own = app, tuple(own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(path.match(scope["path"]) for path in self._own):
            await self._app(scope, receive, send)
            return
        body = await _bounded(receive)
        if body is None:
            return
        if len(body) > API_BODY_BYTES_MAX:
            refusal = problem_response(BodyTooLarge(f"more than {API_BODY_BYTES_MAX} bytes"))
            refusal.headers["connection"] = "close"  # the rest of it is not read
            await refusal(scope, receive, send)
            return
        first: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> MutableMapping[str, Any]:
            return first.pop() if first else await receive()

        await self._app(scope, again, send)


async def _bounded(receive: Receive) -> bytes | None:
    """The body, or the first of it where it is too large; None where whoever sent it has gone."""
    chunks, size, more = list[bytes](), 0, True
    while more and size <= API_BODY_BYTES_MAX:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        size, more = size + len(chunks[-1]), message.get("more_body", False)
    return b"".join(chunks)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items in order, and the cursor of what follows; None = that was all."""

    items: tuple[T, ...]
    next_cursor: str | None = None


def encode_cursor(query: str, *position: str | int) -> str:
    """A place after `position` (the sort key of the last item) in the answer to `query`. Opaque to clients."""
    plain = json.dumps([_fingerprint(query), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def decode_cursor(query: str, cursor: str) -> tuple[str | int, ...]:
    """The position in `cursor`; `Invalid` when it is damaged or belongs to another query."""
    try:
        plain = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        fingerprint, *position = plain
    except (ValueError, TypeError, RecursionError):
        raise Invalid("the cursor is damaged; start again from the first page") from None
    if fingerprint != _fingerprint(query) or not all(isinstance(p, (str, int)) for p in position):
        raise Invalid("the cursor belongs to another query or sort order; start again from the first page")
    return tuple(position)


def _fingerprint(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()[:12]
