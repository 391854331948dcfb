"""One file from an address, bounded in time and size, with a conditional request: whoever has it gets it once.

Invariants: https with the machine's own authorities, or plain http to this very machine; redirects only to https (or
from here to here), five at most; a proxy of the environment is used. A connection that breaks is taken up where it
broke, if the address says that the file is still the same; a file that came short is never taken for whole. Whatever
goes wrong is `Unavailable` in words.
"""

from __future__ import annotations

import asyncio
import http.client
import re
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
PARTIAL: Final = 206
RESUMES: Final = 4  # times that a broken connection is taken up again where it broke
RANGE: Final = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/(?:[0-9]{1,15}|\*)")
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
    host = str(urlsplit(url).hostname)
    begun = _Begun()
    asked = _request(url, {"If-None-Match": etag, "If-Modified-Since": last_modified})
    for _ in range(1 + RESUMES):
        try:
            with urllib.request.build_opener(_Redirects).open(asked, timeout=FETCH_S) as answer:
                begun.take(answer, limit, host)
            why = "the connection ended too soon"
        except urllib.error.HTTPError as e:
            if e.code == NOT_MODIFIED and not begun.data:
                return Fetched(None, etag, last_modified)
            raise Unavailable(f"{host} answers {e.code} {e.reason}") from None
        except (OSError, http.client.HTTPException) as e:
            why = str(e) or type(e).__name__
        if begun.whole:
            return Fetched(bytes(begun.data), begun.etag[:200], begun.last_modified[:60])
        if not begun.can_go_on:
            break
        asked = _request(url, {"Range": f"bytes={len(begun.data)}-", "If-Range": begun.validator})
    raise Unavailable(f"{host} does not answer: {why}")


def _request(url: str, headers: dict[str, str]) -> urllib.request.Request:
    always = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    given = {name: value for name, value in headers.items() if value}
    return urllib.request.Request(url, headers=always | given)  # noqa: S310


class _Begun:
    """What has come of a file so far, over one connection or several; a file that changed meanwhile begins anew."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.size: int | None = None  # of the whole file, where the address says it
        self.etag = self.last_modified = ""
        self.ended = False  # the stream came to its own end

    @property
    def validator(self) -> str:
        """What says that the rest is of the same file; a weak tag does not."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified

    @property
    def whole(self) -> bool:
        return self.ended and (self.size is None or len(self.data) >= self.size)

    @property
    def can_go_on(self) -> bool:
        return bool(self.data) and bool(self.validator)

    def take(self, answer: http.client.HTTPResponse, limit: int, host: str) -> None:
        """Read on. Raises `Unavailable` for more than `limit` bytes, before they are read where that is known."""
        headers = answer.headers
        self.ended = False
        if answer.status != PARTIAL or not self._goes_on(headers.get("Content-Range", "")):
            self.data.clear()
            length = headers.get("Content-Length", "")
            self.size = int(length) if length.isdigit() else None
        self.etag, self.last_modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        if self.size is not None and self.size > limit:
            raise Unavailable(f"{host} sends more than {limit} bytes; nothing was kept")
        while piece := answer.read(_CHUNK):
            self.data += piece
            if len(self.data) > limit:
                raise Unavailable(f"{host} sends more than {limit} bytes; nothing was kept")
        self.ended = True

    def _goes_on(self, said: str) -> bool:
        found = RANGE.fullmatch(said)
        if found is None or int(found[1]) != len(self.data):
            raise http.client.HTTPException("it goes on at another place than it was asked to")
        return True
