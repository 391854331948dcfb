"""One message out to an address that somebody else has named, guarded: bounded in time and size, to checked addresses.

Invariants: a name is looked up once, every address that it has must be allowed, and the connection goes to the very
address that was checked (so no second look-up can lead elsewhere); however slowly the other side answers, it is cut off
after WHOLE times the patience; redirects are not followed; no proxy is used; TLS is checked by name with the machine's
own authorities. Whatever goes wrong is `Unavailable` in words.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Unavailable

SEND_S: Final = 10.0
WHOLE: Final = 3  # times its patience: a byte now and then is no answer, and threads are few
ADDRESSES_MAX: Final = 3  # of one name that are tried: each may take its patience
ANSWER_BYTES_MAX: Final = 4096  # nobody reads more of it
DRAIN_S: Final = 3.0  # how long a receiver of lines may take to close after us
Allowed = Callable[[str], str]  # IP address -> why nothing is sent to it, "" = it may be


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: `tls` by the name of `host`. `patience_s`: to connect, and without a byte."""

    host: str
    port: int
    tls: bool
    patience_s: float = SEND_S


async def post(
    target: Target, path: str, body: bytes, headers: Mapping[str, str], allowed: Allowed, trust: ssl.SSLContext | None
) -> int:
    """POST it; the status of the answer. `trust` None = the machine's own authorities."""
    return await asyncio.to_thread(_post, target, path, body, headers, allowed, trust)


async def write(target: Target, data: bytes, allowed: Allowed, trust: ssl.SSLContext | None) -> None:
    """Write it to a stream, and wait until the other side has closed after us, which tells that it had come."""
    await asyncio.to_thread(_write, target, data, allowed, trust)


def _post(
    target: Target, path: str, body: bytes, headers: Mapping[str, str], allowed: Allowed, trust: ssl.SSLContext | None
) -> int:
    connection = http.client.HTTPConnection(target.host, target.port, timeout=target.patience_s)
    with contextlib.closing(connection), _connected(target, allowed, trust) as sock:
        connection.sock = sock
        try:
            connection.request("POST", path, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException, UnicodeError) as e:  # the last: a path that is no ASCII
            raise Unavailable(f"{target.host} does not answer: {e or type(e).__name__}") from None
    return answer.status


def _write(target: Target, data: bytes, allowed: Allowed, trust: ssl.SSLContext | None) -> None:
    with _connected(target, allowed, trust) as sock:
        try:
            sock.sendall(data)
            sock.settimeout(DRAIN_S)
            with contextlib.suppress(TimeoutError, ssl.SSLError):  # kept open, or closed without a word: not refused
                if isinstance(sock, ssl.SSLSocket):
                    sock.unwrap()
                else:
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(ANSWER_BYTES_MAX):
                        pass
        except OSError as e:
            raise Unavailable(f"{target.host} does not take it: {e or type(e).__name__}") from None


@contextlib.contextmanager
def _connected(target: Target, allowed: Allowed, trust: ssl.SSLContext | None) -> Iterator[socket.socket]:
    """A connection to an allowed address, cut in the end however slow it is, closed behind."""
    sock = _opened(target, allowed, trust)
    over = threading.Event()
    cut = threading.Timer(WHOLE * target.patience_s, _cut, (sock, over))
    cut.daemon = True
    cut.start()
    try:
        if isinstance(sock, ssl.SSLSocket):
            try:
                sock.do_handshake()
            except OSError as e:
                raise Unavailable(f"{target.host} does not answer: {e}") from None
        yield sock
        if over.is_set():  # half an answer looks like a whole one
            raise Unavailable(f"{target.host} answers too slowly")
    finally:
        cut.cancel()
        sock.close()


def _cut(sock: socket.socket, over: threading.Event) -> None:
    """Whoever reads or writes there is told that the other side has closed. Not TLS's own way, which would wait."""
    over.set()
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _opened(target: Target, allowed: Allowed, trust: ssl.SSLContext | None) -> socket.socket:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as e:
        raise Unavailable(f"{target.host} is not known: {e}") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if why := allowed(address):
            raise Unavailable(f"nothing is sent to {target.host}: {why}")
    last: OSError = OSError("it has no address")
    for address in addresses[:ADDRESSES_MAX]:
        try:
            plain = socket.create_connection((address, target.port), target.patience_s)
            return _wrapped(plain, target, trust) if target.tls else plain
        except OSError as e:
            last = e
    raise Unavailable(f"{target.host} does not answer: {last}")


def _wrapped(plain: socket.socket, target: Target, trust: ssl.SSLContext | None) -> socket.socket:
    try:
        context = trust or ssl.create_default_context()
        return context.wrap_socket(plain, server_hostname=target.host, do_handshake_on_connect=False)
    except (OSError, ValueError) as e:  # the second: a name that TLS cannot ask for
        plain.close()
        raise OSError(str(e)) from None
