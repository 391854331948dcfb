"""A call to another server of ours, over real TLS: what is believed, what is refused, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Invalid, Unavailable
from brakeline.platform import calls
from brakeline.platform.tls import ensure_tls

Answering = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class There:
    """A server that says what a test wants."""

    def __init__(self, directory: Path, clock: ManualClock) -> None:
        self.tls = ensure_tls(directory, (), clock)
        self.asked: list[bytes] = []
        self.gone = asyncio.Event()

    @contextlib.asynccontextmanager
    async def saying(self, answer: Answering) -> AsyncIterator[str]:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:"))
            body = await reader.readexactly(int(length.partition(b":")[2]))
            self.asked.append(head + body)
            await answer(body, writer)
            with contextlib.suppress(OSError):
                await reader.read()
            self.gone.set()
            writer.transport.abort()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.tls.certificate_file, self.tls.key_file)
        server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
        try:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    def ca(self) -> str:
        return self.tls.ca_pem()


@pytest.fixture
def there(tmp_path: Path, clock: ManualClock) -> There:
    return There(tmp_path, clock)


def text(raw: bytes) -> Answering:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return answer


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
        (b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n", 409, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", 200, b"hello"),
    ],
)
async def test_status_and_body_come_back_however_a_proxy_frames_them(
    there: There, raw: bytes, status: int, body: bytes
) -> None:
    async with there.saying(text(raw)) as url:
        assert await calls.post(url, "/cell/v1/exchange", there.ca(), b"{}") == (status, body)
    assert there.asked[0].startswith(b"POST /cell/v1/exchange HTTP/1.1\r\n")
    assert there.asked[0].endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-else\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * (calls.HEAD_BYTES_MAX + 1),
    ],
)
async def test_what_no_server_of_ours_says_is_nobody_s_answer(there: There, raw: bytes) -> None:
    async with there.saying(text(raw)) as url:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1 does not answer"):
            await calls.post(url, "/", there.ca(), b"{}", 5)


async def test_a_certificate_of_anybody_else_is_refused(there: There, tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "else").mkdir()
    other = ensure_tls(tmp_path / "else", (), clock).ca_pem()
    async with there.saying(text(b"")) as url:
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await calls.post(url, "/", other, b"{}")
    assert there.asked == []


async def test_an_answer_may_come_late_and_not_later(there: There) -> None:
    async def late(_: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with there.saying(late) as url:
        assert (await calls.post(url, "/", there.ca(), b"{}", 60))[0] == 200
        there.gone.clear()
        with pytest.raises(Unavailable, match=r"does not answer: not within 0\.1 s"):
            await calls.post(url, "/", there.ca(), b"{}", 0.1)
        await there.gone.wait()


async def test_a_call_that_is_given_up_is_hung_up(there: There) -> None:
    async def never(_: bytes, __: asyncio.StreamWriter) -> None:
        return

    async with there.saying(never) as url:
        call = asyncio.create_task(calls.post(url, "/", there.ca(), b"{}", 60))
        while not there.asked:
            await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait_for(there.gone.wait(), 60)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "https://", "berlin"])
async def test_an_address_that_is_none_says_how_one_looks(there: There, url: str) -> None:
    with pytest.raises(Invalid, match="https://NAME"):
        await calls.post(url, "/", there.ca(), b"{}")
