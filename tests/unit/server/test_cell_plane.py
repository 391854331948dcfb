"""What the cell plane answers to whatever is sent to it: signed answers, or a problem document that says what to do."""

from __future__ import annotations

import asyncio

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


async def test_a_body_that_comes_slowly_keeps_no_other_cell_out() -> None:
    plane = CellPlane(signed, signed, bodies_max=2, patience_s=0.1)
    scope = {"type": "http", "method": "POST", "path": "/cell/v1/exchange", "headers": [], "query_string": b""}

    async def trickle() -> dict[str, object]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def slow() -> int:
        said: list[int] = []

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                said.append(int(str(message["status"])))

        await plane(scope, trickle, send)  # type: ignore[arg-type]
        return said[0]

    slow_ones = [asyncio.create_task(slow()) for _ in range(2)]
    await asyncio.sleep(0.02)
    assert (await call(plane, "POST", "/cell/v1/exchange", b"{}")).status == 503  # nobody has had his time yet
    await asyncio.sleep(0.2)
    assert (await call(plane, "POST", "/cell/v1/exchange", b"{}")).status == 200
    async with asyncio.timeout(30):
        done, left = await asyncio.wait(slow_ones, return_when=asyncio.FIRST_COMPLETED)
    assert [t.result() for t in done] == [503]
    for task in left:
        task.cancel()
