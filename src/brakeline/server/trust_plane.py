"""What launchers fetch without an identity: raw ASGI for `/trust/v1/*`. Everything here is public and signed.

Promises: parameters are bounded before anything is signed; so many answers at once and no more, and whoever takes
nothing of his gives way to a newcomer (`places`); a bundle is streamed, never held; who does not take an answer is left
after ANSWER_S; Range lets a download go on where it broke off. Routes: `protocol.routes`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from brakeline.protocol.routes import TRUST_BUNDLE, TRUST_TARGET
from brakeline.server.places import Full, Moved, Places
from brakeline.trust.model import Documents
from brakeline.trust.wire import to_text

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]
Work = Callable[[Scope, Send, bool, Moved], Awaitable[None]]

PREFIX: Final = "/trust/v1/"
BUNDLES_MAX: Final = 256  # answers of documents in flight: 40 KiB each, and some ten signatures a millisecond
STREAMS_MAX: Final = 64  # downloads at once: a chunk of memory and a connection each
STREAM_S: Final = 1800.0  # 64 MiB at 36 KiB/s; whoever is slower comes again with Range
CHUNK_BYTES: Final = 256 * 1024
PATIENCE_S: Final = 8.0  # where others wait: a chunk at 36 KiB/s
ANSWER_S: Final = 30.0  # 40 KiB: whoever does not read them in this time holds up nobody else
RETRY_AFTER_S: Final = 30
QUERY_BYTES_MAX: Final = 1024
FIELDS: Final = {
    "root": re.compile(r"[0-9]{1,9}"),
    "channel": re.compile(r"[A-Za-z0-9_./-]{0,100}"),
    "region": re.compile(r"[A-Za-z0-9_.-]{0,64}"),
    "nonce": re.compile(r"([0-9a-f]{2}){0,32}"),
}
_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Source(Protocol):
    """Where documents and bundles come from (`releases.service.ReleasesService`)."""

    def documents(self, root: int, channel: str, region: str, nonce: str) -> Documents: ...
    def target(self, sha256: str) -> Path | None: ...


class TrustPlane:
    """The ASGI application for `/trust/v1/`."""

    def __init__(
        self, source: Source, bundles_max: int = BUNDLES_MAX, streams_max: int = STREAMS_MAX,
        answer_s: float = ANSWER_S, patience_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        self._source = source
        self._bundles, self._streams = Places(bundles_max, patience_s), Places(streams_max, patience_s)
        self._answer_s = answer_s

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        path, head = scope["path"], scope["method"] == "HEAD"
        if scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, b"only GET and HEAD", head=head)
        elif path == TRUST_BUNDLE:
            await self._within(self._bundles, self._answer_s, self._bundle, scope, send, head)
        elif path.startswith(TRUST_TARGET):
            await self._within(self._streams, STREAM_S, self._target, scope, send, head)
        else:
            await _answer(send, 404, b"no such route", head=head)

    async def _within(self, places: Places, within_s: float, work: Work, scope: Scope, send: Send, head: bool) -> None:
        """Do it if not too many do so already. An answer that is left ends short of its length, and the launcher comes
        again."""
        try:
            with suppress(TimeoutError):
                async with places.place(within_s) as moved:
                    await work(scope, send, head, moved)
        except Full:
            headers = ((b"retry-after", str(RETRY_AFTER_S).encode()),)
            await _answer(send, 503, b"too many ask at once; come again later", headers, head=head)

    async def _bundle(self, scope: Scope, send: Send, head: bool, _: Moved) -> None:
        asked = _query(scope["query_string"])
        if asked is None:
            fields = ", ".join(f"{name}: {pattern.pattern}" for name, pattern in FIELDS.items())
            await _answer(send, 400, f"the query is {fields}, each once".encode(), head=head)
            return
        documents = self._source.documents(
            int(asked.get("root") or 0), asked.get("channel", ""), asked.get("region", ""), asked.get("nonce", "")
        )
        headers = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
        await _answer(send, 200, to_text(documents).encode(), headers, head=head)

    async def _target(self, scope: Scope, send: Send, head: bool, moved: Moved) -> None:
        sha256 = scope["path"].removeprefix(TRUST_TARGET)
        path = self._source.target(sha256)
        if path is None:
            await _answer(send, 404, b"no such release here", head=head)
            return
        length = path.stat().st_size
        wanted = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"range"), "")
        part = _part(wanted, length)
        headers: tuple[Header, ...] = (
            (b"content-type", b"application/x-tar"), (b"accept-ranges", b"bytes"), (b"etag", f'"{sha256}"'.encode()),
            (b"cache-control", b"public, max-age=31536000, immutable"),
        )  # fmt: skip
        if part is None:
            await _answer(send, 416, b"", (*headers, (b"content-range", f"bytes */{length}".encode())), head=head)
            return
        start, end = part
        if wanted and (start, end) != (0, length):
            headers = (*headers, (b"content-range", f"bytes {start}-{end - 1}/{length}".encode()))
        headers = (*headers, (b"content-length", str(end - start).encode()))
        status = 206 if b"content-range" in dict(headers) else 200
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        if head:
            await send({"type": "http.response.body", "body": b""})
            return
        await _stream(send, path, start, end, moved)


async def _stream(send: Send, path: Path, start: int, end: int, moved: Moved) -> None:
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            chunk = await asyncio.to_thread(file.read, min(CHUNK_BYTES, end - start))
            if not chunk:
                return
            start += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": start < end})
            moved()


def _query(raw: bytes) -> dict[str, str] | None:
    """The fields of a query, None if one is unknown, doubled or out of bounds."""
    if len(raw) > QUERY_BYTES_MAX:
        return None
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), max_num_fields=8)
    except (ValueError, UnicodeDecodeError):
        return None
    found = dict(pairs)
    fits = all(name in FIELDS and FIELDS[name].fullmatch(value) for name, value in pairs)
    return found if fits and len(found) == len(pairs) else None


def _part(wanted: str, length: int) -> tuple[int, int] | None:
    """[start, end) of a Range header; all of it for none or one that is not understood, None if out of reach."""
    match = _RANGE.fullmatch(wanted)
    if match is None or match.group(0) == "bytes=-":
        return 0, length
    first, last = match.groups()
    if not first:
        return (max(0, length - int(last)), length) if int(last) else None
    start, end = int(first), min(int(last) + 1, length) if last else length
    if start >= length:
        return None
    return (start, end) if start < end else (0, length)


async def _answer(send: Send, status: int, body: bytes, headers: tuple[Header, ...] = (), *, head: bool) -> None:
    said = [*headers, (b"content-length", str(len(body)).encode())]
    if b"content-type" not in dict(headers):
        said.append((b"content-type", b"text/plain; charset=utf-8"))
    await send({"type": "http.response.start", "status": status, "headers": said})
    await send({"type": "http.response.body", "body": b"" if head else body})
