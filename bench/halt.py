"""From evidence of harm to the halt, and to the last endpoint told: real server, real TLS.

Starts `brakeline server run`, enrols ENDPOINTS endpoints by the protocol, starts a careful rollout over all of them and
lets each hold a long-poll on a connection of its own. Canaries take their offers; when FAILING of them have one, they
tell that the change broke them, and every endpoint waits to hear of it. Times count from the acknowledgement of the
second of these results, which decides, as ratios to the round trip of an empty request in the same run.
`--endpoints N` (default 1000), `--json FILE`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from bench._proc import cpu_s, python, tree
from bench.checkin import answer, as_http
from bench.freeze import ENROLLING, ROUND_TRIPS, TOLD_WITHIN_S, Api, Polling, served
from brakeline.protocol import auth, routes
from brakeline.protocol.codec import encode
from brakeline.protocol.messages import Outcome, Results, TransactionResult

FAILING = 3  # in a ring under 50 endpoints two halt; the third shows that more of them change nothing
READY_WITHIN_S = 20.0


class Canary(Polling):
    """An endpoint that keeps its offer."""

    offer: dict[str, Any] | None = None

    def take(self, reply: dict[str, Any], now: float) -> None:
        super().take(reply, now)
        if reply["offers"] and self.offer is None:
            self.offer = json.loads(reply["offers"][0]["payload"])

    def broken(self, number: int) -> bytes:
        """The request that tells it."""
        assert self.offer is not None
        result = TransactionResult(
            f"tx_bench{number}", self.offer["offer_id"], self.offer["rollout_id"], self.offer["generation"],
            Outcome.FAILED, "maintainer_script_failed", "the change broke this endpoint",
        )  # fmt: skip
        body = encode(Results((result,)))
        request, headers = self.headers(routes.RESULTS, body)
        created_s = int(time.time())
        signature = self.key.sign(auth.signature_base(request, created_s, self.endpoint_id))
        signed = auth.signature_headers(created_s, self.endpoint_id, signature)
        return as_http(routes.RESULTS, headers | signed, body)


async def generate(port: int, ca: str, token: str, count: int) -> None:
    """The generator's process: enrols, prints ids, waits for "go", lives, breaks, prints when who was told."""
    context, at_once = ssl.create_default_context(cafile=ca), asyncio.Semaphore(ENROLLING)
    every = [Canary(n) for n in range(count)]

    async def enter(e: Canary) -> None:
        async with at_once:
            await e.connect(port, context, token)
            await e.exchange(0)

    await asyncio.gather(*map(enter, every))
    print(json.dumps([e.endpoint_id for e in every]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    begun = time.monotonic()
    for n, e in enumerate(every):
        e.ready_at = begun + 1 + n * READY_WITHIN_S / 2 / count
    living = [asyncio.create_task(e.live()) for e in every]
    await asyncio.sleep(READY_WITHIN_S)
    offered = [e for e in every if e.offer]
    assert len(offered) >= FAILING, f"only {len(offered)} endpoints got an offer"
    print(len(offered), flush=True)
    broke_at = await tell(offered[:FAILING], port, context)
    done, _ = await asyncio.wait(living, timeout=TOLD_WITHIN_S)
    for task in done:
        task.result()  # what went wrong with an endpoint is no silence
    started = [e.started_at - broke_at for e in every if e.started_at]
    print(json.dumps({"told": [e.told_at - broke_at for e in every if e.told_at], "started": started}), flush=True)


async def tell(broken: list[Canary], port: int, context: ssl.SSLContext) -> float:
    """Over connections of their own, because their polls are held; when the second was acknowledged."""
    second = 0.0
    for number, e in enumerate(broken):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        writer.write(e.broken(number))
        status, _, data = await answer(reader)
        assert status == 200, data
        writer.close()
        if number == 1:
            second = time.monotonic()
    return second


def measure(data: Path, server: subprocess.Popen[str], count: int) -> list[tuple[str, Any, str]]:
    context = json.loads((data / "context.json").read_text())
    api = Api(context)
    token = api.ask("POST", "/api/v1/enrol-tokens", {"uses": count})["token"]
    command = [python(), "-m", "bench.halt", "--generate", str(api.port), context["ca_file"], token, str(count)]
    generator = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert generator.stdin is not None
    assert generator.stdout is not None
    ids = json.loads(generator.stdout.readline())
    pin = {"name": "bench", "version": "2"}
    made = api.ask("POST", "/api/v1/rollouts", {"title": "bench", "updates": [pin], "endpoints": ids})
    api.ask("POST", f"/api/v1/rollouts/{made['id']}/start")
    trip = api.round_trip_s()
    generator.stdin.write("go\n")
    generator.stdin.flush()
    offered = json.loads(generator.stdout.readline())
    cpu = cpu_s(tree(server.pid))
    found = json.loads(generator.stdout.readline())
    spent = cpu_s(tree(server.pid)) - cpu
    generator.wait(timeout=30)
    told = sorted(found["told"])
    late = [s for s in found["started"] if s > 0]
    assert len(told) == count, f"{count - len(told)} endpoints were never told"
    assert api.ask("GET", f"/api/v1/rollouts/{made['id']}")["state"] == "halted"
    return [
        ("endpoints, each with a long-poll", count, ""),
        ("of them had an offer", offered, f"{FAILING} of these told that the change broke them"),
        ("round trip of an empty request, ms", trip * 1000, f"the quickest tenth of {ROUND_TRIPS}; the unit below"),
        ("first endpoint told of the halt", told[0] / trip, "round trips after the second failure was acknowledged"),
        ("half of the endpoints told", told[len(told) // 2] / trip, "round trips"),
        ("last endpoint told", told[-1] / trip, "round trips"),
        ("server CPU per endpoint told, microseconds", spent / count * 1e6, "tree, with everything else that it did"),
        ("first endpoint told, seconds", told[0], "wall, of a shared machine: no claim"),
        ("last endpoint told, seconds", told[-1], "wall, of a shared machine: no claim"),
        ("transactions started after the evidence", len(late), "offers that were on their way"),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--generate"]:
        uvloop.run(generate(int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
    else:
        served(measure, sys.argv[1:])
