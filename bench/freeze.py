"""From the press on FREEZE to the last endpoint told, and to the last transaction started: real server, real TLS.

Starts `brakeline server run`, enrols ENDPOINTS endpoints by the protocol, starts a careful rollout over all of them and
lets each hold a long-poll on a connection of its own, saying *ready* at a moment of its own. In the middle of that
somebody presses. Times are ratios to the round trip of an empty request in the same run; CPU is the server's tree.
What begins a transaction here is an offer that arrives; the rollout is careful, so its first ring is a few endpoints.
`--endpoints N` (default 1000), `--json FILE`.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import uvloop

from bench._proc import cpu_s, python, report, tree
from bench.checkin import Endpoint, answer, as_http
from bench.coldstart import start
from brakeline.protocol import auth, routes
from brakeline.protocol.codec import encode
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import Action, ActionKind, CheckIn, Health, Ready, Transaction

ENROLLING = 32  # at once
READY_PER_S = 125.0  # endpoints become ready at this pace; the press comes in the middle
ACTIONS = (Action(ActionKind.UPGRADE, "bench", "amd64", "1", "2"),)
ROUND_TRIPS = 200
TOLD_WITHIN_S = 60.0
Measure = Callable[[Path, "subprocess.Popen[str]", int], list[tuple[str, Any, str]]]
HEALTH = Health((), True, 50_000_000_000, 0.5, 2_000_000_000)


class Polling(Endpoint):
    """An endpoint on a connection of its own, with what happened to it and when."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.ready_at = self.started_at = self.told_at = 0.0
        self.candidate: dict[str, Any] | None = None

    async def connect(self, port: int, context: ssl.SSLContext, token: str) -> None:
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        self.writer.write(self.enrol(token))
        status, _, data = await answer(self.reader)
        assert status == 201, data
        reply = json.loads(data)
        self.endpoint_id, self.secret = reply["endpoint_id"], bytes.fromhex(reply["secret"]["secret"])

    async def exchange(self, wait_s: int, ready: tuple[Ready, ...] = ()) -> bool:
        """False = the server is too busy just now; like an agent, ask again a little later."""
        body = encode(CheckIn("0.1.0", 0, "", HEALTH, ready))
        target = f"{routes.CHECK_IN}?wait={wait_s}"
        request, headers = self.headers(target, body)
        headers[auth.H_MAC] = auth.mac(self.secret, request)
        headers["if-none-match"] = self.etag
        self.writer.write(as_http(target, headers, body))
        status, answered, data = await answer(self.reader)
        if status == 503:
            await asyncio.sleep(0.5 + random.random())
            return False
        assert status in (200, 304), data
        if status == 200:
            self.etag = answered["etag"]
            self.take(json.loads(data), time.monotonic())
        return True

    def take(self, reply: dict[str, Any], now: float) -> None:
        self.candidate = next(iter(reply["candidates"]), None)
        if reply["halted"]:
            self.told_at = self.told_at or now
        elif reply["offers"]:
            self.started_at = self.started_at or now

    async def live(self) -> None:
        """Poll; say ready once, when the time has come; end when told."""
        said = False
        while not self.told_at:
            left = self.ready_at - time.monotonic()
            if self.candidate is not None and not said and left <= 0:
                c = self.candidate
                transaction = Transaction(ACTIONS, transaction_digest(ACTIONS))
                said = await self.exchange(0, (Ready(c["rollout_id"], c["generation"], transaction),))
            else:
                await self.exchange(55 if said or self.candidate is None else max(0, min(55, round(left))))


