"""One message out to an address that somebody else has named, guarded: bounded in time and size, to checked addresses.

Invariants: a name is looked up once, every address that it has must be allowed, and the connection goes to the very
address that was checked (so no second look-up can lead elsewhere); a name that is not looked up within the patience is
given up (`looking_up`); however slowly the other side answers, it is cut off after WHOLE times the patience; and both
end at once when its sender is cancelled; redirects are not followed; no proxy is used;
TLS is checked by name with the machine's own authorities. Whatever goes wrong is `Unavailable` in words.
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
from typing import Final, TypeVar

from brakeline.core.errors import Unavailable
from brakeline.platform.looking_up import Box, LookUps

SEND_S: Final = 10.0
WHOLE: Final = 3  # times its patience: a byte now and then is no answer, and threads are few
ADDRESSES_MAX: Final = 3  # of one name that are tried: each may take its patience
ANSWER_BYTES_MAX: Final = 4096  # nobody reads more of it
DRAIN_S: Final = 3.0  # how long a receiver of lines may take to close after us
_LOOK_UPS: Final = LookUps()
T = TypeVar("T")
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
    return await _in_a_thread(lambda line: _post(line, target, path, body, headers, allowed, trust))


async def write(target: Target, data: bytes, allowed: Allowed, trust: ssl.SSLContext | None) -> None:
    """Write it to a stream, and wait until the other side has closed after us, which tells that it had come."""
    await _in_a_thread(lambda line: _write(line, target, data, allowed, trust))


class _Line:
    """The connection of one message, which its thread, its timer and whoever gives up on it can cut."""

    def __init__(self) -> None:
        self.is_cut = False
        self.told: Box = Box()  # what its name means
        self._sock: socket.socket | None = None

    def hold(self, sock: socket.socket) -> None:
        """From now on this is what is cut. Raises `OSError` if it was to be cut before."""
        self._sock = sock
        if self.is_cut:
            raise OSError("it was given up")

    def cut(self) -> None:
        """Whoever connects, reads or writes there is told that the other side closed. Not TLS's way: it would wait."""
        self.is_cut = True
        self.told.put(OSError("it was given up"))
        if self._sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


async def _in_a_thread(work: Callable[[_Line], T]) -> T:
    """Whoever is cancelled leaves no thread asleep on a receiver: the end of the process would wait for it."""
    line = _Line()
    try:
        return await asyncio.to_thread(work, line)
    finally:
        line.cut()


def _post(
    line: _Line, target: Target, path: str, body: bytes, headers: Mapping[str, str], allowed: Allowed,
    trust: ssl.SSLContext | None,
) -> int:  # fmt: skip
    connection = http.client.HTTPConnection(target.host, target.port, timeout=target.patience_s)
    with contextlib.closing(connection), _connected(line, target, allowed, trust) as sock:
        connection.sock = sock
        try:
            connection.request("POST", path, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException, UnicodeError) as e:  # the last: a path that is no ASCII
            raise Unavailable(f"{target.host} does not answer: {e or type(e).__name__}") from None
    return answer.status


def _write(line: _Line, target: Target, data: bytes, allowed: Allowed, trust: ssl.SSLContext | None) -> None:
    with _connected(line, target, allowed, trust) as sock:
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
def _connected(line: _Line, target: Target, allowed: Allowed, trust: ssl.SSLContext | None) -> Iterator[socket.socket]:
    """A connection to an allowed address, cut in the end however slow it is, closed behind."""
    sock = _opened(line, target, allowed, trust)
    cut = threading.Timer(WHOLE * target.patience_s, line.cut)
    cut.daemon = True
    cut.start()
    try:
        if isinstance(sock, ssl.SSLSocket):
            try:
                sock.do_handshake()
            except OSError as e:
                raise Unavailable(f"{target.host} does not answer: {e}") from None
        yield sock
        if line.is_cut:  # half an answer looks like a whole one
            raise Unavailable(f"{target.host} answers too slowly")
    finally:
        cut.cancel()
        sock.close()


def _opened(line: _Line, target: Target, allowed: Allowed, trust: ssl.SSLContext | None) -> socket.socket:
    try:
        found = _LOOK_UPS.look_up(target.host, target.port, target.patience_s, line.told)
    except (OSError, UnicodeError) as e:
        raise Unavailable(f"{target.host} is not known: {e}") from None
    families = {str(entry[4][0]): entry[0] for entry in found}
    for address in families:
        if why := allowed(address):
            raise Unavailable(f"nothing is sent to {target.host}: {why}")
    last: OSError = OSError("it has no address")
    for address, family in tuple(families.items())[:ADDRESSES_MAX]:
        try:
            plain = _dialled(line, family, (address, target.port), target.patience_s)
            return _wrapped(line, plain, target, trust) if target.tls else plain
        except OSError as e:
            last = e
    raise Unavailable(f"{target.host} does not answer: {last}")


def _dialled(line: _Line, family: int, address: tuple[str, int], patience_s: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(patience_s)
        line.hold(sock)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def _wrapped(line: _Line, plain: socket.socket, target: Target, trust: ssl.SSLContext | None) -> socket.socket:
    try:
        context = trust or ssl.create_default_context()
        line.hold(wrapped := context.wrap_socket(plain, server_hostname=target.host, do_handshake_on_connect=False))
        return wrapped
    except (OSError, ValueError) as e:  # the second: a name that TLS cannot ask for
        plain.close()
        raise OSError(str(e)) from None
