"""A small cell for agent tests: a real TLS server that speaks `/agent/v1` from memory, and can be told to misbehave.

It verifies MACs and signatures with the same `protocol.auth` as the product and with `cryptography` as an
independent Ed25519. `Cell.reply` is what check-ins get; `Cell.script` is a queue of problems to answer first.
"""

from __future__ import annotations

import datetime
import hashlib
import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from brakeline.protocol import auth, codec, routes
from brakeline.protocol.messages import (
    ORDER_CONTEXT,
    CheckIn,
    CheckInReply,
    EnrolReply,
    EnrolRequest,
    Goodbye,
    Inventory,
    InventoryAck,
    Offer,
    Problem,
    Results,
    ResultsAck,
    Secret,
    Settings,
    SignedOrder,
    TransactionResult,
)

TOKEN = "et_00000000000000000000000000"
ENDPOINT = "ep_01JD0000000000000000000001"
SERVER_NAME = "cell.brakeline.internal"


@dataclass
class Pki:
    """An authority and a leaf for `name`, in `directory`."""

    directory: Path
    name: str = SERVER_NAME
    not_after: datetime.datetime = field(default_factory=lambda: _now() + datetime.timedelta(days=30))

    def __post_init__(self) -> None:
        authority, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        start = self.not_after - datetime.timedelta(days=60)
        root = (
            x509.CertificateBuilder(issuer, issuer, authority.public_key(), x509.random_serial_number())
            .not_valid_before(start).not_valid_after(self.not_after + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(authority, hashes.SHA256())
        )  # fmt: skip
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        end = (
            x509.CertificateBuilder(issuer, subject, leaf.public_key(), x509.random_serial_number())
            .not_valid_before(start).not_valid_after(self.not_after)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(self.name)]), critical=False)
            .sign(authority, hashes.SHA256())
        )  # fmt: skip
        self.ca_pem = root.public_bytes(serialization.Encoding.PEM).decode()
        self.ca_file, self.leaf_file = self.directory / "ca.pem", self.directory / "leaf.pem"
        self.ca_file.write_text(self.ca_pem)
        key = leaf.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.leaf_file.write_bytes(end.public_bytes(serialization.Encoding.PEM) + key)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass
