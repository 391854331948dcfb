"""Which bytes are authenticated, and how: the MAC of check-ins, the signature of everything rarer.

*Check-ins* carry an HMAC-SHA256 under the endpoint's secret (15 minutes, never sent again after issue) over
method, target, body digest, boot_id and a counter that only rises. *Enrolment, renewal, inventory, results* carry
an Ed25519 signature in RFC 9421 style over the same facts plus `created`, so they can be proven later.
Both sides call `mac_input` / `signature_base`; only the key operations differ.
"""

from __future__ import annotations

import hashlib
import hmac

from brakeline.core.frozen import dataclass

H_ENDPOINT = "brakeline-endpoint"
H_BOOT = "brakeline-boot"
H_COUNTER = "brakeline-counter"
H_MAC = "brakeline-mac"
H_DIGEST = "content-digest"
H_SIG_INPUT = "signature-input"
H_SIG = "signature"


@dataclass(frozen=True, slots=True)
class Authenticated:
    """What every authenticated request of an endpoint states about itself."""

    method: str  # "POST"
    target: str  # path with query, as sent: "/agent/v1/check-in?wait=55"
    body: bytes
    endpoint_id: str  # "" only at enrolment
    boot_id: str
    counter: int


def content_digest(body: bytes) -> str:
    """RFC 9530 Content-Digest value of `body`."""
    import base64

    return "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"


def mac_input(request: Authenticated) -> bytes:
    """The bytes under the check-in MAC: one fact a line, in this order."""
    lines = (
        "brakeline-mac-v1", request.method, request.target, content_digest(request.body),
        request.endpoint_id, request.boot_id, str(request.counter),
    )  # fmt: skip
    return "\n".join(lines).encode()


def mac(secret: bytes, request: Authenticated) -> str:
    """Hex HMAC-SHA256 of `mac_input`."""
    return hmac.new(secret, mac_input(request), hashlib.sha256).hexdigest()


def mac_matches(secret: bytes, request: Authenticated, claimed: str) -> bool:
    """Whether `claimed` is the right MAC, in constant time."""
    return hmac.compare_digest(mac(secret, request).encode(), claimed.encode())


def signature_parameters(created_s: int, key_id: str) -> str:
    """RFC 9421 `Signature-Input` value (label `brakeline`) for this profile."""
    covered = f'("@method" "@target-uri" "{H_DIGEST}" "{H_ENDPOINT}" "{H_BOOT}" "{H_COUNTER}")'
    return f'{covered};created={created_s};keyid="{key_id}";alg="ed25519"'


def signature_base(request: Authenticated, created_s: int, key_id: str) -> bytes:
    """RFC 9421 signature base: the covered components, one a line, then the parameters.

    `@target-uri` is the path with query: scheme and authority are left out on purpose, because proxies and
    relays rewrite them; TLS with the pinned authority already names the server.
    """
    lines = (
        f'"@method": {request.method}',
        f'"@target-uri": {request.target}',
        f'"{H_DIGEST}": {content_digest(request.body)}',
        f'"{H_ENDPOINT}": {request.endpoint_id}',
        f'"{H_BOOT}": {request.boot_id}',
        f'"{H_COUNTER}": {request.counter}',
        f'"@signature-params": {signature_parameters(created_s, key_id)}',
    )
    return "\n".join(lines).encode()


def signature_headers(created_s: int, key_id: str, signature: bytes) -> dict[str, str]:
    """The two headers of a signed request, as RFC 9421 writes them, with the label `brakeline`."""
    import base64

    return {
        H_SIG_INPUT: "brakeline=" + signature_parameters(created_s, key_id),
        H_SIG: "brakeline=:" + base64.b64encode(signature).decode() + ":",
    }


@dataclass(frozen=True, slots=True)
class Signed:
    """What the two headers claim; nothing of it is verified yet."""

    created_s: int
    key_id: str
    signature: bytes


def read_signature_headers(signature_input: str, signature: str) -> Signed | None:
    """What `signature_headers` wrote; None for anything else: this profile has exactly one form."""
    import base64
    import re

    claim = re.search(r';created=(\d{1,12});keyid="([0-9A-Za-z_]{1,80})";alg="ed25519"$', signature_input)
    if claim is None or not signature.startswith("brakeline=:") or not signature.endswith(":"):
        return None
    created_s, key_id = int(claim[1]), claim[2]
    if signature_input != "brakeline=" + signature_parameters(created_s, key_id):
        return None
    try:
        raw = base64.b64decode(signature[len("brakeline=:") : -1], validate=True)
    except ValueError:
        return None
    return Signed(created_s, key_id, raw)
