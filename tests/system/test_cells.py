"""Two regions, two cells each: four real servers, each with a PostgreSQL of its own, led by the first of them.

In mid-rollout one server is killed and another cut off; nobody is harmed, the ring waits and says for whom, and when
both are back it goes on to its end by itself. All that passes between cells goes through `Tap`, which reads it: no
endpoint's data is in it. Endpoints speak the real protocol; what they would install they say they have installed.
"""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.integration.server.test_server_process import ServerProcess
from tests.support_agent import AgentTwin

from brakeline.core.errors import Bug
from brakeline.protocol import routes
from brakeline.protocol.codec import decode, encode
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Offer,
    Outcome,
    Ready,
    Results,
    Transaction,
    TransactionResult,
)

pytestmark = pytest.mark.long
CELLS = (("berlin-1", "eu"), ("berlin-2", "eu"), ("dallas-1", "us"), ("dallas-2", "us"))
CUT, KILLED = "berlin-2", "dallas-2"
EACH = 2
RING_S, LOST_S, END_S = 240.0, 150.0, 600.0
ACTIONS = (Action(ActionKind.UPGRADE, "libssl3", "amd64", "3.0.15-1", "3.0.17-1"),)


class Tap:
    """Stands before the conductor with its certificate, as its operator could: reads all that one cell says and hears,
    and can cut that cell off."""

    def __init__(self, conductor: ServerProcess) -> None:
        self.said: list[bytes] = []
        self.cut = False
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls = conductor.data / "tls"
        context.load_cert_chain(tls / "server.pem", tls / "server.key")
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(conductor, tls / "ca.pem"))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                  do_handshake_on_connect=False)  # fmt: skip
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _handler(self, conductor: ServerProcess, ca: Path) -> type[http.server.BaseHTTPRequestHandler]:
        tap = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if tap.cut:
                    self.close_connection = True
                    return
                status, answer = _forward(conductor, ca, self.path, body)
                tap.said += [self.path.encode(), body, answer]
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _forward(conductor: ServerProcess, ca: Path, path: str, body: bytes) -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=str(ca))
    connection = http.client.HTTPSConnection("127.0.0.1", conductor.port, context=context, timeout=20)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 502, b"{}"
    finally:
        connection.close()


class Endpoint:
    """Checks in, gets ready, installs at once, tells."""

    def __init__(self, server: ServerProcess, hostname: str) -> None:
        self.server, self.hostname = server, hostname
        self.said: dict[str, Any] = {}  # besides what it is ready for
        self.offers: list[Offer] = []
        token = json.loads(server.api("POST", "/api/v1/enrol-tokens", {})[2])["token"]
        self.twin = AgentTwin(server.port, server.context["ca_file"], hostname=hostname)
        self.twin.enrol(token)
        self._ready: tuple[Ready, ...] = ()

    def live(self) -> None:
        """One exchange; a server that is away is one that is asked again later."""
        try:
            answer = self.twin.check_in(ready=self._ready, **self.said)
            if answer.status == 401:
                self.twin.renew()
            elif answer.status == 200:
                self._take(answer.json)
        except (OSError, http.client.HTTPException):
            self.twin.close()
        self.twin.etag = ""  # answer always: the test asks at its own pace

    def _take(self, reply: dict[str, Any]) -> None:
        transaction = Transaction(ACTIONS, transaction_digest(ACTIONS))
        self._ready = tuple(Ready(c["rollout_id"], c["generation"], transaction) for c in reply["candidates"])
        for order in reply["offers"]:
            offer = decode(Offer, order["payload"].encode())
            if offer.offer_id not in {o.offer_id for o in self.offers}:
                self.offers.append(offer)
            result = TransactionResult("tx_" + offer.offer_id[3:], offer.offer_id, offer.rollout_id, offer.generation,
                                       Outcome.INSTALLED, "ok", "", started_ms=1, ended_ms=2)  # fmt: skip
            self.twin.signed(routes.RESULTS, encode(Results((result,))))


