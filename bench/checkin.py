"""Check-ins per CPU-second of the whole server (its process tree with PostgreSQL), over kept-alive TLS.

Starts `brakeline server run`, enrols ENDPOINTS endpoints by the protocol, then lets a generator in a process of its
own check them in, round robin over CONNECTIONS connections, with real MACs and rising counters, nothing new to tell
(304): what a fleet does all day. Only the server's tree is counted, by /proc. Budget: >= 10,000 per CPU-second.
`--endpoints N` (default 5000; more endpoints = fewer presence rows merged), `--seconds S`, `--json FILE`.
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
from pathlib import Path
from typing import Any

import uvloop

from bench._proc import cpu_s, pss_mib, python, report, tree
from bench.coldstart import start
from brakeline.protocol import auth, routes
from brakeline.protocol.codec import encode
from brakeline.protocol.messages import CheckIn, EnrolRequest, Facts, Health

CONNECTIONS = 64
ROUNDS = 3


class Endpoint:
    """Identity and counter of one simulated endpoint."""

    def __init__(self, number: int) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self.key = Ed25519PrivateKey.generate()
        self.public_hex = self.key.public_key().public_bytes_raw().hex()
        self.name, self.boot, self.counter = f"bench-{number:06}", f"{number:032x}", 0
        self.endpoint_id, self.secret, self.etag = "", b"", ""

    def headers(self, target: str, body: bytes) -> tuple[auth.Authenticated, dict[str, str]]:
        self.counter += 1
        request = auth.Authenticated("POST", target, body, self.endpoint_id, self.boot, self.counter)
        return request, {
            auth.H_ENDPOINT: self.endpoint_id, auth.H_BOOT: self.boot, auth.H_COUNTER: str(self.counter),
        }  # fmt: skip

    def enrol(self, token: str) -> bytes:
        facts = Facts(self.name, "debian", "12", "Debian GNU/Linux 12", "6.1.0", "amd64")
        body = encode(EnrolRequest(token, self.public_hex, self.name, facts, "0.1.0"))
        request, headers = self.headers(routes.ENROL, body)
        created_s = int(time.time())
        signature = self.key.sign(auth.signature_base(request, created_s, self.public_hex))
        return as_http(routes.ENROL, headers | auth.signature_headers(created_s, self.public_hex, signature), body)

    def check_in(self, body: bytes) -> bytes:
        target = routes.CHECK_IN + "?wait=0"
        request, headers = self.headers(target, body)
        headers[auth.H_MAC] = auth.mac(self.secret, request)
        headers["if-none-match"] = self.etag
        return as_http(target, headers, body)


def as_http(target: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    return f"POST {target} HTTP/1.1\r\nhost: bench\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers, body


async def worker(port: int, context: ssl.SSLContext, mine: list[Endpoint], token: str, plan: Plan) -> None:
    """One connection: enrol its endpoints, check each in once, then round robin until told to stop."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    body = encode(CheckIn("0.1.0", 0, "", Health((), True, 50_000_000_000, 0.5, 2_000_000_000)))
    for e in mine:
        writer.write(e.enrol(token))
        status, _, data = await answer(reader)
        assert status == 201, data
        reply: dict[str, Any] = json.loads(data)
        e.endpoint_id, e.secret = reply["endpoint_id"], bytes.fromhex(reply["secret"]["secret"])
        writer.write(e.check_in(body))
        status, headers, data = await answer(reader)
        assert status == 200, data
        e.etag = headers["etag"]
    await plan.all_enrolled.wait()
    while not plan.stop:
        for e in mine:
            writer.write(e.check_in(body))
            status, _, data = await answer(reader)
            assert status in (200, 304), data
            plan.done += 1
            if plan.stop:
                break
    writer.close()


class Plan:
    """What workers share."""

    def __init__(self) -> None:
        self.all_enrolled, self.stop, self.done = asyncio.Event(), False, 0


