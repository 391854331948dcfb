"""Events over people's API and the command line: the key once, the stream as it happens and behind a number, TLS."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.support_cli import served
from tests.support_people import new_house

from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.events import outbox
from brakeline.events.api import router
from brakeline.events.decide import networks_of
from brakeline.events.delivering import Delivering
from brakeline.events.service import Events
from brakeline.platform.clock import IdMaker, SystemClock
from brakeline.platform.database import Database
from brakeline.platform.tls import ensure_tls
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal

KEY = b"the server's own"
Run = Callable[..., Awaitable[tuple[int, str, str]]]


class World:
    def __init__(self, db: Database, clock: ManualClock, ids: IdMaker, owner: Principal) -> None:
        async def tenants() -> list[str]:
            return [owner.tenant_id]

        self.db, self.clock, self.owner = db, clock, owner
        self.delivering = Delivering(db, clock, tenants, KEY, "cell-1")
        self.events = Events(db, clock, ids, self.delivering, KEY)

    async def happen(self, kind: str) -> None:
        async with self.db.tenant(self.owner.tenant_id) as conn:
            await outbox.emit(conn, self.owner.tenant_id, kind, "x_1", {"who": "Ada"}, self.clock.now_ms())


@pytest.fixture
async def world(database: Database, clock: ManualClock, ids: IdMaker) -> World:
    _, owner = await new_house(database, clock, ids)
    return World(database, clock, ids, owner)


@pytest.fixture
async def run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Run]:
    api = make_api((router,))
    api.dependency_overrides[current_principal] = lambda: world.owner
    api.state.events, api.state.clock = world.events, world.clock

    async def command(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, words)
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command
    world.events.stop()


async def test_a_receiver_by_the_command_line(world: World, run: Run) -> None:
    assert "Nobody is told anything." in (await run("event", "sinks"))[1]
    code, out, err = await run("event", "add", "siem", "https://siem.example.org/in", "--kind", "risk.*")
    assert (code, "key: whk_" in out, "Shown this once" in err) == (0, True, True)
    shown = json.loads((await run("event", "sinks", "--json"))[1])["items"]
    assert (len(shown), "whk_" in json.dumps(shown)) == (1, False)
    sink = shown[0]["id"]
    assert (await run("event", "test", sink))[0] == 0
    code, out, err = await run("event", "list")
    assert (code, "sink.test" in out, "sink.add" in out, "--after" in err) == (0, True, True, True)
    assert "None." in (await run("event", "dead", sink))[1]
    assert "0 delivered." in (await run("event", "replay", sink))[1]
    code, _, err = await run("event", "add", "x", "http://u@x/")
    assert (code, "an address is" in err) == (2, True)
    assert (await run("event", "remove", "sk_none"))[0] == 3
    assert (await run("event", "remove", sink))[0] == 0


def lines_of(place: Path, path: str, last: str, wanted: int) -> list[str]:
    """Lines of a stream of server-sent events, until so many events have come."""
    context = json.loads((place / "context.json").read_text())
    trust = ssl.create_default_context(cafile=context["ca_file"])
    trust.check_hostname = False
    host, port = context["url"].removeprefix("https://").split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=trust, timeout=30)
    connection.request("GET", path, headers={"Last-Event-ID": last} if last else {})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    assert answer.headers["content-type"].startswith("text/event-stream")
    found: list[str] = []
    while sum(line.startswith("data: ") for line in found) < wanted:
        found.append(answer.readline().decode().rstrip("\n"))
    connection.close()
    return found


@pytest.mark.usefixtures("run")
async def test_the_stream_as_it_happens_and_behind_a_number(world: World, tmp_path: Path) -> None:
    end = await world.events.end(world.owner)
    reading = asyncio.create_task(
        asyncio.to_thread(lines_of, tmp_path, "/api/v1/events/stream?kind=test.*", str(end), 2)
    )
    for kind in ("test.a", "other.b", "test.c"):
        await world.happen(kind)
    found = await reading
    data = [json.loads(line.removeprefix("data: ")) for line in found if line.startswith("data: ")]
    assert [d["kind"] for d in data] == ["test.a", "test.c"]
    again = await asyncio.to_thread(lines_of, tmp_path, "/api/v1/events/stream", str(data[0]["sequence"]), 2)
    assert [line for line in again if line.startswith("event: ")] == ["event: other.b", "event: test.c"]


async def test_https_is_checked_by_name_with_an_authority(world: World, tmp_path: Path, ids: IdMaker) -> None:
    tls = ensure_tls(tmp_path / "tls", ("localhost",), SystemClock())
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    networks, tenants = networks_of(["127.0.0.0/8", "::1/128"]), world.delivering._tenants
    trusting = Delivering(
        world.db, world.clock, tenants, KEY, "c", networks, ssl.create_default_context(cafile=str(tls.ca_file)), 60
    )
    distrusting = Delivering(world.db, world.clock, tenants, KEY, "c", networks)
    await world.events.add(world.owner, "siem", f"https://localhost:{server.server_address[1]}/", ["test.*"])
    await world.happen("test.a")
    await world.delivering.number(world.owner.tenant_id)
    assert await distrusting.deliver(world.owner.tenant_id) == 0
    (view,) = await world.events.sinks(world.owner)
    assert "CERTIFICATE_VERIFY_FAILED" in view.sink.problem
    world.clock.advance(10)
    assert await trusting.deliver(world.owner.tenant_id) == 1
    assert [e["kind"] for e in got] == ["test.a"]
    server.shutdown()
    server.server_close()
