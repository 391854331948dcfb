"""What launchers fetch: bounds, Range, so many at once; and the real server with the launcher's own eyes."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.asgi import Answer, call
from tests.integration.server.test_server_process import ServerProcess
from tests.support_releases import bundle, release_bundle
from tests.support_trust import NONCE

from brakeline.core.ids import make_id
from brakeline.launcher import clock
from brakeline.launcher.cell import rest_of
from brakeline.launcher.settings import Settings
from brakeline.protocol.routes import TRUST_BUNDLE, TRUST_TARGET
from brakeline.server.trust_plane import CHUNK_BYTES, PATIENCE_S, STREAMS_MAX, TrustPlane
from brakeline.trust import wire
from brakeline.trust.assess import assess
from brakeline.trust.model import ClockReading, Documents, Floors, Who

SHA = "ab" * 32
BYTES = bytes(range(256)) * 3000  # three chunks


class Twin:
    """A source with one bundle, that notes what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path, self.asked = path, list[tuple[int, str, str, str]]()
        path.write_bytes(BYTES)

    def documents(self, root: int, channel: str, region: str, nonce: str) -> Documents:
        self.asked.append((root, channel, region, nonce))
        return Documents(timestamp="t")

    def target(self, sha256: str) -> Path | None:
        return self.path if sha256 == SHA else None


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    return Twin(tmp_path / SHA)


async def get(plane: TrustPlane, target: str, method: str = "GET", **headers: str) -> Answer:
    return await call(plane, method, target, headers=headers)


