"""Signatures of minisign: Ed25519 over a file or over its BLAKE2b, and over the trusted comment. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from typing import Final

from brakeline.catalog.curated.model import NotVouched, Proof
from brakeline.trust import ed25519

PLAIN, HASHED = b"Ed", b"ED"
TEXT_BYTES_MAX: Final = 8 * 1024
_TIMESTAMP: Final = re.compile(r"(?:^|\t)timestamp:([0-9]{1,10})(?:\t|$)")


def is_key(text: str) -> bool:
    """Whether this is a public key as minisign prints it."""
    data = _decoded(text)
    return len(data) == 42 and data[:2] == PLAIN


def prove(artifact: bytes, signature: bytes, keys: Iterable[str], file: str = "") -> Proof:
    """Who of these keys has signed it. `file`: what the trusted comment must name, where it names one."""
    signed = _lines(signature)
    kind, key_id, body = signed[0][:2], signed[0][2:10], signed[0][10:]
    pinned = next((k for k in keys if _decoded(k)[2:10] == key_id), "")
    if not pinned:
        raise NotVouched(
            f"it is signed by the minisign key {key_id[::-1].hex().upper()}, and the definition pins another"
        )
    public = _decoded(pinned)[10:]
    text = hashlib.blake2b(artifact).digest() if kind == HASHED else artifact
    if not ed25519.verify(public, text, body):
        raise NotVouched("the minisign signature is not of this file: it was changed after it was signed")
    comment, whole = signed[1], signed[2]
    if not ed25519.verify(public, body + comment, whole):
        raise NotVouched("the trusted comment of the minisign signature was changed")
    said = comment.decode("utf-8", "replace")
    named = re.search(r"(?:^|\t)file:([^\t]+)", said)
    if file and named and named[1] != file:
        raise NotVouched(f"the signature is of {named[1][:80]!r}, not of {file!r}")
    when = _TIMESTAMP.search(said)
    return Proof(pinned, int(when[1]) * 1000 if when else 0)


def _lines(data: bytes) -> tuple[bytes, bytes, bytes]:
    """(signature, trusted comment, signature over both)."""
    lines = data[:TEXT_BYTES_MAX].decode("utf-8", "replace").splitlines()
    marks = len(lines) >= 4 and lines[0].startswith("untrusted comment: ") and lines[2].startswith("trusted comment: ")
    body, whole = (_decoded(lines[1]), _decoded(lines[3])) if marks else (b"", b"")
    if len(body) != 74 or body[:2] not in (PLAIN, HASHED) or len(whole) != 64:
        raise NotVouched("this is no signature of minisign")
    return body, lines[2].removeprefix("trusted comment: ").encode(), whole


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
