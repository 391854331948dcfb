"""What the cell plane answers to whatever is sent to it: signed answers, or a problem document that says what to do."""

from __future__ import annotations

import pytest
from tests.asgi import call

from brakeline.cells.decide import Doubt
from brakeline.cells.model import Signed
from brakeline.core.errors import Unavailable
from brakeline.protocol.codec import Malformed
from brakeline.server.cell_plane import BODY_BYTES_MAX, CellPlane

SIGNED = Signed("{}", "00")


async def signed(body: bytes) -> Signed:
    if body == b"not json":
        raise Malformed("not JSON")
    if body == b"replayed":
        raise Doubt("its counter does not rise", why="replayed")
    if body == b"away":
        raise Unavailable("the database does not answer")
    if body == b"defect":
        raise RuntimeError("secret inside")
    return SIGNED


PLANE = CellPlane(signed, signed)


@pytest.mark.parametrize("route", ["/cell/v1/exchange", "/cell/v1/join"])
async def test_an_answer_is_signed(route: str) -> None:
    answer = await call(PLANE, "POST", route, b"{}")
    assert (answer.status, answer.json()) == (200, {"payload": "{}", "signature": "00"})


@pytest.mark.parametrize(
    ("method", "route", "body", "status", "code"),
    [
        ("GET", "/cell/v1/exchange", b"", 404, "not-found"),
        ("POST", "/cell/v1/else", b"{}", 404, "not-found"),
        ("POST", "/cell/v1/exchange", b"not json", 400, "malformed"),
        ("POST", "/cell/v1/exchange", b"x" * (BODY_BYTES_MAX + 1), 400, "malformed"),
        ("POST", "/cell/v1/exchange", b"replayed", 409, "cell-doubted"),
        ("POST", "/cell/v1/exchange", b"away", 503, "unavailable"),
        ("POST", "/cell/v1/exchange", b"defect", 500, "fault"),
    ],
)
async def test_a_refusal_is_a_problem_document(method: str, route: str, body: bytes, status: int, code: str) -> None:
    answer = await call(PLANE, method, route, body)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    found = answer.json()
    assert found["code"] == code
    assert found["title"]
    assert found["detail"]
    assert "secret" not in answer.text


async def test_without_the_database_it_says_when_to_come_again() -> None:
    assert (await call(PLANE, "POST", "/cell/v1/exchange", b"away")).headers["retry-after"] == "2"
