"""One call to another server of ours: POST over TLS with a pinned authority, in a thread, bounded in time and size.

The server's name is the fixed one of every cell, whatever address is dialled, so a certificate of anybody else's
authority is refused. Outbound only: nobody needs to reach us.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from brakeline.core.errors import Invalid, Unavailable
from brakeline.platform.tls import SERVER_NAME

CALL_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024


class _Pinned(http.client.HTTPSConnection):
    """Dials one address, expects the fixed name."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=CALL_S)
        self._pinned = context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._pinned.wrap_socket(plain, server_hostname=SERVER_NAME)


async def post(url: str, path: str, ca_pem: str, body: bytes) -> tuple[int, bytes]:
    """Status and body. `Unavailable` where nobody answers, or somebody else does."""
    return await asyncio.to_thread(_post, url, path, ca_pem, body)


def _post(url: str, path: str, ca_pem: str, body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise Invalid("the address of a server is https://NAME[:PORT]", got=url[:80])
    try:
        context = ssl.create_default_context(cadata=ca_pem)
    except ssl.SSLError as e:
        raise Invalid(f"the pinned certificate is none: {e}") from None
    connection = _Pinned(parts.hostname, parts.port or 443, context)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        data = answer.read(ANSWER_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException) as e:
        raise Unavailable(f"{parts.hostname} does not answer: {e or type(e).__name__}") from None
    finally:
        connection.close()
    if len(data) > ANSWER_BYTES_MAX:
        raise Unavailable(f"{parts.hostname} answers more than any server of ours does")
    return answer.status, data
