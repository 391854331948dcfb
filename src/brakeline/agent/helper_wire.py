"""How agent and root helper talk: one request and one reply a connection, each a length and JSON. Bounded.

Requests have a `verb` of VERBS; replies have `ok`, and when it is false `code` and `reason`.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final, Protocol

from brakeline.core.errors import Fault

VERBS: Final = (
    "refresh", "apply", "inverse", "rollback", "restart", "stand_down", "status", "forget", "log", "run", "harms",
)  # fmt: skip
MESSAGE_BYTES_MAX: Final = 1024 * 1024  # a transaction of 2,000 actions is about 0.3 MiB
_LENGTH = struct.Struct(">I")


class Connection(Protocol):
    """A socket, or what stands for one (`windows_pipe`)."""

    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, count: int, /) -> bytes: ...


class HelperAway(Fault):
    """The root helper does not answer."""

    code, status = "helper-away", 503


class BadFrame(Fault):
    """The message is not what agent and helper have agreed upon."""

    code, status = "bad-frame", 400


def send(connection: Connection, message: dict[str, Any]) -> None:
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) > MESSAGE_BYTES_MAX:
        raise BadFrame(f"{len(data)} bytes; at most {MESSAGE_BYTES_MAX} are allowed")
    connection.sendall(_LENGTH.pack(len(data)) + data)


def receive(connection: Connection) -> dict[str, Any]:
    """One message; `BadFrame` for anything else. The connection's time-out applies (OSError)."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > MESSAGE_BYTES_MAX:
        raise BadFrame(f"{length} bytes announced; at most {MESSAGE_BYTES_MAX} are allowed")
    try:
        message = json.loads(_exactly(connection, length))
    except (ValueError, RecursionError):
        raise BadFrame("not JSON") from None
    if not isinstance(message, dict):
        raise BadFrame("not an object")
    return message


def _exactly(connection: Connection, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(min(count - len(data), 65536))
        if not piece:
            raise BadFrame("the connection ended in the middle of a message")
        data += piece
    return bytes(data)