async def generate(port: int, ca: str, token: str, count: int) -> None:
    """The generator's process: obeys lines on stdin ("go", "stop"), answers with counts on stdout."""
    context = ssl.create_default_context(cafile=ca)
    every, plan = [Endpoint(n) for n in range(count)], Plan()
    workers = [
        asyncio.create_task(worker(port, context, every[i::CONNECTIONS], token, plan)) for i in range(CONNECTIONS)
    ]
    while not all(e.etag for e in every):
        await asyncio.sleep(0.1)
        for w in workers:
            if w.done():
                w.result()
    print("enrolled", flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    plan.all_enrolled.set()
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "count":
        print(plan.done, flush=True)
    plan.stop = True
    await asyncio.gather(*workers)


def ask(generator: subprocess.Popen[str], word: str) -> str:
    assert generator.stdin is not None
    assert generator.stdout is not None
    generator.stdin.write(word + "\n")
    generator.stdin.flush()
    return generator.stdout.readline().strip() if word == "count" else ""


def measure(server: subprocess.Popen[str], generator: subprocess.Popen[str], seconds: float) -> dict[str, float]:
    """Check-ins and CPU-seconds of the server's tree over `seconds`; PostgreSQL's share apart."""
    pids = tree(server.pid)
    main = [server.pid]
    begun, cpu, own, done = time.monotonic(), cpu_s(pids), cpu_s(main), int(ask(generator, "count"))
    time.sleep(seconds)
    spent, own_spent = cpu_s(tree(server.pid)) - cpu, cpu_s(main) - own
    count, wall = int(ask(generator, "count")) - done, time.monotonic() - begun
    return {"per_cpu_s": count / spent, "us": spent / count * 1e6, "own_us": own_spent / count * 1e6,
            "per_s": count / wall}  # fmt: skip


def main(argv: list[str]) -> None:
    count = int(argv[argv.index("--endpoints") + 1]) if "--endpoints" in argv else 5000
    seconds = float(argv[argv.index("--seconds") + 1]) if "--seconds" in argv else 8.0
    with tempfile.TemporaryDirectory(prefix="bl-checkin-") as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        server, _, _ = start(data)
        context = json.loads((data / "context.json").read_text())
        made = subprocess.run(
            [python(), "-m", "brakeline.cli", "--context", str(data / "context.json"), "enrol", "token", "create",
             "--uses", str(count), "--json"], capture_output=True, text=True, check=True,
        )  # fmt: skip
        port = context["url"].rpartition(":")[2]
        command = [python(), "-m", "bench.checkin", "--generate", port, context["ca_file"],
                   json.loads(made.stdout)["token"], str(count)]  # fmt: skip
        generator = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert generator.stdout is not None
        cpu = cpu_s(tree(server.pid))
        assert generator.stdout.readline().strip() == "enrolled"
        enrol_us = (cpu_s(tree(server.pid)) - cpu) / count * 1e6
        ask(generator, "go")
        time.sleep(2)
        rounds = [measure(server, generator, seconds) for _ in range(ROUNDS)]
        memory = pss_mib(tree(server.pid))
        ask(generator, "stop")
        generator.wait(timeout=30)
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)
    best = sorted(rounds, key=lambda r: r["per_cpu_s"])[ROUNDS // 2]
    report(
        [
            ("check-ins per CPU-second", best["per_cpu_s"], "budget >= 10,000, aim 15,000; median of rounds"),
            ("worst round", min(r["per_cpu_s"] for r in rounds), ""),
            ("microseconds each", best["us"], "server and PostgreSQL"),
            ("of which the server process", best["own_us"], ""),
            ("check-ins per second (wall)", best["per_s"], "of a shared machine: no claim"),
            ("enrolment, microseconds", enrol_us, "CPU of the tree, with first check-in"),
            ("memory of the tree, MiB", memory, f"{count} endpoints, {CONNECTIONS} connections"),
        ],
        argv,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--generate"]:
        uvloop.run(generate(int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
    else:
        main(sys.argv[1:])
