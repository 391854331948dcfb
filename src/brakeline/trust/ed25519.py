"""Ed25519 of RFC 8032 in pure Python: sign and strict verify, for endpoints that have nothing else.

Invariants: no I/O, no state but a table of multiples of the base point (made at first use, about 0.2 MiB).
Verification is strict: S below the group order, canonical encodings of A and R, small-order A refused, the
cofactorless equation. So nobody can make a second signature, or a key for which many messages verify.

*Timing*: Python's integers are not constant-time, so signing leaks through its duration to whoever can time it
closely. Here only the endpoint itself signs, a few times an hour, over bytes that it chose, and its answer leaves
through TLS with far larger jitter; whoever can time it locally runs on that machine already. The server signs
with a compiled library. Extended coordinates and formulas: RFC 8032 section 5.1.4.
"""

from __future__ import annotations

import hashlib
from functools import cache

P = 2**255 - 19  # the field
L = 2**252 + 27742317777372353535851937790883648493  # order of the base point
D = -121665 * pow(121666, -1, P) % P
D2 = 2 * D % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
KEY_BYTES = 32
SIGNATURE_BYTES = 64

Point = tuple[int, int, int, int]  # extended homogeneous (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z
NEUTRAL: Point = (0, 1, 1, 0)


def public_key(seed: bytes) -> bytes:
    """The 32-byte public key of a 32-byte private seed (RFC 8032 section 5.1.5)."""
    scalar, _ = _expand(seed)
    return _compress(_times_base(scalar))


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64-byte deterministic signature of `message` (RFC 8032 section 5.1.6)."""
    scalar, prefix = _expand(seed)
    public = _compress(_times_base(scalar))
    r = _hash_int(prefix, message) % L
    big_r = _compress(_times_base(r))
    k = _hash_int(big_r, public, message) % L
    return big_r + ((r + k * scalar) % L).to_bytes(32, "little")


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the key holder's over `message`. Never raises; False for anything malformed."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    s = int.from_bytes(signature[32:], "little")
    a = _decompress(public)
    if s >= L or a is None or _is_small_order(a):
        return False
    k = _hash_int(signature[:32], public, message) % L
    # S·B = R + k·A, asked as: does S·B - k·A have exactly the encoding R? Compares bytes, so R is canonical.
    minus_a: Point = (P - a[0], a[1], a[2], P - a[3])
    return _compress(_add(_times_base(s), _times(k, minus_a))) == signature[:32]


def is_public_key(public: bytes) -> bool:
    """Whether these bytes can be a key at all: right length, canonical, on the curve, not of small order."""
    if len(public) != KEY_BYTES:
        return False
    point = _decompress(public)
    return point is not None and not _is_small_order(point)


def _expand(seed: bytes) -> tuple[int, bytes]:
    assert len(seed) == KEY_BYTES, "a private seed has 32 bytes"
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & ((1 << 254) - 8) | (1 << 254), digest[32:]


def _hash_int(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def _add(a: Point, b: Point) -> Point:
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    aa = (y1 - x1) * (y2 - x2) % P
    bb = (y1 + x1) * (y2 + x2) % P
    cc = t1 * D2 * t2 % P
    dd = 2 * z1 * z2
    e, f, g, h = bb - aa, dd - cc, dd + cc, bb + aa
    return e * f % P, g * h % P, f * g % P, e * h % P


def _double(a: Point) -> Point:
    x, y, z, _ = a
    aa, bb = x * x % P, y * y % P
    h = aa + bb
    e = h - (x + y) * (x + y)
    g = aa - bb
    f = 2 * z * z + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    """scalar·point by windows of four bits."""
    table = [NEUTRAL, point]
    for _ in range(14):
        table.append(_add(table[-1], point))
    result = NEUTRAL
    for shift in range((scalar.bit_length() + 3) // 4 * 4 - 4, -4, -4):
        result = _double(_double(_double(_double(result))))
        digit = scalar >> shift & 15
        if digit:
            result = _add(result, table[digit])
    return result


@cache
def _base_table() -> tuple[tuple[Point, ...], ...]:
    """Row i: 16**i times 1·B … 8·B, for signed digits. 64 rows, so no doubling is left when multiplying."""
    rows = []
    head = _base()
    for _ in range(64):
        row = [head]
        for _ in range(7):
            row.append(_add(row[-1], head))
        rows.append(tuple(row))
        head = _double(row[-1])
    return tuple(rows)


def _times_base(scalar: int) -> Point:
    """scalar·B for 0 <= scalar < 2**255, by 64 signed digits of four bits (-7 … 8)."""
    result, carry = NEUTRAL, 0
    for row in _base_table():
        digit = (scalar & 15) + carry
        scalar >>= 4
        carry = 1 if digit > 8 else 0
        digit -= carry << 4
        if digit > 0:
            result = _add(result, row[digit - 1])
        elif digit < 0:
            x, y, z, t = row[-digit - 1]
            result = _add(result, (P - x, y, z, P - t))
    assert (carry, scalar) == (0, 0), "the scalar is below 2**255"
    return result


@cache
def _base() -> Point:
    y = 4 * pow(5, -1, P) % P
    x = _recover_x(y, 0)
    assert x is not None
    return x, y, 1, x * y % P


def _recover_x(y: int, sign_bit: int) -> int | None:
    """x of the point with this y and parity of x; None when there is none (RFC 8032 section 5.1.3)."""
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    if x2 == 0:
        return None if sign_bit else 0
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P:
        return None
    return P - x if x & 1 != sign_bit else x


def _compress(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decompress(data: bytes) -> Point | None:
    number = int.from_bytes(data, "little")
    y, sign_bit = number & ((1 << 255) - 1), number >> 255
    if y >= P:
        return None
    x = _recover_x(y, sign_bit)
    return None if x is None else (x, y, 1, x * y % P)


def _is_small_order(point: Point) -> bool:
    """Whether 8·point is the neutral element: such a key verifies signatures that nobody made."""
    x, y, z, _ = _double(_double(_double(point)))
    return x == 0 and (y - z) % P == 0
