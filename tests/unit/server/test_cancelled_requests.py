"""A request that ends before it is answered: who ended it decides whether anybody is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from brakeline.core.clock import ManualClock
from brakeline.core.limits import CHECK_IN_BODY_BYTES_MAX
from brakeline.fleet.model import EndpointIdentity
from brakeline.fleet.service import FleetService
from brakeline.protocol import routes
from brakeline.protocol.messages import Settings
from brakeline.server.agent_plane import AgentPlane
from brakeline.server.exchange import Exchange, NoOrders

SCOPE = {"type": "http", "path": routes.CHECK_IN, "method": "POST", "headers": [(b"content-length", b"9")],
         "query_string": b""}  # fmt: skip


async def test_a_body_that_comes_in_one_piece_is_bounded_too() -> None:
    clock, sent = ManualClock(ms=1), list[Any]()
    plane = AgentPlane(cast(FleetService, None), Exchange(clock, _settings, NoOrders()), NoOrders(), clock)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b" " * (CHECK_IN_BODY_BYTES_MAX + 1), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await plane(SCOPE | {"headers": [(b"transfer-encoding", b"chunked")]}, receive, send)
    assert (sent[0]["status"], json.loads(sent[1]["body"])["code"]) == (413, "too-large")


class Request:
    """A check-in whose body does not come: it goes no further than reading it."""

    def __init__(self) -> None:
        clock = ManualClock(ms=1)
        self.exchange = Exchange(clock, _settings, NoOrders())
        nobody = cast(FleetService, None)  # is asked only after the body was read
        self.plane = AgentPlane(nobody, self.exchange, NoOrders(), clock)
        self.sent: list[Any] = []
        self.reads = asyncio.Event()
        self.body: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def receive(self) -> dict[str, Any]:
        self.reads.set()
        return await self.body

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def begun(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self.plane(SCOPE, self.receive, self.send))
        await self.reads.wait()
        return task

    def answered(self) -> tuple[int, str, bytes]:
        start, body = self.sent
        return start["status"], json.loads(body["body"])["code"], dict(start["headers"])[b"retry-after"]


async def _settings(_: EndpointIdentity, __: str) -> Settings:
    return Settings()


async def test_whoever_gives_up_is_answered_nothing_and_the_request_ends() -> None:
    request = Request()
    task = await request.begun()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert request.sent == []


async def test_who_gives_up_by_a_time_limit_gets_that_and_no_answer() -> None:
    request = Request()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await request.plane(SCOPE, request.receive, request.send)
    assert request.sent == []


async def test_when_the_server_stops_the_endpoint_is_told_to_come_again() -> None:
    request = Request()
    task = await request.begun()
    request.exchange.end_all()
    task.cancel()
    await task
    assert request.answered() == (503, "unavailable", b"10")


async def test_when_something_shared_is_ended_the_endpoint_is_told_to_come_again() -> None:
    request = Request()
    task = await request.begun()
    request.body.cancel()
    await task
    assert request.answered() == (503, "unavailable", b"10")
