"""OpenPGP as far as a pin needs it: the keys of a file by fingerprint, and what gpgv's status lines prove. Pure.

A vendor's file of keys is cut down to those whose primary fingerprint is pinned before any tool sees it: what else lies
in it, also behind a packet that makes no sense here, vouches for nothing. A signature counts if gpgv calls it good and
valid, by a key that is neither expired nor revoked, over a hash that still holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from brakeline.catalog.curated.model import NotVouched, Proof

KEYS_BYTES_MAX: Final = 1024 * 1024
PUBLIC_KEY: Final = 6  # the tag of a packet
PRIMARY: Final = (PUBLIC_KEY, 5)  # 5: with its secret part; rpm reads what lies behind it all the same
KEY_BYTES_MAX: Final = 0xFFFF  # its fingerprint has two bytes for its length
HASHES: Final = {"8": "SHA-256", "9": "SHA-384", "10": "SHA-512", "11": "SHA-224"}
CLEAR, CLEAR_END = b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----END PGP SIGNATURE-----"
BAD: Final = {
    "EXPKEYSIG": "by a key that has expired", "REVKEYSIG": "by a key that its owner has revoked",
    "EXPSIG": "with a signature that has expired", "BADSIG": "and the text was changed after it was signed",
}  # fmt: skip


def pinned_keys(data: bytes, pins: Iterable[str]) -> bytes:
    """The keys of a vendor's file that the definition pins, in binary. Raises `NotVouched` if none is there."""
    return b"".join(key for _, key in each_pinned(data, pins))


def each_pinned(data: bytes, pins: Iterable[str]) -> list[tuple[str, bytes]]:
    """The same one by one, each with its fingerprint."""
    if len(data) > KEYS_BYTES_MAX:
        raise NotVouched(f"the file of keys has {len(data)} bytes; at most {KEYS_BYTES_MAX} are read")
    wanted = {p.upper() for p in pins}
    keys = {fingerprint: key for block in dearmored(data) for fingerprint, key in _keys(block)}
    found = [(fingerprint, key) for fingerprint, key in keys.items() if fingerprint in wanted]
    if not found:
        have = ", ".join(sorted(keys)) or "no key"
        raise NotVouched(f"the file of keys has {have}; the definition pins {', '.join(sorted(wanted))}")
    return found


def dearmored(data: bytes) -> list[bytes]:
    """The blocks of an armoured file, or the file itself if it is none."""
    if b"-----BEGIN PGP" not in data:
        return [data]
    blocks = []
    for part in data.decode("ascii", "replace").split("-----BEGIN PGP")[1:]:
        head, _, rest = part.replace("\r\n", "\n").partition("\n\n")
        body = rest.split("-----END PGP")[0]
        lines = [line.strip() for line in body.split("\n") if not line.startswith("=")]
        try:
            blocks.append(base64.b64decode("".join(lines), validate=True))
        except (binascii.Error, ValueError):
            raise NotVouched(f"the armour of{head.strip('- ')[:40].lower()} is damaged") from None
    return blocks


def clear_signed(data: bytes) -> bytes:
    """The first clear-signed text of a file, b"" = there is none: only such a text is no larger than it looks."""
    begin = 0 if data.startswith(CLEAR) else data.find(b"\n" + CLEAR) + 1 or -1
    end = data.find(b"\n" + CLEAR_END, begin) if begin >= 0 else -1
    return data[begin : end + len(CLEAR_END) + 1] + b"\n" if end >= 0 else b""


def _keys(block: bytes) -> Iterator[tuple[str, bytes]]:
    """(fingerprint of the primary key, it with everything that follows up to the next)."""
    fingerprint, begin, end = "", 0, 0
    for at, after, tag, body in _packets(block):
        if tag in PRIMARY:
            if fingerprint:
                yield fingerprint, block[begin:end]
            fingerprint, begin = _fingerprint(body) if tag == PUBLIC_KEY else "a secret one", at
        end = after
    if fingerprint:
        yield fingerprint, block[begin:end]


def _fingerprint(body: bytes) -> str:
    """Of a key of version 4; another has a name that no pin fits."""
    if not body or body[0] != 4 or len(body) > KEY_BYTES_MAX:
        return f"version {body[0] if body else 0}"
    return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324 - OpenPGP's own


def _packets(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(where it begins and ends, its tag, its body) of each packet; the rest is not read where one makes no sense."""
    at = 0
    while at + 2 <= len(data) and data[at] & 0x80:
        head, begin = data[at], at
        if head & 0x40:
            tag, first = head & 0x3F, data[at + 1]
            extra = 0 if first < 192 else 1 if first < 224 else 4 if first == 255 else -1
            size = first if extra == 0 else int.from_bytes(data[at + 2 : at + 2 + extra], "big")
            size = ((first - 192) << 8) + size + 192 if extra == 1 else size
            at += 2 + extra
        else:
            tag, extra = head >> 2 & 0x0F, (1, 2, 4, -1)[head & 3]
            size = int.from_bytes(data[at + 1 : at + 1 + extra], "big")
            at += 1 + extra
        if extra < 0 or at + size > len(data):
            return
        yield begin, at + size, tag, data[at : at + size]
        at += size


def proven(status: str, pins: Iterable[str], covers: bytes = b"") -> Proof:
    """What gpgv has proven, by its status lines. Raises `NotVouched` with the reason."""
    wanted, why = {p.upper() for p in pins}, "there is no signature on it"
    for lines in _signatures(status):
        words = {line[0]: line[1:] for line in lines}
        bad = next((text for word, text in BAD.items() if word in words), "")
        valid = words.get("VALIDSIG", ())
        if bad:
            why = f"it is signed {bad}"
        elif "GOODSIG" not in words or len(valid) < 10:
            missing = words.get("NO_PUBKEY", words.get("ERRSIG", ("of no name",)))[0]
            why = f"it is signed by the key {missing}, and that is none that the definition pins"
        elif valid[7] not in HASHES:
            why = "it is signed over a hash that no longer proves anything"
        elif valid[9].upper() not in wanted:
            why = f"it is signed by the key {valid[9]}, and the definition pins {', '.join(sorted(wanted))}"
        else:
            return Proof(valid[9].upper(), int(valid[2]) * 1000, covers)
    raise NotVouched(why)


def _signatures(status: str) -> Iterator[list[tuple[str, ...]]]:
    """The status lines of each signature."""
    current: list[tuple[str, ...]] = []
    for line in status.splitlines():
        words = tuple(line.removeprefix("[GNUPG:] ").split()) if line.startswith("[GNUPG:] ") else ()
        if words and words[0] == "NEWSIG":
            if current:
                yield current
            current = [words]
        elif words and current:
            current.append(words)
    if current:
        yield current
