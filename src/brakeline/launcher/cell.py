"""What a look asks of the cell: the signed documents, and the bytes of a release. TLS to our own authority alone,
directly or by a proxy (`protocol.proxy`).

Nothing that comes from here is believed: documents are assessed, bytes are hashed. No wait is longer than it was given.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from brakeline.launcher import clock
from brakeline.launcher.settings import Settings
from brakeline.protocol import proxy
from brakeline.protocol.routes import TRUST_BUNDLE, TRUST_TARGET
from brakeline.trust import wire
from brakeline.trust.model import Documents, Offered

NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: a wrong clock must not keep the right time away
CHUNK_BYTES = 65_536


class Unreachable(Exception):
    """The cell gave no usable answer; says which and why."""


class _Connection(http.client.HTTPSConnection):
    """To our cell, whatever address it has: only its own authority and its fixed name count (ADR 0011)."""

    def __init__(self, settings: Settings, timeout_s: float) -> None:
        parts = urlsplit(settings.server_url)
        if parts.scheme != "https" or not parts.hostname:
            raise Unreachable(f"the server's address {settings.server_url!r} is not https://HOST:PORT")
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ours.verify_flags |= NO_CHECK_TIME
        ours.load_verify_locations(cadata=settings.ca_pem)
        # Given at once: without one, a context is made first that reads every authority of this system, for nothing.
        super().__init__(parts.hostname, parts.port or 443, timeout=timeout_s, context=ours)
        self._ours, self._name, self._seconds = ours, settings.server_name, timeout_s
        self._proxy, self.way = settings.proxy, settings.way

    def connect(self) -> None:
        until_s = clock.monotonic_s() + self._seconds
        dial = self._in_time if self._proxy else self._dial
        self.way, self.sock = proxy.reach(self._proxy, self.way, dial, self._seconds, clock.monotonic_s)
        self.sock.settimeout(max(until_s - clock.monotonic_s(), 0.001))

    def _dial(self, way: proxy.Way, seconds: float) -> ssl.SSLSocket:
        plain = socket.create_connection((way.host, way.port) if way else (self.host, self.port), seconds)
        if way:
            proxy.agree(plain, way, self.host, self.port, seconds, clock.monotonic_s)
        return self._ours.wrap_socket(plain, server_hostname=self._name)

    def _in_time(self, way: proxy.Way, seconds: float) -> ssl.SSLSocket:
        """Names are looked up without a limit of time, which must not take the time of the other way."""
        came: list[ssl.SSLSocket | Exception] = []

        def dial() -> None:
            try:
                came.append(self._dial(way, seconds))
            except (OSError, ValueError) as e:
                came.append(e)

        worker = threading.Thread(target=dial, daemon=True)
        worker.start()
        worker.join(seconds)
        first = came[0] if came else TimeoutError()
        if isinstance(first, Exception):
            raise first
        return first


def documents(settings: Settings, nonce: str, root: int, channel: str, timeout_s: float) -> tuple[Documents, str]:
    """The signed documents, and the way they came. Raises `Unreachable`, and `Distrust` for what no cell serves."""
    fields = {"root": root, "channel": channel, "region": settings.who.region, "nonce": nonce}
    try:
        connection = _Connection(settings, timeout_s)
        connection.request("GET", f"{TRUST_BUNDLE}?{urlencode(fields)}")
        answer = connection.getresponse()
        body = answer.read(wire.TEXT_BYTES_MAX + 1)
        connection.close()
    except (OSError, http.client.HTTPException, ValueError) as e:
        raise _unreachable(settings, e) from None
    if len(body) > wire.TEXT_BYTES_MAX:
        raise Unreachable(f"{settings.server_url} answers with more than {wire.TEXT_BYTES_MAX} bytes")
    if answer.status != 200:
        raise Unreachable(f"{settings.server_url} answers {answer.status} instead of the signed documents")
    return wire.from_text(body.decode(errors="replace")), connection.way


def rest_of(settings: Settings, wanted: Offered, start: int, until_s: float) -> tuple[int, bytes]:
    """(offset, the release's bytes from there on), as many as come by `until_s`. Raises `Unreachable`.

    The offset is `start`, or 0 where the cell, or a proxy on the way to it, knows no ranges.
    """
    left_s = until_s - clock.monotonic_s()
    if left_s <= 0:
        raise Unreachable("no time is left for it in this look")
    asked: Mapping[str, str] = {"Range": f"bytes={start}-"} if start else {}
    try:
        connection = _Connection(settings, left_s)
        connection.request("GET", TRUST_TARGET + wanted.sha256, headers=asked)
        line = connection.sock
        answer = connection.getresponse()
        if answer.status == 200:
            start = 0
        elif answer.status != 206 or not (answer.getheader("Content-Range") or "").startswith(f"bytes {start}-"):
            raise Unreachable(f"{settings.server_url} answers {answer.status} instead of the release")
        data = _read(answer, line, wanted.length - start, until_s)
        connection.close()
    except (OSError, http.client.HTTPException, ValueError) as e:
        raise _unreachable(settings, e) from None
    return start, data


def _read(answer: http.client.HTTPResponse, line: socket.socket, most: int, until_s: float) -> bytes:
    """What comes in time, `most` bytes at most; a line that breaks off ends it, and what has come counts."""
    data = bytearray()
    try:
        while len(data) < most and (left_s := until_s - clock.monotonic_s()) > 0:
            line.settimeout(left_s)
            chunk = answer.read1(min(CHUNK_BYTES, most - len(data)))
            if not chunk:
                break
            data += chunk
    except (OSError, http.client.HTTPException):
        pass
    return bytes(data)


def _unreachable(settings: Settings, e: Exception) -> Unreachable:
    why = str(e) if isinstance(e, proxy.NoWay) else f"{type(e).__name__}: {e}"
    return Unreachable(f"{settings.server_url}: {why}")
