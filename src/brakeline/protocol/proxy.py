"""The two ways to the cell: directly, or by an HTTP proxy that is asked for a line (CONNECT). What both ends of it say.

Agent and launcher share this, so that both try the same ways in the same order and say what went wrong in the same
words. Pure: whoever calls brings line and clock. A proxy is told address and port of the cell and sees bytes of TLS;
nothing that it answers is believed, repeated in a message, or waited for beyond the time that the caller gives.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import field
from typing import Final, Protocol, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from brakeline.core.frozen import dataclass

FILE: Final = "proxy.json"  # beside agent.json: an older release must not stumble over a key that it lacks
KEY: Final = "proxy"
PORT: Final = 80  # of an address without one, as for apt, dnf and Python
TEXT_CHARS_MAX: Final = 1024
HEAD_BYTES_MAX: Final = 16 * 1024
DIRECTLY: Final = "directly"
_LOOKS: Final = "a proxy is written http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
_HOST: Final = re.compile(r"[0-9A-Za-z_]([0-9A-Za-z_.-]{0,252}[0-9A-Za-z_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r]")
T = TypeVar("T")


class BadProxy(ValueError):
    """What was given is no proxy. Never repeats it: there may be a password in it."""


class ProxyRefused(OSError):
    """The proxy gave no line to the cell, and in which words."""


class NoWay(OSError):
    """No way led to the cell. `causes`: what each came to."""

    def __init__(self, said: str, causes: tuple[Exception, ...]) -> None:
        super().__init__(said)
        self.causes = causes


@dataclass(frozen=True, slots=True)
class Proxy:
    """`user` "" = it is asked without one."""

    host: str
    port: int = PORT
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        return _place(self.host, self.port)

    @property
    def shown(self) -> str:
        """For people: everything but the password."""
        return f"http://{self.user + ':***@' if self.user else ''}{self.place}"


Way = Proxy | None  # None = directly


class Line(Protocol):
    """As much of a socket as is needed here."""

    def settimeout(self, value: float | None, /) -> None: ...
    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...


def read(raw: bytes) -> Proxy:
    """The proxy in a file's bytes. Raises `BadProxy`."""
    try:
        text = json.loads(raw[: 2 * TEXT_CHARS_MAX])[KEY]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadProxy(f'it is not {{"{KEY}": "http://HOST:PORT"}}') from None
    if not isinstance(text, str):
        raise BadProxy(f'it is not {{"{KEY}": "http://HOST:PORT"}}')
    return parse(text)


def parse(text: str) -> Proxy:
    """The proxy that is written so. Raises `BadProxy`."""
    if len(text) > TEXT_CHARS_MAX or not (text.isascii() and text.isprintable()) or " " in text:
        raise BadProxy(f"{_LOOKS}; other characters in user or password are written %XX")
    scheme, mark, rest = text.partition("://")
    if not mark or scheme.lower() != "http":
        raise BadProxy(f"{_LOOKS}; TLS to the proxy itself (https://) and SOCKS are not spoken here")
    if not rest or set(rest.rstrip("/")) & set("/?#"):
        raise BadProxy(f"{_LOOKS}, with nothing behind the port; / ? # in user or password are written %2F %3F %23")
    try:
        parts = urlsplit(f"http://{rest}")
        host, port = parts.hostname or "", PORT if parts.port is None else parts.port
        user, password = (unquote_to_bytes(t or "").decode() for t in (parts.username, parts.password))
    except ValueError:
        raise BadProxy(f"{_LOOKS}; its port is a number from 1 to 65535, and %XX are UTF-8") from None
    if not _HOST.fullmatch(host) or not port:
        raise BadProxy(f"{_LOOKS}; its host is a name or an address, its port a number from 1 to 65535")
    if ":" in user or not (user + password).isprintable() or (password and not user):
        raise BadProxy(f"{_LOOKS}; a user has no colon and no control character, and a password has a user")
    return Proxy(host, port, user, password)


# --- which way first --------------------------------------------------------------------------------------------------


def name(way: Way) -> str:
    """Of a way, in messages."""
    return f"by the proxy {way.place}" if way else DIRECTLY


def taken(way: Way, proxy: Way) -> str:
    """What is remembered of a contact. Names the proxy in either case: a new one is then asked first again."""
    return f"{DIRECTLY}, not by the proxy {proxy.place}" if proxy and way is None else name(way)


