"""From a press, or deciding evidence, in one cell to the last endpoint of another cell told: real servers, real TLS.

Starts two servers. The first, *here*, conducts and takes part; the other, *there*, takes part. A careful lead over all
endpoints is started; every endpoint holds a long-poll on a connection of its own. Then somebody presses BRAKE on the
rollout here (`--by press`, the default), or two canaries here tell that the change broke them (`--by evidence`). What
happens there has to go: evidence, halt here, call of the conductor, halt of the lead, answer that was held open, halt
there, endpoints. Times are ratios to the round trip of an empty request in the same run. `--endpoints N` (default 300):
there; here are two thirds as many. `--json FILE`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from bench._proc import cpu_s, python, report, tree
from bench.coldstart import start
from bench.freeze import ENROLLING, ROUND_TRIPS, TOLD_WITHIN_S, Api
from bench.halt import Canary, tell

SOON_S = 180.0
REST_S = 20.0  # how long both are watched while nothing happens
Row = tuple[str, Any, str]


async def enrolled(context: dict[str, str], token: str, count: int) -> tuple[list[Canary], ssl.SSLContext]:
    trust, at_once = ssl.create_default_context(cafile=context["ca_file"]), asyncio.Semaphore(ENROLLING)
    every, port = [Canary(n) for n in range(count)], int(context["url"].rpartition(":")[2])

    async def enter(e: Canary) -> None:
        async with at_once:
            await e.connect(port, trust, token)
            await e.exchange(0)

    await asyncio.gather(*map(enter, every))
    return every, trust


async def generate(here: dict[str, str], there: dict[str, str], tokens: list[str], counts: list[int],
                   evidence: bool) -> None:  # fmt: skip
    """The generator's process: enrols in both, lives, breaks two here if asked to, prints when who there was told."""
    mine, trust = await enrolled(here, tokens[0], counts[0])
    others, _ = await enrolled(there, tokens[1], counts[1])
    print("enrolled", flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    for e in (*mine, *others):
        e.ready_at = time.monotonic()
    living = [asyncio.create_task(e.live()) for e in (*mine, *others)]
    offered: list[Canary] = []
    until = time.monotonic() + SOON_S
    while len(offered) < 2 and time.monotonic() < until:
        await asyncio.sleep(0.2)
        offered = [e for e in mine if e.offer]
    assert len(offered) >= 2, f"only {len(offered)} endpoints here got an offer"
    print(len(offered), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    began = await tell(offered[:2], int(here["url"].rpartition(":")[2]), trust) if evidence else 0.0
    _, late = await asyncio.wait(living, timeout=TOLD_WITHIN_S)
    for task in late:
        task.cancel()
    print(json.dumps({"began": began, "here": [e.told_at for e in mine], "there": [e.told_at for e in others],
                      "started": [e.started_at for e in others]}), flush=True)  # fmt: skip


def within(seconds: float, ask: Callable[[], Any]) -> Any:
    until = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.2)
    return found


def measure(datas: list[Path], servers: list[subprocess.Popen[str]], count: int, evidence: bool) -> list[Row]:
    contexts = [json.loads((d / "context.json").read_text()) for d in datas]
    here, there = map(Api, contexts)
    for name, api in (("here", here), ("there", there)):  # before anybody is enrolled, so that one person may
        made = here.ask("POST", "/api/v1/cells", {"name": name, "region": name, "url": contexts[0]["url"]})
        api.ask("POST", "/api/v1/cells/join", {"token": made["token"]})
    counts = [count * 2 // 3, count]
    tokens = [
        api.ask("POST", "/api/v1/enrol-tokens", {"uses": n})["token"]
        for api, n in zip((here, there), counts, strict=True)
    ]
    asked = json.dumps([*contexts, tokens, counts, evidence])
    generator = subprocess.Popen([python(), "-m", "bench.cells_halt", "--generate", asked],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert generator.stdin is not None
    assert generator.stdout is not None
    assert generator.stdout.readline() == "enrolled\n"
    updates = [{"name": "bench", "version": "2"}]
    lead = here.ask("POST", "/api/v1/leads", {"title": "bench", "updates": updates})["id"]
    within(SOON_S, lambda: [c["eligible"] for c in _lead(here, lead)["cells"]] == counts)
    here.ask("POST", f"/api/v1/leads/{lead}/start")
    within(SOON_S, lambda: [r for r in _rollouts(here) if r["state"] == "rolling" and r["ring"] == 0])
    generator.stdin.write("go\n")
    generator.stdin.flush()
    offered = json.loads(generator.stdout.readline())
    within(SOON_S, lambda: [r for r in _rollouts(there) if r["state"] == "holding"])
    mine = next(r["id"] for r in _rollouts(here))
    trip = here.round_trip_s()
    resting = _at_rest(servers)
    generator.stdin.write("go\n")
    generator.stdin.flush()
    began = 0.0
    if not evidence:
        time.sleep(1)
        began = time.monotonic()
        here.ask("POST", f"/api/v1/rollouts/{mine}/brake")
    found = json.loads(generator.stdout.readline())
    generator.wait(timeout=30)
    began = began or found["began"]
    told = {k: sorted(t - began for t in found[k] if t) for k in ("here", "there")}
    assert len(told["there"]) == count, f"{count - len(told['there'])} endpoints there were never told"
    assert _lead(here, lead)["state"] == "halted"
    last = told["there"][-1]
    return [
        ("endpoints here, there", counts, "each with a long-poll"),
        ("of those here had an offer", offered, ""),
        ("round trip of an empty request, ms", trip * 1000, f"the quickest tenth of {ROUND_TRIPS}; the unit below"),
        ("last endpoint here told", told["here"][-1] / trip, "round trips after the " + _what(evidence)),
        ("first endpoint there told", told["there"][0] / trip, "round trips"),
        ("half of those there told", told["there"][count // 2] / trip, "round trips"),
        ("last endpoint there told", last / trip, "round trips"),
        ("last there over last here", last / told["here"][-1], "what the other cell costs more"),
        ("last endpoint there told, seconds", last, "wall, of a shared machine: no claim"),
        ("transactions started there after it", sum(s > began for s in found["started"]), ""),
        ("CPU of both servers at rest, ms per s", resting * 1000, "a lead goes on; nothing happens"),
    ]


def _what(evidence: bool) -> str:
    return "second failure was acknowledged" if evidence else "press was sent"


def _at_rest(servers: list[subprocess.Popen[str]]) -> float:
    trees = [pid for s in servers for pid in tree(s.pid)]
    spent, begun = cpu_s(trees), time.monotonic()
    time.sleep(REST_S)
    return (cpu_s(trees) - spent) / (time.monotonic() - begun)


def _lead(api: Api, lead: str) -> Any:
    return api.ask("GET", f"/api/v1/leads/{lead}")


def _rollouts(api: Api) -> Any:
    return api.ask("GET", "/api/v1/rollouts")["items"]


def main(argv: list[str]) -> None:
    count = int(argv[argv.index("--endpoints") + 1]) if "--endpoints" in argv else 300
    evidence = "--by" in argv and argv[argv.index("--by") + 1] == "evidence"
    with tempfile.TemporaryDirectory(prefix="bl-bench-") as folder:
        Path(folder).chmod(0o755)
        datas = [Path(folder) / name for name in ("here", "there")]
        servers = [start(data)[0] for data in datas]
        try:
            rows = measure(datas, servers, count, evidence)
        finally:
            for server in servers:
                server.send_signal(signal.SIGTERM)
                server.wait(timeout=30)
    report(rows, argv)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--generate"]:
        uvloop.run(generate(*json.loads(sys.argv[2])))
    else:
        main(sys.argv[1:])
