"""One file from an address, bounded in time and size, with a conditional request: whoever has it gets it once.

Invariants: https with the machine's own authorities, or plain http to this very machine; redirects only to https (or
from here to here), five at most; a proxy of the environment is used. Whatever goes wrong is `Unavailable` in words.
"""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import IO, Final
from urllib.parse import urlsplit

from brakeline.core.errors import Invalid, Unavailable

FETCH_S: Final = 60.0  # without a byte
AGENT: Final = "brakeline"
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
NOT_MODIFIED: Final = 304
_CHUNK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came; `data` None = nothing newer than what the validators name."""

    data: bytes | None
    etag: str = ""
    last_modified: str = ""


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        allowed(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def allowed(url: str) -> str:
    """`url`, if it may be asked. Raises `Invalid`."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname and not parts.username:
        return url
    if parts.scheme == "http" and parts.hostname in LOOPBACK:
        return url
    raise Invalid("a feed's address is https://NAME/PATH without a user name", got=f"{parts.scheme}://{parts.hostname}")


async def fetch(url: str, etag: str, last_modified: str, limit: int) -> Fetched:
    """The file at `url`, or that there is none newer. At most `limit` bytes."""
    allowed(url)
    return await asyncio.to_thread(_fetch, url, etag, last_modified, limit)


def _fetch(url: str, etag: str, last_modified: str, limit: int) -> Fetched:
    request = urllib.request.Request(url, headers={"User-Agent": AGENT, "Accept-Encoding": "identity"})  # noqa: S310
    if etag:
        request.add_header("If-None-Match", etag)
    if last_modified:
        request.add_header("If-Modified-Since", last_modified)
    host = urlsplit(url).hostname
    try:
        with urllib.request.build_opener(_Redirects).open(request, timeout=FETCH_S) as answer:
            data = _read(answer, limit, str(host))
            headers = answer.headers
    except urllib.error.HTTPError as e:
        if e.code == NOT_MODIFIED:
            return Fetched(None, etag, last_modified)
        raise Unavailable(f"{host} answers {e.code} {e.reason}") from None
    except (OSError, http.client.HTTPException) as e:
        raise Unavailable(f"{host} does not answer: {e or type(e).__name__}") from None
    return Fetched(data, headers.get("ETag", "")[:200], headers.get("Last-Modified", "")[:60])


def _read(answer: IO[bytes], limit: int, host: str) -> bytes:
    chunks, size = [], 0
    while piece := answer.read(_CHUNK):
        size += len(piece)
        if size > limit:
            raise Unavailable(f"{host} sends more than {limit} bytes; nothing was kept")
        chunks.append(piece)
    return b"".join(chunks)
