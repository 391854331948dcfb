"""One kept-alive TLS connection to the cell, with the pinned authority and a fixed server name. Bounded everywhere,
the look-up of its name too (`dialling`).

Directly or by the endpoint's proxy: the way that worked last first, the other where no connection comes about
(`protocol.proxy`). The proxy's file is looked at before each request, so a change holds from the next one on.

Whatever address is dialled, the certificate must come from the authority that enrolment pinned and be for
`cell.brakeline.internal`; so a moved server, a NAT or a relay change nothing, and a public authority counts for
nothing. A wrong local clock must not cut the endpoint off, so OpenSSL does not judge the dates; instead a
certificate that ended before the latest time that we *know* to have passed is refused (`time_floor_ms`).
"""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from brakeline.agent.dialling import connected
from brakeline.agent.proxy_file import ProxyFile
from brakeline.core.errors import Fault, Invalid
from brakeline.core.limits import AGENT_BODY_BYTES_MAX
from brakeline.protocol import proxy as proxies

SERVER_NAME = "cell.brakeline.internal"
CONNECT_S_MAX = 10.0
ANSWER_S_MAX = 30.0  # on top of the time that a long-poll may wait
_DROPPED = (
    http.client.RemoteDisconnected,
    ConnectionResetError,
    ConnectionAbortedError,
    BrokenPipeError,
    ssl.SSLEOFError,
)
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python's ssl does not name


class CellUnreachable(Fault):
    """The cell does not answer."""

    code, status = "cell-unreachable", 503


class NotOurCell(CellUnreachable):
    """Somebody answers, but it is not the cell that this endpoint is enrolled with."""

    code = "not-our-cell"
    hint = "Check the address; if the server was set up anew, enrol this machine again."


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class _Connection(http.client.HTTPSConnection):
    """An HTTPS connection over a line that `dial` has made."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, dial: Callable[[], ssl.SSLSocket]) -> None:
        super().__init__(host, port, context=context)
        self._line = dial

    def connect(self) -> None:
        self.sock = self._line()


class Transport:
    """Sends one request at a time. `time_floor_ms`: a time that has certainly passed, raised by the owner."""

    def __init__(self, server_url: str, ca_pem: str, time_floor_ms: int, proxy: ProxyFile | None = None) -> None:
        parts = urlsplit(server_url)
        if parts.scheme != "https" or not parts.hostname:
            raise Invalid(f"the server's address must look like https://HOST:PORT, not {server_url!r}")
        self._host, self._port = parts.hostname, parts.port or 443
        self._context = _context(ca_pem)
        self._connection: _Connection | None = None
        self._proxy, self._way = proxy, ""
        self.time_floor_ms = time_floor_ms
        self.answer_s_max = ANSWER_S_MAX

    @property
    def way(self) -> str:
        """How the cell was reached last, in words; "" = not yet."""
        problem = self._proxy.problem if self._proxy is not None else ""
        return f"{self._way or proxies.DIRECTLY}; {problem}" if problem else self._way

    def post(self, target: str, body: bytes, headers: dict[str, str], wait_s: float = 0.0) -> Answer:
        """The answer to a POST; `CellUnreachable` or `NotOurCell`. Tries again once if a kept connection had died."""
        if self._proxy is not None and self._proxy.changed():
            self.close()
        kept = self._connection is not None
        try:
            return self._exchange(target, body, headers, wait_s)
        except _DROPPED as e:
            self.close()
            if not kept:
                raise CellUnreachable(f"{self._host}:{self._port} closed the connection.") from e
        # The server may have ended an idle connection just as we wrote. Requests carry a counter, so one that did
        # arrive is refused as replayed when it comes twice: nothing is ever done twice for this.
        try:
            return self._exchange(target, body, headers, wait_s)
        except _DROPPED as e:
            self.close()
            raise CellUnreachable(f"{self._host}:{self._port} closed the connection.") from e

    def _exchange(self, target: str, body: bytes, headers: dict[str, str], wait_s: float) -> Answer:
        try:
            connection = self._connected()
            connection.sock.settimeout(wait_s + self.answer_s_max)
            connection.request("POST", target, body, {"content-type": "application/json", **headers})
            response = connection.getresponse()
            data = response.read(AGENT_BODY_BYTES_MAX + 1)
        except _DROPPED:
            raise
        except proxies.NoWay as e:
            self.close()
            other = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in e.causes)
            raise (NotOurCell if other else CellUnreachable)(str(e)) from e
        except ssl.SSLCertVerificationError as e:
            self.close()
            raise NotOurCell(e.verify_message) from e
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise CellUnreachable(f"{self._host}:{self._port}: {e or type(e).__name__}") from e
        if len(data) > AGENT_BODY_BYTES_MAX:
            self.close()
            raise CellUnreachable(f"the answer is longer than {AGENT_BODY_BYTES_MAX} bytes.")
        if response.will_close:
            self.close()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, data)

    def _connected(self) -> _Connection:
        if self._connection is None:
            connection = _Connection(self._host, self._port, self._context, self._reach)
            connection.connect()
            self._connection = connection
            self._refuse_expired(connection)
        return self._connection

    def _reach(self) -> ssl.SSLSocket:
        seconds = min(CONNECT_S_MAX, self.answer_s_max)
        proxy = self._proxy.now() if self._proxy is not None else None
        self._way, line = proxies.reach(proxy, self._way, self._dial, seconds, time.monotonic)
        return line

    def _dial(self, way: proxies.Way, seconds: float) -> ssl.SSLSocket:
        plain = connected(*((way.host, way.port) if way else (self._host, self._port)), seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if way:
                proxies.agree(plain, way, self._host, self._port, seconds, time.monotonic)
            return self._context.wrap_socket(plain, server_hostname=SERVER_NAME)
        except BaseException:
            plain.close()
            raise

    def _refuse_expired(self, connection: _Connection) -> None:
        certificate = connection.sock.getpeercert() or {}
        ended_s = ssl.cert_time_to_seconds(str(certificate.get("notAfter", "Jan  1 00:00:00 1970 GMT")))
        if ended_s * 1000 < self.time_floor_ms:
            self.close()
            raise NotOurCell("its certificate ended before a time that has certainly passed.")

    def close(self) -> None:
        """Drop the connection; the next request dials again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def tried(server_url: str, ca_pem: str, way: proxies.Way) -> str:
    """Dial the cell this way alone, without asking it anything. "" = it is reached, else why it is not."""
    probe = Transport(server_url, ca_pem, 0)
    try:
        probe._dial(way, CONNECT_S_MAX).close()
    except (OSError, ValueError) as e:
        return f"it was tried, and the cell is not reached: {proxies.came_to(way, e)}"
    return ""


def _context(ca_pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= NO_CHECK_TIME
    if sys.platform == "win32":
        from brakeline.agent.windows import PatientSocket

        context.sslsocket_class = PatientSocket
    try:
        context.load_verify_locations(cadata=ca_pem)
    except (ssl.SSLError, ValueError) as e:
        raise Invalid(f"the authority's certificate cannot be read: {e}") from None
    return context