async def test_documents_are_answered_for_what_was_asked(twin: Twin) -> None:
    query = f"root=3&channel=stable%2Fte_1&region=eu&nonce={NONCE}"
    answer = await get(TrustPlane(twin), f"{TRUST_BUNDLE}?{query}")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert wire.from_text(answer.text) == Documents(timestamp="t")
    head = await get(TrustPlane(twin), f"{TRUST_BUNDLE}?{query}", "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(answer.body)))
    assert twin.asked == [(3, "stable/te_1", "eu", NONCE)] * 2


@pytest.mark.parametrize(
    "query",
    [
        "root=-1", "root=1&root=2", "root=9999999999", "root=x", "channel=" + "a" * 101, "channel=a%00b",
        "region=a%2Fb", "nonce=xyz", "nonce=abc", "nonce=" + "ab" * 33, "other=1", "root", "a" * 1100, "channel=%ff",
    ],
)  # fmt: skip
async def test_a_query_out_of_bounds_is_refused_before_anything_is_signed(twin: Twin, query: str) -> None:
    answer = await get(TrustPlane(twin), f"{TRUST_BUNDLE}?{query}")
    assert (answer.status, twin.asked) == (400, [])
    assert "root: [0-9]" in answer.text


@pytest.mark.parametrize(
    ("wanted", "status", "start", "end"),
    [
        ("", 200, 0, len(BYTES)),
        ("bytes=0-9", 206, 0, 10),
        ("bytes=300000-", 206, 300_000, len(BYTES)),
        ("bytes=-100", 206, len(BYTES) - 100, len(BYTES)),
        (f"bytes=5-{len(BYTES) * 2}", 206, 5, len(BYTES)),
        ("bytes=0-", 200, 0, len(BYTES)),
        ("bytes=9-3", 200, 0, len(BYTES)),
        ("bytes=0-1,5-6", 200, 0, len(BYTES)),
        ("lines=1-2", 200, 0, len(BYTES)),
    ],
)
async def test_a_download_goes_on_where_it_broke_off(
    twin: Twin, wanted: str, status: int, start: int, end: int
) -> None:
    answer = await get(TrustPlane(twin), TRUST_TARGET + SHA, **({"range": wanted} if wanted else {}))
    assert (answer.status, answer.body == BYTES[start:end]) == (status, True)
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers.get("content-range", "") == (f"bytes {start}-{end - 1}/{len(BYTES)}" if status == 206 else "")


async def test_what_is_out_of_reach_unknown_or_no_get(twin: Twin) -> None:
    plane = TrustPlane(twin)
    assert (await get(plane, TRUST_TARGET + SHA, range=f"bytes={len(BYTES)}-")).status == 416
    assert (await get(plane, TRUST_TARGET + SHA, range="bytes=-0")).status == 416
    for target in ("cd" * 32, "..%2f..%2fetc%2fpasswd", "../../../etc/passwd", ""):
        assert (await get(plane, TRUST_TARGET + target)).status == 404
    assert (await get(plane, "/trust/v1/keys")).status == 404
    assert (await get(plane, TRUST_BUNDLE, "POST")).status == 405
    head = await get(plane, TRUST_TARGET + SHA, "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(BYTES)))


async def test_so_many_downloads_at_once_and_no_more(twin: Twin) -> None:
    plane = TrustPlane(twin, streams_max=2)
    gate, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def slow() -> int:
        sent = 0

        async def send(message: dict[str, object]) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                begun.release()
                await gate.wait()
            body = message.get("body", b"")
            assert isinstance(body, bytes)
            assert len(body) <= CHUNK_BYTES
            sent += len(body)

        scope = {"type": "http", "method": "GET", "path": TRUST_TARGET + SHA, "headers": [], "query_string": b""}
        await plane(scope, lambda: asyncio.sleep(0), send)  # type: ignore[arg-type, return-value]
        return sent

    slow_ones = [asyncio.create_task(slow()) for _ in range(2)]
    for _ in slow_ones:
        await begun.acquire()
    refused = await get(plane, TRUST_TARGET + SHA)
    assert (refused.status, refused.headers["retry-after"]) == (503, "30")
    assert (await get(plane, TRUST_BUNDLE)).status == 200  # documents are not held up by downloads
    gate.set()
    assert await asyncio.gather(*slow_ones) == [len(BYTES)] * 2
    assert (await get(plane, TRUST_TARGET + SHA)).status == 200


async def test_whoever_takes_nothing_gives_way_to_a_newcomer_and_no_one_else_does(twin: Twin) -> None:
    plane = TrustPlane(twin, streams_max=2, patience_s=0.2)
    scope = {"type": "http", "method": "GET", "path": TRUST_TARGET + SHA, "headers": [], "query_string": b""}
    begun, step = asyncio.Semaphore(0), asyncio.Event()

    async def stuck(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            begun.release()
            await asyncio.Event().wait()

    async def steady(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            begun.release()
            await step.wait()
            step.clear()

    async def fetched(send: object) -> None:
        await plane(scope, lambda: asyncio.sleep(0), send)  # type: ignore[arg-type, return-value]

    slow, honest = asyncio.create_task(fetched(stuck)), asyncio.create_task(fetched(steady))
    await begun.acquire()
    await begun.acquire()
    assert (await get(plane, TRUST_TARGET + SHA)).status == 503  # nobody has had his time yet
    await asyncio.sleep(0.3)
    step.set()
    await begun.acquire()  # it has moved
    async with asyncio.timeout(30):
        assert (await get(plane, TRUST_TARGET + SHA)).body == BYTES
        await slow
    assert not honest.done()
    step.set()
    await begun.acquire()
    step.set()
    async with asyncio.timeout(30):
        await honest


async def test_who_does_not_take_an_answer_holds_up_nobody_else(twin: Twin) -> None:
    plane = TrustPlane(twin, bundles_max=1, answer_s=0.01)

    async def send(_: dict[str, object]) -> None:
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "path": TRUST_BUNDLE, "headers": [], "query_string": b""}
    async with asyncio.timeout(30):
        await plane(scope, lambda: asyncio.sleep(0), send)  # type: ignore[arg-type, return-value]
    assert (await get(plane, TRUST_BUNDLE)).status == 200


# --- the real server ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    root = Path(tempfile.mkdtemp(prefix="brakeline-test-server-"))
    root.chmod(0o755)  # root's cluster runs as nobody
    made = ServerProcess(root)
    made.start()
    yield made
    assert made.end(signal.SIGTERM) == 0
    shutil.rmtree(root, ignore_errors=True)


def fetch(server: ServerProcess, target: str) -> tuple[int, bytes]:
    trust = ssl.create_default_context(cafile=server.context["ca_file"])
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trust, timeout=20)
    connection.request("GET", target)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def publish(server: ServerProcess, bundle: bytes) -> tuple[int, dict[str, object]]:
    trust = ssl.create_default_context(cafile=server.context["ca_file"])
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trust, timeout=20)
    headers = {"authorization": f"Bearer {server.context['token']}", "content-type": "application/x-tar"}
    connection.request("POST", "/api/v1/releases?notes=first", bundle, headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def test_a_release_is_published_fetched_and_recalled_over_tls(server: ServerProcess) -> None:
    bundle = release_bundle("2.0.0", 2)
    status, made = publish(server, bundle)
    assert (status, made["state"], made["notes"]) == (201, "published", "first")
    root = json.loads(server.get("/api/v1/releases/root")[2])["root"]

    def look() -> object:
        status, body = fetch(server, f"{TRUST_BUNDLE}?root=1&channel=stable&region=eu&nonce={NONCE}")
        assert status == 200
        who = Who(make_id("ep", 1, bytes(10)), "cell-1", "eu")
        return assess(
            root, Documents(), wire.from_text(body.decode()), who, ClockReading(1_800_000_000_000, NONCE), Floors()
        )

    seen = look()
    assert (seen.problems, seen.fresh, seen.recalled) == ((), True, frozenset())  # type: ignore[attr-defined]
    assert [o.release_id for o in seen.known] == [made["id"]]  # type: ignore[attr-defined]
    assert fetch(server, TRUST_TARGET + str(made["sha256"])) == (200, bundle)
    (wanted,) = seen.known  # type: ignore[attr-defined]
    settings = Settings(
        server_url=f"https://127.0.0.1:{server.port}", ca_pem=Path(server.context["ca_file"]).read_text()
    )
    for start in (0, 1000):  # as a launcher goes on where an earlier look has ended
        assert rest_of(settings, wanted, start, clock.monotonic_s() + 60) == (start, bundle[start:])
    status, _, _ = server.api("POST", f"/api/v1/releases/{made['id']}/recall", {"reason": "harm"})
    assert (status, look().recalled) == (200, {made["id"]})  # type: ignore[attr-defined]
    status, refused = publish(server, bundle)
    assert (status, refused["code"]) == (409, "quarantined")
    assert (server.data / "trust" / "keys").stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in (server.data / "trust" / "keys").iterdir()} == {0o600}


def test_what_was_acknowledged_is_there_after_kill_9(server: ServerProcess) -> None:
    status, made = publish(server, release_bundle("3.0.0", 3))
    assert status == 201
    server.end(signal.SIGKILL)
    server.start()
    items = json.loads(server.get("/api/v1/releases")[2])["items"]
    assert made["id"] in [r["id"] for r in items]
    assert fetch(server, TRUST_TARGET + str(made["sha256"])) == (200, release_bundle("3.0.0", 3))
    keys = json.loads(server.get("/api/v1/releases/status")[2])
    assert (keys["headline"], keys["on_server"], keys["useless_keys"]) == ("release keys on this server", True, [])


@pytest.mark.long
def test_whoever_reads_nothing_of_64_downloads_keeps_no_launcher_out(server: ServerProcess) -> None:
    large = bundle("4.0.0", {"agent.pyz": bytes(12 << 20)}, 4)  # more than the buffers on the way hold
    status, made = publish(server, large)
    assert status == 201
    target = TRUST_TARGET + str(made["sha256"])
    held = [_asked_and_not_read(server, target) for _ in range(STREAMS_MAX)]
    try:
        time.sleep(PATIENCE_S + 1)
        assert [fetch(server, target) == (200, large) for _ in range(2)] == [True, True]
    finally:
        for connection in held:
            connection.close()


def _asked_and_not_read(server: ServerProcess, target: str) -> ssl.SSLSocket:
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(20)
    line.connect(("127.0.0.1", server.port))
    trust = ssl.create_default_context(cafile=server.context["ca_file"])
    connection = trust.wrap_socket(line, server_hostname="127.0.0.1")
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: cell\r\n\r\n".encode())
    return connection


def test_too_much_is_refused_without_reading_it_all(server: ServerProcess) -> None:
    trust = ssl.create_default_context(cafile=server.context["ca_file"])
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trust, timeout=60)
    headers = {"authorization": f"Bearer {server.context['token']}"}
    connection.request("POST", "/api/v1/releases", bytes(65 * 1024 * 1024), headers)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "bundle-too-large")
    connection.close()
