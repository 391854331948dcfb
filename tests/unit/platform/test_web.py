"""Problem documents and cursors."""

from __future__ import annotations

import base64

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from tests.asgi import call

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Bug, Invalid, NotFound, Unauthenticated, Unavailable
from brakeline.platform.observe import RequestContext, render_metrics
from brakeline.platform.web import decode_cursor, encode_cursor, install_problem_handlers


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    install_problem_handlers(app)
    errors = {
        "missing": NotFound("no endpoint", endpoint_id="ep_1"),
        "away": Unavailable("later"),
        "who": Unauthenticated("sign in"),
        "bug": Bug("secret insides"),
        "odd": ZeroDivisionError("secret insides"),
    }

    @app.get("/fail/{kind}")
    async def fail(kind: str, number: int = 0) -> None:
        raise errors[kind]

    app.add_middleware(RequestContext, new_id=lambda: "rq_7", clock=ManualClock())  # type: ignore[arg-type]
    return app


async def test_a_fault_is_a_problem_document_with_code_context_and_request_id(app: FastAPI) -> None:
    answer = await call(app, "GET", "/fail/missing")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "rq_7"
    body = answer.json()
    assert body["type"] == "urn:brakeline:problem:not-found"
    assert body["detail"] == "no endpoint"
    assert body["context"] == {"endpoint_id": "ep_1"}
    assert body["request_id"] == "rq_7"


async def test_unavailable_says_when_to_come_again_and_401_says_how(app: FastAPI) -> None:
    assert (await call(app, "GET", "/fail/away")).headers["retry-after"] == "2"
    assert (await call(app, "GET", "/fail/who")).headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("kind", ["bug", "odd"])
async def test_our_insides_are_not_told(app: FastAPI, kind: str) -> None:
    answer = await call(app, "GET", f"/fail/{kind}")
    assert answer.status == 500
    assert "secret" not in answer.text
    assert answer.json()["code"] == "bug"


async def test_bad_requests_and_unknown_routes_are_problems_too(app: FastAPI) -> None:
    bad = await call(app, "GET", "/fail/missing?number=x")
    assert (bad.status, bad.json()["code"]) == (422, "invalid")
    assert "query.number" in bad.json()["detail"]
    assert (await call(app, "GET", "/none")).json()["code"] == "not-found"


async def test_requests_are_measured_by_route_pattern(app: FastAPI) -> None:
    await call(app, "GET", "/fail/missing")
    assert b'route="/fail/{kind}"' in render_metrics()


@given(st.text(), st.lists(st.one_of(st.text(), st.integers())))
def test_a_cursor_comes_back_as_it_was(query: str, position: list[str | int]) -> None:
    assert decode_cursor(query, encode_cursor(query, *position)) == tuple(position)


@given(st.text())
def test_garbage_is_refused_and_never_a_crash(text: str) -> None:
    with pytest.raises(Invalid):
        decode_cursor("q", text)


def test_a_cursor_of_another_query_is_refused() -> None:
    with pytest.raises(Invalid, match="another query"):
        decode_cursor("os:debian", encode_cursor("os:ubuntu", "ep_1"))


def test_a_cursor_without_bottom_is_damaged() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(Invalid, match="damaged"):
        decode_cursor("people", deep)
