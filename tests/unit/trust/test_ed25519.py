"""Our Ed25519 against the vectors of RFC 8032 section 7.1, against `cryptography`, and against forgers."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from brakeline.trust import ed25519
from brakeline.trust.ed25519 import L, P

VECTORS = [  # name, seed, public key, message, signature
    (
        "TEST 1",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "TEST 2",
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "TEST 3",
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "TEST SHA(abc)",
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]
SEED = bytes(range(32))
NEUTRAL = (1).to_bytes(32, "little")
ORDER_TWO = (P - 1).to_bytes(32, "little")
ORDER_FOUR = (0).to_bytes(32, "little")


@pytest.mark.parametrize(("name", "seed", "public", "message", "signature"), VECTORS, ids=lambda v: v[:14])
def test_vectors_of_the_rfc(name: str, seed: str, public: str, message: str, signature: str) -> None:
    assert ed25519.public_key(bytes.fromhex(seed)).hex() == public
    assert ed25519.sign(bytes.fromhex(seed), bytes.fromhex(message)).hex() == signature
    assert ed25519.verify(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


@settings(max_examples=60, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300))
def test_same_keys_and_signatures_as_the_compiled_library(seed: bytes, message: bytes) -> None:
    theirs = Ed25519PrivateKey.from_private_bytes(seed)
    public = theirs.public_key().public_bytes_raw()
    assert ed25519.public_key(seed) == public
    assert ed25519.sign(seed, message) == theirs.sign(message)
    assert ed25519.verify(public, message, theirs.sign(message))


@settings(max_examples=80, deadline=None)
@given(position=st.integers(0, 95), bit=st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_refused_by_both(position: int, bit: int) -> None:
    public, message = ed25519.public_key(SEED), b"pay 10"
    flipped = bytearray(public + ed25519.sign(SEED, message))
    flipped[position] ^= 1 << bit
    key, signature = bytes(flipped[:32]), bytes(flipped[32:])
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        theirs = True
    except (InvalidSignature, ValueError):
        theirs = False
    assert ed25519.verify(key, message, signature) is theirs is False


def test_a_signature_cannot_be_made_into_a_second_one() -> None:
    """S + L satisfies the equation too; accepting it would let anybody change a signature's bytes."""
    signature = ed25519.sign(SEED, b"m")
    s = int.from_bytes(signature[32:], "little") + L
    assert not ed25519.verify(ed25519.public_key(SEED), b"m", signature[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize("key", [NEUTRAL, ORDER_TWO, ORDER_FOUR], ids=["order 1", "order 2", "order 4"])
def test_keys_of_small_order_verify_nothing(key: bytes) -> None:
    """With A neutral, R = neutral and S = 0 satisfy the equation for every message."""
    assert not ed25519.is_public_key(key)
    assert not any(ed25519.verify(key, bytes([n]), NEUTRAL + bytes(32)) for n in range(20))


def test_encodings_that_are_not_canonical_are_no_keys() -> None:
    assert not ed25519.is_public_key((P + 1).to_bytes(32, "little"))  # the same point as y = 1
    assert not ed25519.is_public_key((1 | 1 << 255).to_bytes(32, "little"))  # x = 0 with its sign set
    assert not ed25519.is_public_key((2).to_bytes(32, "little"))  # no point of the curve has this y


@pytest.mark.parametrize(("key", "signature"), [(31, 64), (33, 64), (32, 63), (32, 65), (0, 0)])
def test_wrong_lengths_are_refused_and_raise_nothing(key: int, signature: int) -> None:
    assert not ed25519.verify(bytes(key), b"", bytes(signature))
