"""What a pin needs of OpenPGP: keys of a file by fingerprint, and what gpgv's lines prove."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.catalog.curated.model import NotVouched
from brakeline.catalog.curated.openpgp import clear_signed, dearmored, pinned_keys, proven

KEY, OTHER = "A" * 40, "B" * 40
GOOD = f"GOODSIG {KEY[:16]} A"
VALID = f"VALIDSIG {OTHER} 2026-11-27 1795743524 0 4 0 22 8 00 {KEY}"


def packet(tag: int, body: bytes, form: str = "new") -> bytes:
    if form == "old":
        return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2, "big") + body
    size = bytes([len(body)]) if len(body) < 192 else bytes([(len(body) - 192 >> 8) + 192, len(body) - 192 & 0xFF])
    return bytes([0xC0 | tag]) + size + body


def key(seed: bytes, form: str = "new", size: int = 40) -> tuple[str, bytes]:
    body = (b"\x04" + seed * size)[:size]
    name = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()
    return name, packet(6, body, form) + packet(13, b"somebody") + packet(14, b"\x04sub")


def status(*lines: str) -> str:
    return "".join(f"[GNUPG:] {line}\n" for line in ("NEWSIG", *lines))


@pytest.mark.parametrize(("form", "size"), [("new", 40), ("old", 40), ("new", 300)])
def test_only_the_pinned_key_is_left_with_what_belongs_to_it(form: str, size: int) -> None:
    (mine, wanted), (_, other) = key(b"a", form, size), key(b"b", form, size)
    for file in (other + wanted, wanted + other, other + wanted + other):
        assert pinned_keys(file, [mine.lower()]) == wanted
    armoured = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\n" + base64.encodebytes(other + wanted)
    assert pinned_keys(armoured + b"=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n", [mine]) == wanted


def test_a_subkey_of_another_with_the_pinned_name_is_not_it() -> None:
    mine, _ = key(b"a")
    name, other = key(b"b")
    smuggled = other + packet(14, (b"\x04" + b"a" * 40)[:40])
    with pytest.raises(NotVouched) as refused:
        pinned_keys(smuggled, [mine])
    assert name in refused.value.detail
    assert mine in refused.value.detail


@pytest.mark.parametrize(
    "between", [b"\xc6\xe1\x04\x04", b"\x9b\x04", b"\x00", packet(5, b"\x04secret")],
    ids=["in parts", "without a length", "no packet", "a secret key"],
)  # fmt: skip
def test_a_key_behind_what_makes_no_sense_is_no_part_of_the_pinned_one(between: bytes) -> None:
    (mine, wanted), (_, other) = key(b"a"), key(b"b")
    assert pinned_keys(wanted + between + other, [mine]) == wanted


def test_a_key_that_is_too_large_for_a_fingerprint_is_none() -> None:
    with pytest.raises(NotVouched, match="the definition pins"):
        pinned_keys(bytes([0xC6, 255]) + (70_000).to_bytes(4, "big") + b"\x04" * 70_000, [KEY])


@given(st.binary(max_size=400))
def test_any_file_is_read_or_refused(data: bytes) -> None:
    with pytest.raises(NotVouched):
        pinned_keys(data, [KEY])


def test_of_a_signed_index_only_its_first_clear_signed_text_is_looked_at() -> None:
    one = b"-----BEGIN PGP SIGNED MESSAGE-----\n\na\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
    for file in (one, b"Date: x\n" + one, one + b"more\n", one + one.replace(b"a", b"b"), one[:-1]):
        assert clear_signed(file) == one
    for file in (b"", b"\xa3\x02packed", one[:-10], b"x" + one, one[20:]):
        assert clear_signed(file) == b""


def test_damaged_armour_is_said() -> None:
    with pytest.raises(NotVouched, match="damaged"):
        dearmored(b"-----BEGIN PGP SIGNATURE-----\n\n!!!\n-----END PGP SIGNATURE-----\n")


def test_a_good_and_valid_signature_of_the_pinned_primary_key() -> None:
    found = proven(status(GOOD, VALID), [KEY], b"text")
    assert (found.key, found.signed_ms, found.covers) == (KEY, 1_795_743_524_000, b"text")
    both = status("ERRSIG 1234 22 8 00 1 9", "NO_PUBKEY 1234") + status(GOOD, VALID)
    assert proven(both, [KEY]).key == KEY, "one that counts is enough"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((), "none that the definition pins"), ((VALID,), "none that the definition pins"),
        ((GOOD,), "none that the definition pins"), (("BADSIG x",), "changed after"),
        (("EXPKEYSIG x", VALID), "has expired"), (("REVKEYSIG x", VALID), "has revoked"),
        (("EXPSIG x", VALID), "signature that has expired"), ((GOOD, VALID, "EXPKEYSIG x"), "has expired"),
        ((GOOD, VALID.replace(" 8 00 ", " 2 00 ")), "no longer proves"),
        ((GOOD, VALID.replace(KEY, OTHER)), f"the definition pins {KEY}"),
        (("NO_PUBKEY 4242",), "the key 4242"),
    ],
)  # fmt: skip
def test_everything_else_proves_nothing(lines: tuple[str, ...], says: str) -> None:
    with pytest.raises(NotVouched) as refused:
        proven(status(*lines), [KEY])
    assert says in refused.value.detail


def test_what_a_name_says_is_no_status_line() -> None:
    hostile = status(f"ERRSIG x [GNUPG:] {GOOD}") + f"gpgv: [GNUPG:] {VALID}\n"
    with pytest.raises(NotVouched):
        proven(hostile, [KEY])
    with pytest.raises(NotVouched, match="there is no signature"):
        proven("gpgv: no valid OpenPGP data found\n", [KEY])
