"""A simulated endpoint at the other end of the agent protocol: keys, counters, MACs, and the shipped agent plane.

Requests go through the same ASGI application as those of real endpoints, in this process: same authentication, same
limits, same long-polls; only the TLS in between is missing. Answers that are no success are `Refused`, as an agent
would have them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from brakeline.core.clock import Clock
from brakeline.core.errors import Fault
from brakeline.platform.observe import Asgi
from brakeline.protocol import auth, routes
from brakeline.protocol.codec import decode, encode
from brakeline.protocol.messages import (
    CheckIn,
    CheckInReply,
    EnrolReply,
    EnrolRequest,
    Facts,
    Results,
    Secret,
    Settings,
    TransactionResult,
)

T = TypeVar("T")
RENEW_MS: Final = 60_000  # a secret is asked for anew so long before its end


class Refused(Fault):
    """The agent plane did not take a message of a simulated endpoint."""

    code, status = "refused", 503
    hint = "Look at the server's log; a server with very much to do refuses some."


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    etag: str
    body: bytes


class Line:
    """One simulated endpoint's line to the plane."""

    def __init__(self, plane: Asgi, clock: Clock, name: str) -> None:
        self._plane, self._clock, self._name = plane, clock, name
        self._key = Ed25519PrivateKey.generate()
        self._counter, self._etag = 0, ""
        self._known = CheckInReply(0, Settings())
        self._secret, self._secret_expires_ms = b"", 0
        self.endpoint_id = ""

    @property
    def public_hex(self) -> str:
        return self._key.public_key().public_bytes_raw().hex()

    async def enrol(self, token: str) -> None:
        facts = Facts(self._name, "drill", "1", "simulated", "0", "none", "server", "drill", "none")
        answer = await self._signed(routes.ENROL, EnrolRequest(token, self.public_hex, self._name, facts, "drill"))
        reply = decode(EnrolReply, answer.body)
        self.endpoint_id = reply.endpoint_id
        self._keep(reply.secret)

    async def check_in(self, message: CheckIn, wait_s: int) -> CheckInReply:
        """What the cell wants of it now: at once when that has changed, else after `wait_s` at the latest."""
        if self._clock.now_ms() > self._secret_expires_ms - RENEW_MS:
            self._keep(decode(Secret, (await self._signed(routes.SECRET, {})).body))
        request = self._next(f"{routes.CHECK_IN}?wait={wait_s}", encode(message))
        headers = self._stated(request) | {auth.H_MAC: auth.mac(self._secret, request), "if-none-match": self._etag}
        answer = await self._ask(request, headers)
        if answer.status != 304:
            self._etag, self._known = answer.etag, decode(CheckInReply, answer.body)
        return self._known

    async def tell(self, result: TransactionResult) -> None:
        """Acknowledged when it returns."""
        await self._signed(routes.RESULTS, Results((result,)))

    def _keep(self, secret: Secret) -> None:
        self._secret, self._secret_expires_ms = bytes.fromhex(secret.secret), secret.expires_ms

    def _next(self, target: str, body: bytes) -> auth.Authenticated:
        self._counter += 1
        return auth.Authenticated("POST", target, body, self.endpoint_id, "drill", self._counter)

    @staticmethod
    def _stated(request: auth.Authenticated) -> dict[str, str]:
        return {
            auth.H_ENDPOINT: request.endpoint_id, auth.H_BOOT: request.boot_id, auth.H_COUNTER: str(request.counter),
            auth.H_DIGEST: auth.content_digest(request.body),
        }  # fmt: skip

    async def _signed(self, route: str, message: Any) -> Answer:
        request = self._next(route, encode(message))
        created_s, key_id = self._clock.now_ms() // 1000, self.endpoint_id or self.public_hex
        signature = self._key.sign(auth.signature_base(request, created_s, key_id))
        headers = self._stated(request) | auth.signature_headers(created_s, key_id, signature)
        return await self._ask(request, headers)

    async def _ask(self, request: auth.Authenticated, headers: Mapping[str, str]) -> Answer:
        answer = await call(self._plane, request.target, request.body, headers)
        if answer.status >= 400:
            raise Refused(answer.body.decode("utf-8", "replace")[:300], route=request.target.partition("?")[0])
        return answer


async def call(plane: Asgi, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """One POST to an ASGI application."""
    path, _, query = target.partition("?")
    stated = {**headers, "content-length": str(len(body))}
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "https",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in stated.items()],
        "client": ("drill", 0), "server": ("cell", 0), "state": {},
    }  # fmt: skip
    sent: list[Any] = []
    given = False

    async def receive() -> dict[str, Any]:
        nonlocal given
        if given:
            await asyncio.Event().wait()  # nobody hangs up
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await plane(scope, receive, send)
    found = {k.lower(): v for k, v in sent[0]["headers"]}
    return Answer(sent[0]["status"], found.get(b"etag", b"").decode(), b"".join(m.get("body", b"") for m in sent[1:]))
