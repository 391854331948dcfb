"""A small real HTTP proxy for tests: CONNECT, with a user and a password if wished, and every way of misbehaving.

It forwards bytes and sees nothing of what is in them: `seen` is all that passed through, `asked` each request's head.
`hosts` are names that it alone knows, so that what is called by them is reached by nobody directly.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

INSIDE = "cell.invalid"  # a name that no resolver has
Misbehave = Callable[[socket.socket], None]


class ConnectProxy:
    """Listens on `host`, or where `listening` does. `misbehave` takes over a line after its request has been read."""

    def __init__(self, user: str = "", password: str = "", host: str = "127.0.0.1",
                 listening: socket.socket | None = None) -> None:  # fmt: skip
        self._known = base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
        self.asked: list[str] = []
        self.seen = bytearray()
        self.hosts = {INSIDE: "127.0.0.1"}
        self.ports: dict[int, int] = {}  # where it goes instead
        self.misbehave: Misbehave | None = None
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self._listening = listening or socket.create_server((host, 0))
        host, self.port = self._listening.getsockname()
        self.place = f"{host}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    def close(self) -> None:
        """Nobody listens any more, and what was open is closed."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        for one in (self._listening, *self._open):
            one.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError), line:
            head = _head(line)
            self.asked.append(head)
            if self.misbehave is not None:
                return self.misbehave(line)
            if self._known and f"\r\nProxy-Authorization: Basic {self._known}\r\n" not in head:
                return line.sendall(b'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n')
            host, _, port = head.split()[1].rpartition(":")
            try:
                there = socket.create_connection(
                    (self.hosts.get(host, host.strip("[]")), self.ports.get(int(port), int(port))), 5
                )
            except OSError:
                return line.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>no</html>")
            there.settimeout(None)  # of connecting alone: an answer may be long in coming
            self._open.append(there)
            with there:
                line.sendall(b"HTTP/1.1 200 Connection established\r\nVia: tests\r\n\r\n")
                threading.Thread(target=self._pump, args=(there, line), daemon=True).start()
                self._pump(line, there)

    def _pump(self, source: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.seen += data
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)


def _head(line: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = line.recv(4096)
        if not piece:
            raise OSError("gone")
        data += piece
    return data.decode()


@contextlib.contextmanager
def proxying(
    user: str = "", password: str = "", host: str = "127.0.0.1", listening: socket.socket | None = None
) -> Iterator[ConnectProxy]:
    proxy = ConnectProxy(user, password, host, listening)
    try:
        yield proxy
    finally:
        proxy.close()


# --- faults -----------------------------------------------------------------------------------------------------------


def says(answer: bytes) -> Misbehave:
    """This, and then nothing more."""
    return lambda line: line.sendall(answer)


def hangs(line: socket.socket) -> None:
    line.recv(1)  # until the other end goes


def endless(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        line.sendall(b"X-More: " + b"x" * 500 + b"\r\n")


def drips(line: socket.socket) -> None:
    """A header that never ends, a byte at a time: each wait is short, all of them together are not."""
    line.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        line.sendall(b"x")
        time.sleep(0.05)


def inspects(certificate: Path, key: Path) -> Misbehave:
    """Answers TLS by itself, with a certificate of its own authority."""

    def end_it(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        with context.wrap_socket(line, server_side=True) as inside:
            inside.recv(65536)

    return end_it
