"""TUF's envelope: parsing within limits, and counting the signatures that hold.

Invariants: a key counts once however often it signed; a key id must be the digest of the key it names, so nobody can
hang his key under another's id; only Ed25519 is known. Nothing in a document is looked at before this has passed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from brakeline.core.frozen import dataclass
from brakeline.trust import ed25519
from brakeline.trust.canonical import canonical
from brakeline.trust.errors import Distrust

DOCUMENT_BYTES_MAX = 256 * 1024
TARGETS_BYTES_MAX = 1024 * 1024
SIGNATURES_MAX = 64


@dataclass(frozen=True, slots=True)
class Signers:
    """Who may sign a role: public keys by key id, and how many of them are needed."""

    keys: Mapping[str, bytes]
    threshold: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed document whose signatures were not looked at yet. `text` are the bytes that arrived."""

    text: str
    signed: Mapping[str, Any]
    signatures: tuple[tuple[str, str], ...]  # (key id, hex)

    @property
    def type(self) -> str:
        """The document's own word for what it is."""
        return text_of(self.signed, "_type")


def parse(text: str, role: str, bytes_max: int = DOCUMENT_BYTES_MAX) -> Envelope:
    """The document in `text`, which must call itself `role`. Raises `Distrust`."""
    try:
        if len(text) > bytes_max or len(text.encode()) > bytes_max:
            raise Distrust("too_large", f"the {role} document is larger than {bytes_max} bytes")
        plain = json.loads(text)
    except (ValueError, RecursionError):  # half a surrogate pair is no text either
        raise Distrust("malformed", f"the {role} document is not JSON: {text[:40]!r}") from None
    return from_plain(plain, role, text)


def from_plain(plain: Any, role: str, text: str = "") -> Envelope:
    """As `parse`, for a document inside another."""
    if not isinstance(plain, dict) or not isinstance(plain.get("signed"), dict):
        raise Distrust("malformed", f"the {role} document is no envelope of a signed object")
    raw = plain.get("signatures")
    if not isinstance(raw, list) or len(raw) > SIGNATURES_MAX:
        raise Distrust("malformed", f"the {role} document has no list of at most {SIGNATURES_MAX} signatures")
    if not all(isinstance(one, dict) and isinstance(one.get("keyid"), str) for one in raw):
        raise Distrust("malformed", f"the {role} document has signatures that are none")
    signatures = tuple((one["keyid"], text_of(one, "sig")) for one in raw)
    if len({keyid for keyid, _ in signatures}) != len(signatures):
        raise Distrust("malformed", f"the {role} document is signed twice by the same key")
    envelope = Envelope(text, plain["signed"], signatures)
    if envelope.type != role:
        raise Distrust("mismatch", f"a {role} document was expected, this one calls itself {envelope.type[:20]!r}")
    return envelope


def verify(envelope: Envelope, signers: Signers, who: str) -> None:
    """Raises `Distrust` unless `signers.threshold` different keys have signed."""
    try:
        message = canonical(envelope.signed)
    except (ValueError, UnicodeEncodeError) as e:
        raise Distrust("malformed", f"the {who} document cannot be put into canonical form: {e}") from None
    good: set[bytes] = set()
    for keyid, signature in envelope.signatures:
        public = signers.keys.get(keyid)
        if public is not None and public not in good and _holds(public, message, signature):
            good.add(public)
    if signers.threshold < 1 or len(good) < signers.threshold:
        raise Distrust(
            "threshold",
            f"{len(good)} of the {signers.threshold} signatures that {who} needs hold; nothing of it is used",
        )


def _holds(public: bytes, message: bytes, signature: str) -> bool:
    try:
        raw = bytes.fromhex(signature)
    except ValueError:
        return False
    return len(raw) == ed25519.SIGNATURE_BYTES and ed25519.verify(public, message, raw)


def signers_of(keys: Any, role: Any, who: str) -> Signers:
    """The signers that a root or targets document names for one role. Raises `Distrust`."""
    if not isinstance(keys, dict) or not isinstance(role, dict):
        raise Distrust("malformed", f"no keys are named for {who}")
    keyids, threshold = role.get("keyids"), role.get("threshold")
    if not isinstance(threshold, int) or threshold is True or threshold < 1:
        raise Distrust("malformed", f"the threshold of {who} makes no sense")
    if not isinstance(keyids, list) or len(keyids) > SIGNATURES_MAX:
        raise Distrust("malformed", f"the keys of {who} make no sense")
    found = {
        keyid: public for keyid in keyids if isinstance(keyid, str) and (public := _public(keyid, keys.get(keyid)))
    }
    if len(set(found.values())) < threshold:
        raise Distrust("threshold", f"{who} needs {threshold} keys, {len(set(found.values()))} usable ones are named")
    return Signers(found, threshold)


def _public(keyid: str, key: Any) -> bytes | None:
    """The public key, if it is one of Ed25519 and really has this id."""
    if not isinstance(key, dict) or key.get("keytype") != "ed25519" or key.get("scheme") != "ed25519":
        return None
    try:
        public = bytes.fromhex(key["keyval"]["public"])
        plain = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": key["keyval"]["public"]}}
        genuine = hashlib.sha256(canonical(plain)).hexdigest() == keyid
    except (KeyError, TypeError, ValueError):
        return None
    return public if genuine and len(public) == ed25519.KEY_BYTES else None


def text_of(plain: Any, name: str, default: str = "") -> str:
    """A field that must be text, else `default`."""
    value = plain.get(name, default) if isinstance(plain, Mapping) else default
    return value if isinstance(value, str) else default


def is_count(value: Any) -> bool:
    """A whole number >= 0; JSON's true is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def count_of(plain: Any, name: str) -> int:
    """A field that must be a whole number >= 0. Raises `Distrust`."""
    value = plain.get(name) if isinstance(plain, Mapping) else None
    if not is_count(value):
        raise Distrust("malformed", f"the field {name} is not a whole number")
    assert isinstance(value, int)
    return value