class Cell:
    """The whole server's memory."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    reply: CheckInReply = field(default_factory=lambda: CheckInReply(0, Settings()))
    endpoint_key: str = ""
    secret: bytes = b""
    secret_ms: int = 900_000
    counter: int = 0
    offset_ms: int = 0  # how far the server's clock is from this machine's
    script: list[tuple[str, Problem, dict[str, str]]] = field(default_factory=list)  # (route, problem, headers)
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    check_ins: list[CheckIn] = field(default_factory=list)
    inventories: list[Inventory] = field(default_factory=list)
    results: dict[str, TransactionResult] = field(default_factory=dict)
    goodbyes: int = 0
    reasons: list[str] = field(default_factory=list)  # of the goodbyes
    answers_lost: int = 0  # this many answers are thrown away after taking effect
    changed: threading.Condition = field(default_factory=threading.Condition)
    url: str = ""

    @property
    def cell_key(self) -> str:
        return self.key.public_key().public_bytes_raw().hex()

    def now_ms(self) -> int:
        return round(time.time() * 1000) + self.offset_ms

    def sign_order(self, offer: Offer) -> SignedOrder:
        payload = codec.encode(offer)
        return SignedOrder(payload.decode(), self.key.sign(ORDER_CONTEXT + payload).hex())

    def say(self, **changes: Any) -> None:
        """Change the reply and wake long-polls."""
        with self.changed:
            self.reply = replace(self.reply, **changes)
            self.changed.notify_all()

    def wait_until(self, condition: Any, seconds: float = 60.0) -> None:
        """Until `condition(cell)` holds; AssertionError when it does not within `seconds`."""
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), seconds), f"did not happen; requests: {self.requests}"

    # --- one request -----------------------------------------------------------------------------------------------

    def answer(self, target: str, headers: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        route = target.split("?")[0]
        with self.changed:
            self.requests.append(route.rsplit("/", 1)[-1])
            self.changed.notify_all()
            for n, (wanted, problem, extra) in enumerate(self.script):
                if wanted in ("", route):
                    del self.script[n]
                    return problem.status, codec.encode(replace(problem, server_ms=self.now_ms())), extra
        request = auth.Authenticated(
            "POST", target, body, headers.get(auth.H_ENDPOINT, ""), headers[auth.H_BOOT], int(headers[auth.H_COUNTER])
        )
        problem = self._authenticate(route, request, headers, body)
        if problem is not None:
            return problem.status, codec.encode(replace(problem, server_ms=self.now_ms())), {}
        status, message, extra = self._act(route, target, headers, body)
        with self.changed:
            self.changed.notify_all()
        return status, message, extra

    def _authenticate(self, route: str, request: auth.Authenticated, headers: Any, body: bytes) -> Problem | None:
        if route == routes.CHECK_IN:
            if not self.secret or not auth.mac_matches(self.secret, request, headers.get(auth.H_MAC, "")):
                return Problem(routes.P_SECRET_EXPIRED, "The secret has expired.", 401)
        else:
            public = self.endpoint_key or codec.decode(EnrolRequest, body).public_key
            signed = auth.read_signature_headers(headers[auth.H_SIG_INPUT], headers[auth.H_SIG])
            if signed is None:
                return Problem(routes.P_BAD_SIGNATURE, "Not of this profile.", 401)
            try:
                Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
                    signed.signature, auth.signature_base(request, signed.created_s, signed.key_id)
                )
            except InvalidSignature:
                return Problem(routes.P_BAD_SIGNATURE, "Not signed by this key.", 401)
            if abs(signed.created_s * 1000 - self.now_ms()) > 300_000:
                return Problem(routes.P_CLOCK_SKEW, "The time is wrong.", 401)
        if request.counter <= self.counter:
            return Problem(routes.P_REPLAYED, "The counter did not rise.", 409)
        self.counter = request.counter
        return None

    def _secret(self) -> Secret:
        self.secret = hashlib.sha256(self.secret + b"next").digest()
        return Secret(self.secret.hex(), self.now_ms() + self.secret_ms, self.now_ms())

    def _act(self, route: str, target: str, headers: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if route == routes.ENROL:
            wish = codec.decode(EnrolRequest, body)
            if wish.token != TOKEN:
                problem = Problem(routes.P_TOKEN_UNKNOWN, "There is no such token.", 401, hint="Make a new one.")
                return 401, codec.encode(problem), {}
            self.endpoint_key = wish.public_key
            return 201, codec.encode(EnrolReply(ENDPOINT, self._secret(), self.cell_key, "cell", "lab")), {}
        if route == routes.SECRET:
            return 200, codec.encode(self._secret()), {}
        if route == routes.CHECK_IN:
            return self._check_in(target, headers, body)
        if route == routes.INVENTORY:
            inventory = codec.decode(Inventory, body)
            self.inventories.append(inventory)
            return 200, codec.encode(InventoryAck(inventory.sequence, inventory.digest)), {}
        if route == routes.RESULTS:
            batch = codec.decode(Results, body).results
            self.results |= {r.transaction_id: r for r in batch}
            return 200, codec.encode(ResultsAck(tuple(r.transaction_id for r in batch))), {}
        self.goodbyes += 1
        self.reasons.append(codec.decode(Goodbye, body).reason)
        return 204, b"", {}

    def _check_in(self, target: str, headers: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        with self.changed:
            self.check_ins.append(codec.decode(CheckIn, body))
            self.changed.notify_all()
            known = headers.get("if-none-match", "")
            if known == self._etag():
                self.changed.wait_for(lambda: self._etag() != known, int(target.rpartition("=")[2]))
            if known == self._etag():
                return 304, b"", {"etag": known}
            return 200, codec.encode(replace(self.reply, server_ms=self.now_ms())), {"etag": self._etag()}

    def _etag(self) -> str:
        return f'"{hashlib.sha256(codec.encode(self.reply)).hexdigest()[:16]}"'


Get = Callable[[http.server.BaseHTTPRequestHandler], None]


def _handler(cell: Cell, get: Get | None) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            cell.connections += 1

        def do_GET(self) -> None:
            if get is None:
                self.send_error(404)
            else:
                get(self)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            status, answer, headers = cell.answer(self.path, self.headers, body)
            if cell.answers_lost:
                cell.answers_lost -= 1
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status not in (204, 304):
                self.send_header("content-length", str(len(answer)))
            self.end_headers()
            if status not in (204, 304):
                self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that break off are part of the tests


@contextmanager
def serving(cell: Cell, pki: Pki, port: int = 0, get: Get | None = None) -> Iterator[Cell]:
    """`cell` behind TLS on 127.0.0.1; its address is in `cell.url`. `get` answers what is asked for with GET."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.leaf_file)
    server = _Server(("127.0.0.1", port), _handler(cell, get))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    cell.url = f"https://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield cell
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
