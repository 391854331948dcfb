"""Who is speaking on the agent plane: reads the authentication headers, checks MAC or signature.

Exactly the bytes of `protocol.auth`. Nothing here takes a message: `FleetService.take` does, after the check, so a
forged message can neither use up a counter nor make an identity look cloned. Raises faults of `fleet.faults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from brakeline.core.limits import CLOCK_SKEW_S_MAX
from brakeline.fleet.decide import BOOT_ID_CHARS_MAX, COUNTER_MAX
from brakeline.fleet.faults import BadSignature, ClockSkew, SecretExpired
from brakeline.fleet.sessions import Session
from brakeline.protocol import auth
from brakeline.protocol.auth import Authenticated
from brakeline.protocol.codec import Malformed

Headers = Mapping[bytes, bytes]

_ENDPOINT: Final = auth.H_ENDPOINT.encode()
_BOOT: Final = auth.H_BOOT.encode()
_COUNTER: Final = auth.H_COUNTER.encode()
_MAC: Final = auth.H_MAC.encode()
_SIG_INPUT: Final = auth.H_SIG_INPUT.encode()
_SIG: Final = auth.H_SIG.encode()
ENDPOINT_ID_CHARS_MAX: Final = 40


def read_request(scope: Mapping[str, Any], headers: Headers, body: bytes) -> Authenticated:
    """What the request states about itself, not yet believed; `Malformed` when it cannot be such a request."""
    query: bytes = scope["query_string"]
    target: bytes = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
    try:
        endpoint, boot = headers.get(_ENDPOINT, b"").decode("ascii"), headers[_BOOT].decode("ascii")
        counter = int(headers[_COUNTER])
        path = target.decode("ascii")
    except KeyError as e:
        raise Malformed("an authentication header is missing", header=e.args[0].decode()) from None
    except ValueError:
        raise Malformed("an authentication header cannot be read") from None
    if not 0 < len(boot) <= BOOT_ID_CHARS_MAX or len(endpoint) > ENDPOINT_ID_CHARS_MAX or not boot.isprintable():
        raise Malformed("an authentication header has an impossible length")
    if not 0 <= counter <= COUNTER_MAX:
        raise Malformed("the counter is out of range")
    return Authenticated(scope["method"], path, body, endpoint, boot, counter)


def verify_mac(session: Session, request: Authenticated, headers: Headers, now_ms: int) -> str:
    """Check the MAC of a check-in; gives it, as what identifies this message. `SecretExpired`."""
    claimed = headers.get(_MAC)
    if claimed is None:
        raise Malformed(f"the header {auth.H_MAC} is missing")
    if not session.secret or now_ms >= session.secret_expires_ms:
        raise SecretExpired
    text = claimed.decode("latin-1")
    if not auth.mac_matches(session.secret, request, text):
        raise SecretExpired("The MAC does not match the secret issued last.")
    return text[:32]  # 128 bits tell messages apart; kept per endpoint


def outdated_mac(session: Session, request: Authenticated, headers: Headers, now_ms: int) -> str | None:
    """What identifies a check-in whose MAC is right under a replaced secret; None when it is right under none."""
    text = headers.get(_MAC, b"").decode("latin-1")
    for secret, expires_ms in session.outdated:
        if now_ms < expires_ms and auth.mac_matches(secret, request, text):
            return text[:32]
    return None


def verify_signature(
    public_key: bytes, key_ids: tuple[str, ...], request: Authenticated, headers: Headers, now_ms: int
) -> str:
    """Check the Ed25519 signature under `public_key`; gives 32 hex digits that identify this message.

    `key_ids` are the values that `keyid` may have. Raises `BadSignature`, `ClockSkew`, `Malformed`.
    """
    stated, value = headers.get(_SIG_INPUT, b"").decode("latin-1"), headers.get(_SIG, b"").decode("latin-1")
    signed = auth.read_signature_headers(stated, value)
    if signed is None:
        raise Malformed(f"the headers {auth.H_SIG_INPUT} and {auth.H_SIG} are missing or not of this profile")
    if signed.key_id not in key_ids:
        raise BadSignature("It names another key.")
    base = auth.signature_base(request, signed.created_s, signed.key_id)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signed.signature, base)
    except (InvalidSignature, ValueError):
        raise BadSignature from None
    if abs(now_ms - signed.created_s * 1000) > CLOCK_SKEW_S_MAX * 1000:
        raise ClockSkew(f"Signed {abs(now_ms // 1000 - signed.created_s)} s away from the server's time.")
    return signed.signature[:16].hex()
