"""One call to another server of ours: POST over TLS with a pinned authority, bounded in time and size.

The server's name is the fixed one of every cell, whatever address is dialled, so a certificate of anybody else's
authority is refused. Outbound only: nobody needs to reach us. A call that is given up closes its connection at once, so
an answer that is held open holds nothing here.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

from brakeline.core.errors import Invalid, Unavailable
from brakeline.platform.tls import SERVER_NAME

CALL_S: Final = 5.0
HEAD_BYTES_MAX: Final = 64 * 1024
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024


class Post(Protocol):
    """How another server is called; `within_s`: how long its answer may take."""

    async def __call__(
        self, url: str, path: str, ca_pem: str, body: bytes, within_s: float = CALL_S
    ) -> tuple[int, bytes]: ...


async def post(url: str, path: str, ca_pem: str, body: bytes, within_s: float = CALL_S) -> tuple[int, bytes]:
    """Status and body. `Unavailable` where nobody answers, or somebody else does."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise Invalid("the address of a server is https://NAME[:PORT]", got=url[:80])
    try:
        context = ssl.create_default_context(cadata=ca_pem)
    except ssl.SSLError as e:
        raise Invalid(f"the pinned certificate is none: {e}") from None
    try:
        async with asyncio.timeout(within_s):
            return await _exchange(parts, path, context, body)
    except TimeoutError:
        raise Unavailable(f"{parts.hostname} does not answer: not within {within_s:g} s") from None
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as e:
        raise Unavailable(f"{parts.hostname} does not answer: {str(e) or type(e).__name__}") from None


async def _exchange(parts: SplitResult, path: str, context: ssl.SSLContext, body: bytes) -> tuple[int, bytes]:
    async with asyncio.timeout(CALL_S):
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port or 443, ssl=context, server_hostname=SERVER_NAME, limit=HEAD_BYTES_MAX
        )
    try:
        writer.write(
            f"POST {path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            + body
        )
        return await _answer(reader)
    finally:
        writer.transport.abort()  # all is read, or given up; a goodbye of TLS would wait for the other side


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    version, status, *_ = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError("it speaks no HTTP")
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return int(status), await _chunks(reader)
    return int(status), await reader.readexactly(_bounded(int(headers.get("content-length", "-1"))))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """As a proxy in between may send it."""
    data = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        _bounded(len(data) + size)
        data += await reader.readexactly(size)
        await reader.readexactly(2)
    return data


def _bounded(size: int) -> int:
    if not 0 <= size <= ANSWER_BYTES_MAX:
        raise ValueError("it answers more than any server of ours does")
    return size
