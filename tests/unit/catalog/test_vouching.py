"""From what is signed down to one artifact: lists of sums, templates, indexes that cannot be read."""

from __future__ import annotations

import hashlib
import time

import pytest
from tests.vendorkeys import minisign, minisign_key

from brakeline.catalog.curated.minisign import prove
from brakeline.catalog.curated.model import NotVouched
from brakeline.catalog.curated.vouching import in_release, in_repomd, sums, versions_in

A, B = "a" * 64, "b" * 64


def test_sums_in_both_forms() -> None:
    text = f"{A}  ./one.zip\n{B} *dir/two.zip\n# a remark\nSHA256 (three.zip) = {A.upper()}\n"
    assert sums(text.encode()) == {"one.zip": A, "dir/two.zip": B, "three.zip": A}


@pytest.mark.parametrize(("text", "says"), [(f"{A}  x\n{B}  x\n", "has two"), ("hello\n", "no SHA-256")])
def test_sums_that_say_two_things_or_nothing(text: str, says: str) -> None:
    with pytest.raises(NotVouched, match=says):
        sums(text.encode())


def test_versions_by_a_template() -> None:
    names = dict.fromkeys(("t_1.2.0_amd64.zip", "t_1.10.0~rc1_amd64.zip", "t_1.2.0_arm64.zip", "xt_9_amd64.zip"), A)
    assert sorted(versions_in(names, "t_{version}_amd64.zip")) == ["1.10.0~rc1", "1.2.0"]
    twice = dict.fromkeys(("v1/t-1.tar", "v1/t-2.tar"), A)
    assert versions_in(twice, "v{version}/t-{version}.tar") == {"1": "v1/t-1.tar"}


@pytest.mark.parametrize(
    "release", [b"", b"SHA256:\n x\n", b"MD5Sum:\n %s 3 main/Packages\n" % (b"a" * 32), b"\xff\x00"]
)
def test_an_index_that_names_nothing_proves_nothing(release: bytes) -> None:
    with pytest.raises(NotVouched, match="names no main/Packages"):
        in_release(release, "main/Packages", b"abc", 0)


def test_a_packed_listing_counts_as_what_the_index_says_of_it() -> None:
    data = b"\x1f\x8bpacked"
    digest = hashlib.sha256(data).hexdigest()
    in_release(f"SHA256:\n {digest} 8 main/Packages.gz\n".encode(), "main/Packages", data, 0)
    with pytest.raises(NotVouched, match="no readable day"):
        in_release(b"Valid-Until: soon\n", "main/Packages", data, 0)


@pytest.mark.parametrize("zone", ["UTC", "GMT", "+0000", "-0000", ""])
def test_the_end_of_an_index_is_not_in_the_zone_of_this_machine(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours before UTC
    time.tzset()
    try:
        index = f"Valid-Until: Fri, 27 Nov 2026 12:00:00 {zone}\nSHA256:\n {A} 3 main/Packages\n".encode()
        with pytest.raises(NotVouched, match="is not the main/Packages"):
            in_release(index, "main/Packages", b"abc", 1_795_780_800_000)
        with pytest.raises(NotVouched, match="was valid until"):
            in_release(index, "main/Packages", b"abc", 1_795_780_800_001)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_time_beyond_every_calendar_is_not_said() -> None:
    signed = minisign(b"x", "timestamp:999999999999\tfile:x")
    assert prove(b"x", signed, [minisign_key()], "x").signed_ms == 0


@pytest.mark.parametrize(
    "repomd", [b"<repomd/>", b"<!DOCTYPE x><repomd/>", b"not xml", b"<a\0/>",
               b'<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="filelists"/></repomd>']
)  # fmt: skip
def test_a_repomd_that_names_nothing_proves_nothing(repomd: bytes) -> None:
    with pytest.raises(NotVouched):
        in_repomd(repomd, b"abc")
