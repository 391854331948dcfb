"""Typed, sortable ids: `ep_01JD…` = prefix, then 26 characters of Crockford base32 (48 bits of ms, 80 random bits).

Sorted as text they are sorted by time of making. Time and randomness come in as parameters; the server's
generator is `platform.clock.IdMaker`.
"""

from __future__ import annotations

from typing import NewType

from brakeline.core.errors import Invalid

TenantId = NewType("TenantId", str)
PersonId = NewType("PersonId", str)
EndpointId = NewType("EndpointId", str)
RolloutId = NewType("RolloutId", str)
DeploymentId = NewType("DeploymentId", str)
PolicyId = NewType("PolicyId", str)
OfferId = NewType("OfferId", str)
TransactionId = NewType("TransactionId", str)

PREFIXES = {
    "te": "tenant", "pe": "person", "se": "session", "to": "API token", "et": "enrolment token", "ep": "endpoint",
    "ro": "rollout", "de": "deployment", "po": "policy", "of": "offer", "tx": "transaction", "ev": "event",
    "au": "audit entry", "rq": "request", "fw": "freeze window", "fz": "freeze", "ap": "approval", "dr": "drill",
    "ld": "lead", "li": "link of a cell", "as": "asset", "ac": "acceptance", "sk": "event sink",
}  # fmt: skip

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base32: no I, L, O, U
TIME_MS_MAX = (1 << 48) - 1
RANDOM_BYTES = 10


def make_id(prefix: str, time_ms: int, random: bytes) -> str:
    """An id of kind `prefix` (a key of PREFIXES) made at `time_ms` (Unix milliseconds) with 10 random bytes."""
    assert prefix in PREFIXES, prefix
    assert len(random) == RANDOM_BYTES
    number = (min(max(time_ms, 0), TIME_MS_MAX) << 80) | int.from_bytes(random, "big")
    digits = []
    for _ in range(26):
        number, digit = divmod(number, 32)
        digits.append(ALPHABET[digit])
    return prefix + "_" + "".join(reversed(digits))


def parse_id(text: str, prefix: str) -> str:
    """`text` if it is a well-formed id of kind `prefix`, else `Invalid` naming what was expected."""
    head, _, tail = text.partition("_")
    if head != prefix or len(tail) != 26 or any(c not in ALPHABET for c in tail):
        raise Invalid(f"expected an id of a {PREFIXES[prefix]} ({prefix}_…)", got=text[:40])
    return text
