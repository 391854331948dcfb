"""Whatever a file holds: it is read, or refused in words. Seeded damage to good files, and values of every kind."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.ownpackages import artifact, package, script, signed
from tests.unit.catalog.test_discovery import PACKAGES, WINGET, primary, rpm

from brakeline.catalog.discovery import BadListing, read
from brakeline.protocol.software import BadSoftware, read_package, write
from brakeline.protocol.software import read as read_document
from brakeline.protocol.software_rules import problem
from brakeline.protocol.trusted_authors import read_authors

ODD: tuple[Any, ...] = (None, True, 0, -1, 1.5, "", "x" * 3000, [], {}, [[]], {"a": 1}, "\0", "١", 10**30, ["x"], "é")
SCOOP = {"name": "x", "version": "1", "url": "https://e.org/x", "hash": "3f" * 32,
         "architecture": {"64bit": {"url": "https://e.org/y", "hash": "3f" * 32}}}  # fmt: skip
GOOD = {
    "scoop": json.dumps(SCOOP).encode(), "winget": WINGET.encode(), "apt": PACKAGES.encode(),
    "rpm": primary(rpm("1.9", "1")), "feed": b'{"v": "1", "u": "https://e.org/x", "h": "' + b"3f" * 32 + b'"}',
}  # fmt: skip
PATHS = {"version": "v", "url": "u", "sha256": "h"}


def damaged(data: bytes, seed: int) -> bytes:
    """A few bytes changed, dropped, doubled."""
    rng, out = random.Random(seed), bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(4):
            case 0:
                out[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del out[at : at + rng.randint(1, 20)]
            case 2:
                out[at:at] = out[at : at + rng.randint(1, 40)]
            case _:
                out[at:at] = rng.choice((b'"', b"{", b"[", b"<", b"\n\n", b": ", b"\xff\xfe", b"&a;", b"9" * 400))
    return bytes(out)


@pytest.mark.parametrize("form", sorted(GOOD))
def test_a_damaged_listing_is_read_or_refused_in_words(form: str) -> None:
    refused = 0
    for seed in range(300):
        try:
            found, missing = read(form, damaged(GOOD[form], seed), "x" if form == "feed" else "", PATHS)
        except BadListing as e:
            refused += bool(e.detail)
        else:
            assert all(len(f.sha256) == 64 for f in found)
            assert all(m.reason for m in missing)
    assert 0 < refused < 300


def planted(plain: Any) -> Iterator[Any]:
    """The same value with each part of it replaced by each odd one."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield from ({**plain, key: odd} for odd in ODD)
            yield from ({**plain, key: inner} for inner in planted(value))
    elif isinstance(plain, list):
        for at, value in enumerate(plain):
            yield from ([*plain[:at], inner, *plain[at + 1 :]] for inner in (*ODD, *planted(value)))


def test_a_scoop_manifest_with_any_value_anywhere() -> None:
    for plain in planted(SCOOP):
        with suppress(BadListing):
            read("scoop", json.dumps(plain).encode())


def test_a_package_with_any_value_anywhere() -> None:
    whole = package(artifact=artifact(b"x"), pre=script("true", success=[0, 1]), way_back="earlier", repeatable=True)
    refused = 0
    for plain in planted(whole):
        try:
            wrong = problem(read_package(json.dumps(plain).encode()))
        except BadSoftware as e:
            wrong = e.detail
        refused += bool(wrong)
    assert refused > 200


def test_a_document_and_a_file_of_authors_with_any_value_anywhere() -> None:
    for plain in planted(json.loads(write(signed(package())))):
        with suppress(BadSoftware):
            read_document(json.dumps(plain).encode())
    for plain in planted({"authors": {"ann": "3f" * 32}, "needed": 1}):
        found = read_authors(json.dumps(plain).encode())
        assert bool(found.problem) != bool(found.keys)