def brakeline(server: ServerProcess, *words: str) -> Any:
    """The command line against one cell; what it prints as JSON."""
    environment = os.environ | {"BRAKELINE_CONTEXT": str(server.data / "context.json")}
    command = [sys.executable, "-m", "brakeline.cli", *words, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise Bug(f"{words}: {done.stdout} {done.stderr}")
    return json.loads(done.stdout)


class World:
    """The four of them."""

    kind: type[Endpoint] = Endpoint

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.servers: dict[str, ServerProcess] = {}
        for name, _ in CELLS:
            (root / name).mkdir()
            self.servers[name] = ServerProcess(root / name)
        with ThreadPoolExecutor(2) as two:  # as many as there are cores
            for done in [two.submit(s.start) for s in self.servers.values()]:
                done.result()
        for server in self.servers.values():
            stack.callback(_stop, server)
        self.conductor = self.servers[CELLS[0][0]]
        self.taps = {name: Tap(self.conductor) for name, _ in CELLS}
        for tap in self.taps.values():
            stack.callback(tap.close)
        self.endpoints = {
            name: [self.kind(server, f"secret-{name}-{i}.example") for i in range(EACH)]
            for name, server in self.servers.items()
        }
        self.lead = ""

    def link(self) -> None:
        for name, region in CELLS:
            made = brakeline(self.conductor, "cell", "add", name, "--region", region, "--url", self.taps[name].url)
            brakeline(self.servers[name], "cell", "join", made["token"])

    def begin(self) -> None:
        cells = [word for name, _ in CELLS for word in ("--cell", name)]
        made = brakeline(self.conductor, "lead", "create", "libssl3", "--update", "libssl3=3.0.17-1", "--pace",
                         "rehearsal", *cells)  # fmt: skip
        self.lead = made["id"]
        self.until("every cell to tell its size", lambda v: all(c["eligible"] == EACH for c in v["cells"]), RING_S)
        brakeline(self.conductor, "lead", "start", self.lead)

    def view(self) -> dict[str, Any]:
        status, _, body = self.conductor.get(f"/api/v1/leads/{self.lead}")
        assert status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def until(self, what: str, holds: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
        """Endpoints live on until the conductor shows it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for endpoint in (e for mine in self.endpoints.values() for e in mine):
                endpoint.live()
            view = self.view()
            if holds(view):
                return view
            time.sleep(0.5)
        raise AssertionError(f"waited {seconds} s for {what}: {json.dumps(view, indent=1)[:6000]}")

    def taken(self) -> dict[str, int]:
        return {name: sum(bool(e.offers) for e in mine) for name, mine in self.endpoints.items()}


def _stop(server: ServerProcess) -> None:
    if server.process is not None:
        server.end(signal.SIGTERM)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack)


def test_one_is_killed_and_one_cut_off_in_mid_rollout_and_no_endpoint_s_data_crosses(world: World) -> None:
    world.link()
    world.begin()
    world.until("the second ring", lambda v: v["ring"] == 1, RING_S)
    world.taps[CUT].cut = True
    world.servers[KILLED].end(signal.SIGKILL)

    lost = world.until("both to be missed", lambda v: _missed(v) == {CUT, KILLED}, LOST_S)
    assert lost["ring"] == 1, "no ring opens while a cell is lost"
    assert all(c["treated"] <= c["granted"] for c in lost["cells"])
    before = world.taken()
    time.sleep(5)
    assert world.view()["ring"] == 1
    assert world.taken() == before

    world.taps[CUT].cut = False
    world.servers[KILLED].start()
    end = world.until("the end", lambda v: v["state"] == "completed", END_S)
    assert {c["cell"]: c["treated"] for c in end["cells"]} == {name: EACH for name, _ in CELLS}
    assert world.taken() == {name: EACH for name, _ in CELLS}
    offered = Counter(e.twin.endpoint_id for mine in world.endpoints.values() for e in mine for _ in e.offers)
    assert set(offered.values()) == {1}, "nobody was offered it twice"
    _nothing_of_an_endpoint_crossed(world)


def test_the_conductor_is_killed_another_leads_on_and_the_old_one_says_that_it_does_not(world: World) -> None:
    world.link()
    world.begin()
    world.until("the second ring", lambda v: v["ring"] == 1, RING_S)
    old = world.conductor
    old.end(signal.SIGKILL)
    rest = [name for name, _ in CELLS[1:]]
    world.conductor = world.servers[rest[0]]
    for name in rest:
        region, url = dict(CELLS)[name], f"https://127.0.0.1:{world.conductor.port}"
        made = brakeline(world.conductor, "cell", "add", name, "--region", region, "--url", url)
        brakeline(world.servers[name], "cell", "join", made["token"])
    deadline = time.monotonic() + LOST_S
    while time.monotonic() < deadline:
        told = brakeline(world.conductor, "lead", "orphans")["items"]
        if told and set(told[0]["cells"]) == set(rest):
            break
    brakeline(world.conductor, "lead", "take", world.lead, "--reason", "it has burnt down")
    before = world.taken()
    view = world.until("all to be heard", lambda v: "told nothing" not in str(v["lines"]), LOST_S)
    assert world.taken() == before, "nobody was offered anything before somebody let it go on"
    words = ("start",) if view["state"] == "draft" else ("resume", "--reason", "all are heard")
    brakeline(world.conductor, "lead", words[0], world.lead, *words[1:])
    world.until("the end", lambda v: v["state"] == "completed", END_S)
    assert {name: world.taken()[name] for name in rest} == dict.fromkeys(rest, EACH)

    old.start()
    deadline, why = time.monotonic() + LOST_S, ""
    while time.monotonic() < deadline and "no longer leads" not in why:
        why = json.loads(old.get(f"/api/v1/leads/{world.lead}")[2])["why"]
        time.sleep(1)
    assert "this cell no longer leads" in why
    assert "no longer leads" in brakeline(old, "cell", "list")["superseded"]


def _missed(view: dict[str, Any]) -> set[str]:
    return {c["cell"] for c in view["cells"] if "not heard for" in c["text"]}


def _nothing_of_an_endpoint_crossed(world: World) -> None:
    said = b"\n".join(x for tap in world.taps.values() for x in tap.said).decode()
    assert said.count("/cell/v1/exchange") > 4 * len(CELLS)
    for mine in world.endpoints.values():
        for e in mine:
            assert e.twin.endpoint_id not in said
            assert e.twin.public_hex not in said
            assert e.hostname not in said
            for offer in e.offers:
                assert offer.offer_id not in said
                assert offer.rollout_id not in said
    for word in ("3.0.15-1", "bookworm", "6.1.0-40", "os:debian", "tag:", "hostname", "endpoint_id"):
        assert word not in said
    for path in {x for x in said.split("\n") if x.startswith("/")}:
        assert path in ("/cell/v1/exchange", "/cell/v1/join")
