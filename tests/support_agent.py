"""A small endpoint for tests: speaks the agent plane over real TLS, and can be told to misbehave.

Blocking and simple: one connection, `cryptography` for signing. `AgentTwin.post` gives (status, headers, body).
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from brakeline.protocol import auth, routes
from brakeline.protocol.codec import decode, encode
from brakeline.protocol.digests import inventory_digest
from brakeline.protocol.messages import (
    CheckIn,
    EnrolReply,
    EnrolRequest,
    Facts,
    Health,
    Inventory,
    InventoryAck,
    Package,
    Secret,
    Status,
)

FACTS = Facts("twin-1", "debian", "12", "Debian GNU/Linux 12 (bookworm)", "6.1.0-40-amd64", "amd64")


@dataclass
class Response:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code."""
        return str(self.json["code"])


@dataclass
class AgentTwin:
    """One endpoint. Copy it with `dataclasses.replace` to clone its identity."""

    port: int
    ca_file: str
    hostname: str = "twin-1"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    boot_id: str = field(default_factory=lambda: os.urandom(8).hex())
    counter: int = 0
    endpoint_id: str = ""
    secret: bytes = b""
    etag: str = ""
    clock_offset_s: int = 0
    sequence: int = 0
    digest: str = ""
    connection: http.client.HTTPSConnection | None = None

    @property
    def public_hex(self) -> str:
        return self.key.public_key().public_bytes_raw().hex()

    # --- transport -----------------------------------------------------------------------------------------------

    def post(self, target: str, body: bytes, headers: dict[str, str], timeout_s: float = 70.0) -> Response:
        """POST over the kept connection; a connection that was closed meanwhile is made again once."""
        for attempt in (1, 2):
            if self.connection is None:
                context = ssl.create_default_context(cafile=self.ca_file)
                self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context)
            self.connection.timeout = timeout_s
            try:
                self.connection.request("POST", target, body, headers)
                answer = self.connection.getresponse()
                data = answer.read()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                self.close()
                if attempt == 2:
                    raise
                continue
            if answer.will_close:
                self.close()
            return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, data)
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    # --- authentication ------------------------------------------------------------------------------------------

    def request(self, target: str, body: bytes, counter: int | None = None) -> auth.Authenticated:
        if counter is None:
            self.counter += 1
            counter = self.counter
        return auth.Authenticated("POST", target, body, self.endpoint_id, self.boot_id, counter)

    @staticmethod
    def headers(request: auth.Authenticated) -> dict[str, str]:
        return {
            auth.H_ENDPOINT: request.endpoint_id,
            auth.H_BOOT: request.boot_id,
            auth.H_COUNTER: str(request.counter),
            auth.H_DIGEST: auth.content_digest(request.body),
            "content-type": "application/json",
        }

    def signed_headers(self, request: auth.Authenticated, key: Ed25519PrivateKey | None = None) -> dict[str, str]:
        created_s = int(time.time()) + self.clock_offset_s
        key_id = self.endpoint_id or self.public_hex
        signature = (key or self.key).sign(auth.signature_base(request, created_s, key_id))
        return self.headers(request) | auth.signature_headers(created_s, key_id, signature)

    def signed(self, target: str, body: bytes, **how: Any) -> Response:
        request = self.request(target, body)
        return self.post(target, body, self.signed_headers(request, **how))

    def mac_headers(self, request: auth.Authenticated) -> dict[str, str]:
        headers = self.headers(request)
        headers[auth.H_MAC] = auth.mac(self.secret, request)
        if self.etag:
            headers["if-none-match"] = self.etag
        return headers

    # --- the protocol --------------------------------------------------------------------------------------------

    def try_enrol(self, token: str, **how: Any) -> Response:
        body = encode(EnrolRequest(token, self.public_hex, self.hostname, FACTS, "0.1.0"))
        return self.signed(routes.ENROL, body, **how)

    def enrol(self, token: str) -> EnrolReply:
        answer = self.try_enrol(token)
        assert answer.status == 201, answer.body
        reply = decode(EnrolReply, answer.body)
        self.endpoint_id, self.secret = reply.endpoint_id, bytes.fromhex(reply.secret.secret)
        return reply

    def renew(self) -> Response:
        answer = self.signed(routes.SECRET, b"{}")
        if answer.status == 200:
            self.secret = bytes.fromhex(decode(Secret, answer.body).secret)
        return answer

    def check_in_body(self, **parts: Any) -> bytes:
        health = parts.pop("health", Health())
        return encode(CheckIn("0.1.0", self.sequence, self.digest, health, **parts))

    def check_in(self, wait_s: int = 0, **parts: Any) -> Response:
        target = f"{routes.CHECK_IN}?wait={wait_s}"
        body = self.check_in_body(**parts)
        answer = self.post(target, body, self.mac_headers(self.request(target, body)))
        if answer.status == 200:
            self.etag = answer.headers["etag"]
        return answer

    def send_inventory(
        self,
        packages: tuple[Package, ...],
        *,
        base: int = 0,
        removed: tuple[str, ...] = (),
        total: tuple[Package, ...] | None = None,
        status: Status | None = None,
    ) -> Response:
        """Full when `base` is 0; else `packages` are what changed and `total` is all of it."""
        digest = inventory_digest(packages if total is None else total)
        sent = Inventory(base, (base or self.sequence) + 1, digest, packages, removed, status)
        answer = self.signed(routes.INVENTORY, encode(sent))
        if answer.status == 200:
            ack = decode(InventoryAck, answer.body)
            if not ack.resync:
                self.sequence, self.digest = ack.sequence, ack.digest
        return answer


def packages(count: int, version: str = "1.0") -> tuple[Package, ...]:
    """`count` packages of one source each."""
    return tuple(Package(f"package-{i:05}", "amd64", version, f"source-{i:05}", version) for i in range(count))
