"""Whoever sends without end is stopped before anybody is asked who that is; uploads of files keep their own bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.routing import APIRoute
from tests.asgi import call

from brakeline.platform.web import API_BODY_BYTES_MAX
from brakeline.server.app import make_api
from brakeline.server.wiring import ROUTERS

CHUNK = b" " * 65_536
GIVEN_UP = 4 * API_BODY_BYTES_MAX  # a server that has taken this much takes everything


async def endless(path: str, method: str = "POST") -> tuple[int, int, bytes]:
    """Status, bytes that were taken, and the body of the answer."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"cell.test"), (b"content-type", b"application/json")], "server": ("cell.test", 443),
        "state": {},
    }  # fmt: skip
    taken, sent = 0, list[Any]()

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += len(CHUNK)
        return {"type": "http.request", "body": CHUNK, "more_body": taken < GIVEN_UP}

    async def send(message: Any) -> None:
        sent.append(message)

    await make_api(ROUTERS)(scope, receive, send)
    return sent[0]["status"], taken, b"".join(m.get("body", b"") for m in sent[1:])


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/people", "/api/v1/none"])
async def test_a_body_without_end_is_not_held(path: str) -> None:
    status, taken, body = await endless(path)
    assert (status, json.loads(body)["code"]) == (413, "body-too-large")
    assert taken <= API_BODY_BYTES_MAX + len(CHUNK)


async def test_what_fits_arrives_whole() -> None:
    padded = b'{"email": 1, "password": "%s"}' % (b"x" * (API_BODY_BYTES_MAX - 100))
    api = make_api(ROUTERS)
    api.state.tenancy = None
    assert (await call(api, "POST", "/api/v1/auth/login", padded)).status in {422, 400, 500}
    assert (await call(api, "POST", "/api/v1/auth/login", padded + b" " * 200)).status == 413


def test_routes_that_read_their_body_themselves_say_so() -> None:
    """What a framework reads whole is bounded, and what is not bounded here has a bound of its own."""
    own = {r.path for router in ROUTERS for r in router.routes if isinstance(r, APIRoute) and _raw(r)}
    assert "/api/v1/releases" in own
    whole = {r.path for router in ROUTERS for r in router.routes if isinstance(r, APIRoute) and r.body_field}
    assert "/api/v1/auth/login" in whole
    assert not own & whole


def _raw(route: APIRoute) -> bool:
    return route.body_field is None and "requestBody" in (route.openapi_extra or {})