async def generate(port: int, ca: str, token: str, count: int) -> None:
    """The generator's process: enrols, prints ids, waits for "go", lives, prints what happened to whom and when."""
    context, at_once = ssl.create_default_context(cafile=ca), asyncio.Semaphore(ENROLLING)
    every = [Polling(n) for n in range(count)]

    async def enter(e: Polling) -> None:
        async with at_once:
            await e.connect(port, context, token)
            await e.exchange(0)

    await asyncio.gather(*map(enter, every))
    print(json.dumps([e.endpoint_id for e in every]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    begun, draw = time.monotonic(), random.Random(1)
    for e in every:
        e.ready_at = begun + 1 + draw.random() * count / READY_PER_S
    await asyncio.wait([asyncio.create_task(e.live()) for e in every], timeout=count / READY_PER_S + TOLD_WITHIN_S)
    print(json.dumps({"told": [e.told_at for e in every], "started": [e.started_at for e in every]}), flush=True)


class Api:
    """People's API over one kept-alive connection, by the machine's own token."""

    def __init__(self, context: dict[str, str]) -> None:
        trust = ssl.create_default_context(cafile=context["ca_file"])
        self.port = int(context["url"].rpartition(":")[2])
        self._connection = HTTPSConnection("localhost", self.port, context=trust)
        self._headers = {"Authorization": f"Bearer {context['token']}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        self._connection.request(method, path, None if body is None else json.dumps(body), self._headers)
        got = self._connection.getresponse()
        text = got.read()
        assert got.status < 300, text
        return json.loads(text) if text else None

    def round_trip_s(self) -> float:
        """Of an empty request that nothing held up: one in ten of many is quicker."""
        found = []
        for _ in range(ROUND_TRIPS):
            begun = time.monotonic()
            self.ask("GET", "/healthz")
            found.append(time.monotonic() - begun)
        return statistics.quantiles(found, n=10)[0]


def measure(data: Path, server: subprocess.Popen[str], count: int) -> list[tuple[str, Any, str]]:
    context = json.loads((data / "context.json").read_text())
    api = Api(context)
    token = api.ask("POST", "/api/v1/enrol-tokens", {"uses": count})["token"]
    command = [python(), "-m", "bench.freeze", "--generate", str(api.port), context["ca_file"], token, str(count)]
    generator = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert generator.stdin is not None
    assert generator.stdout is not None
    ids = json.loads(generator.stdout.readline())
    pin = {"name": "bench", "version": "2"}
    made = api.ask("POST", "/api/v1/rollouts", {"title": "bench", "updates": [pin], "endpoints": ids})
    api.ask("POST", f"/api/v1/rollouts/{made['id']}/start")
    generator.stdin.write("go\n")
    generator.stdin.flush()
    time.sleep(1 + count / READY_PER_S / 2)
    trip, cpu = api.round_trip_s(), cpu_s(tree(server.pid))
    pressed = time.monotonic()
    assert api.ask("POST", "/api/v1/freeze", {"reason": "measured"})["state"] == "frozen"
    acknowledged = time.monotonic()
    found = json.loads(generator.stdout.readline())
    spent = cpu_s(tree(server.pid)) - cpu
    generator.wait(timeout=30)
    told = sorted(t - pressed for t in found["told"] if t)
    started = [s - pressed for s in found["started"] if s]
    late = [s for s in started if s > 0]
    assert len(told) == count, f"{count - len(told)} endpoints were never told"
    return [
        ("endpoints, each with a long-poll", count, ""),
        (
            "round trip of an empty request, ms",
            trip * 1000,
            f"the quickest tenth of {ROUND_TRIPS}; the unit of the lines below",
        ),
        ("press acknowledged, on the disk", (acknowledged - pressed) / trip, "round trips"),
        ("first endpoint told", told[0] / trip, "round trips"),
        ("half of the endpoints told", told[len(told) // 2] / trip, "round trips"),
        ("99 of 100 told", told[min(len(told) - 1, len(told) * 99 // 100)] / trip, "round trips"),
        ("last endpoint told", told[-1] / trip, "round trips"),
        ("last endpoint told, per endpoint", told[-1] / trip / count, "round trips"),
        ("server CPU per endpoint told, microseconds", spent / count * 1e6, "tree, with everything else that it did"),
        ("last endpoint told, seconds", told[-1], "wall, of a shared machine: no claim"),
        ("transactions started before the press", len(started) - len(late), "offers that had arrived"),
        ("transactions started after it", len(late), "offers that were on their way"),
        ("last transaction started", max(late, default=0.0) / trip, "round trips after the press; 0 = none"),
    ]


def served(measure: Measure, argv: list[str]) -> None:
    """Measure on a server of its own, and report."""
    count = int(argv[argv.index("--endpoints") + 1]) if "--endpoints" in argv else 1000
    with tempfile.TemporaryDirectory(prefix="bl-bench-") as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        server, _, _ = start(data)
        try:
            rows = measure(data, server, count)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=30)
    report(rows, argv)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--generate"]:
        uvloop.run(generate(int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
    else:
        served(measure, sys.argv[1:])