def ways(proxy: Way, last: str) -> tuple[Way, ...]:
    """What to try, in this order: the way that worked last (as `taken` says it), else the proxy; then the other one."""
    return tuple(sorted((proxy, None), key=lambda way: taken(way, proxy) != last)) if proxy else (None,)


def reach(
    proxy: Way, last: str, dial: Callable[[Way, float], T], seconds: float, now: Callable[[], float]
) -> tuple[str, T]:
    """(the way that led there, as `taken` says it; what `dial` made of it), within the time. Raises `NoWay`.

    Of two ways the first has half of the time, so that one which hangs leaves the other enough. `dial` is given a way
    and its seconds. Where there is one way only, its own exception comes out.
    """
    if proxy is None:
        return DIRECTLY, dial(None, seconds)
    until_s, left = now() + seconds, 2
    causes: list[tuple[Way, Exception]] = []
    for way in ways(proxy, last):
        try:
            return taken(way, proxy), dial(way, max((until_s - now()) / left, 0.1))
        except (OSError, ValueError) as e:
            causes.append((way, e))
            left -= 1
    raise NoWay("; ".join(came_to(way, e) for way, e in causes), tuple(e for _, e in causes))


def came_to(way: Way, e: Exception) -> str:
    """What became of a way, in words."""
    if isinstance(e, ProxyRefused):
        return str(e)
    refused = getattr(e, "verify_message", "")
    if refused:
        return f"{name(way)}: not our cell's certificate ({refused}); somebody looks into TLS, or it is another server"
    return f"{name(way)}: {'no answer in time' if isinstance(e, TimeoutError) else e or type(e).__name__}"


# --- asking for a line ------------------------------------------------------------------------------------------------


def agree(line: Line, proxy: Proxy, host: str, port: int, seconds: float, now: Callable[[], float]) -> None:
    """Ask the proxy at the other end of `line` for one to the cell; then TLS begins. Raises `ProxyRefused`."""
    until_s, cell, head = now() + seconds, _place(host, port), b""
    try:
        line.sendall(request(proxy, cell))
        while not granted(proxy, cell, head):
            line.settimeout(max(until_s - now(), 0.001))
            piece = line.recv(4096)
            if not piece:
                raise ProxyRefused(f"the proxy {proxy.place} closed the connection without an answer")
            head += piece
    except TimeoutError:
        raise ProxyRefused(f"the proxy {proxy.place} gave no answer in time") from None


def request(proxy: Proxy, cell: str) -> bytes:
    """What it is asked."""
    lines = [f"CONNECT {cell} HTTP/1.1", f"Host: {cell}"]
    if proxy.user:
        known = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {known}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def granted(proxy: Proxy, cell: str, head: bytes) -> bool:
    """Whether the line stands, after this much of an answer; False = more of it must come. Raises `ProxyRefused`."""
    end = head.find(b"\r\n\r\n")
    if not b"HTTP/1.".startswith(head[:7]):
        raise ProxyRefused(f"the proxy {proxy.place} answered what is no HTTP: is that its port?")
    if len(head) > HEAD_BYTES_MAX:
        raise ProxyRefused(f"the proxy {proxy.place} answered with headers of more than {HEAD_BYTES_MAX} bytes")
    if end < 0:
        return False
    found = _STATUS.match(head)
    if found is None:
        raise ProxyRefused(f"the proxy {proxy.place} answered what is no HTTP: is that its port?")
    if not found[1].startswith(b"2"):
        raise ProxyRefused(f"the proxy {proxy.place} answered {found[1].decode()}: {_why(found[1], proxy, cell, head)}")
    if len(head) > end + 4:
        raise ProxyRefused(f"the proxy {proxy.place} answered with a page of its own: a sign-in page is in between")
    return True


def _why(status: bytes, proxy: Proxy, cell: str, head: bytes) -> str:
    if status == b"407":
        offered = re.findall(rb"\r\nproxy-authenticate:\s*([a-z]+)", head.lower())
        if offered and b"basic" not in offered:
            return "it takes no password (Basic), and nothing else is spoken here; let this machine through without one"
        said = "it refuses them" if proxy.user else "it asks for them"
        return f"{said}; check user and password"
    known = {b"403": f"it does not let anybody through to {cell}; allow that there",
             b"405": "it gives no lines (CONNECT); is that the proxy?"}  # fmt: skip
    gone = f"it does not reach {cell} itself; check that address, as seen from there"
    return known.get(status, gone if status in (b"502", b"503", b"504") else f"it gives no line to {cell}")


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
