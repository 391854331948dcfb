"""Alpine's and Arch's orders by vectors of our own, written from their rules and checked against apk's and pacman's."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.versions import ORDERS
from brakeline.advisories.versions.alpine import apk_key
from brakeline.advisories.versions.arch import compare
from brakeline.core.debversion import BadVersion

APK_RISING = (
    "0.9", "1_alpha", "1_alpha1", "1_alpha2", "1_beta", "1_pre3", "1_rc1", "1", "1-r0", "1-r1", "1-r12", "1~0abc",
    "1_cvs", "1_svn", "1_git20250101", "1_hg", "1_p", "1_p1", "1_p1-r1", "1_p2", "1_p10", "1a", "1b", "1b-r1", "1.0",
    "1.00", "1.01", "1.010", "1.02", "1.1_rc1", "1.1", "1.1.1", "1.2", "1.10", "2", "10",
)  # fmt: skip
ARCH: tuple[tuple[str, str, int], ...] = (
    ("1.5.0", "1.5.0", 0), ("1.5.1", "1.5.0", 1), ("1.5.1", "1.5", 1), ("1.5.0-1", "1.5.0-2", -1),
    ("1.5-1", "1.5.1-1", -1), ("1.5-2", "1.5.1-1", -1), ("1.5", "1.5-1", 0), ("1.5-1", "1.5", 0), ("1.1-1", "1.1", 0),
    ("1.0-1", "1.1", -1), ("1.5b-1", "1.5-1", -1), ("1.5b", "1.5.1", -1), ("1.0a", "1.0alpha", -1),
    ("1.0alpha", "1.0b", -1), ("1.0b", "1.0beta", -1), ("1.0beta", "1.0rc", -1), ("1.0rc", "1.0", -1),
    ("1.5.a", "1.5", 1), ("1.5.b", "1.5.a", 1), ("1.5.1", "1.5.b", 1), ("1.5.b-1", "1.5.b", 0), ("2.0", "2_0", 0),
    ("2.0_a", "2_0.a", 0), ("2.0a", "2.0.a", -1), ("2___a", "2_a", 1), ("0:1.0", "0:1.0", 0), ("0:1.0", "0:1.1", -1),
    ("1:1.0", "0:1.0", 1), ("1:1.0", "0:1.1", 1), ("1:1.0", "2:1.1", -1), ("1:1.0", "1.0", 1), ("1:1.0", "1.1", 1),
    ("0:1.0", "1.0", 0), ("001a", "1a", 0), ("1.0.", "1.0", 1), ("1.0", "1.0..", -1), ("20110303", "9", 1),
)  # fmt: skip


def test_apk_rises_through_every_kind_of_part() -> None:
    keys = [apk_key(v) for v in APK_RISING]
    assert all(a < b for a, b in itertools.pairwise(keys))


@pytest.mark.parametrize(
    "version", ["", "a", "1.", ".1", "1_foo", "1-r", "1-1", "1ab", "1.0-r1_p1", "1~", "1~xyz", "1 ", "v1", "1" * 300]
)
def test_what_apk_would_not_take_is_refused(version: str) -> None:
    with pytest.raises(BadVersion):
        apk_key(version)


@pytest.mark.parametrize(("a", "b", "expected"), ARCH)
def test_arch(a: str, b: str, expected: int) -> None:
    assert (compare(a, b), compare(b, a)) == (expected, -expected)


PACKAGED = st.from_regex(r"(?a:([0-2]:)?[0-9]{1,2}(\.[0-9]{1,2}){0,2}(rc|a)?[0-9]?-[1-3])", fullmatch=True)


@given(a=PACKAGED, b=PACKAGED, c=PACKAGED)
def test_arch_is_transitive_for_versions_with_a_release(a: str, b: str, c: str) -> None:
    low, middle, high = sorted((a, b, c), key=lambda v: sum(compare(v, other) > 0 for other in (a, b, c)))
    assert max(compare(low, middle), compare(middle, high), compare(low, high)) <= 0


@pytest.mark.parametrize("version", ["", "1 2", "ü", "1" * 600])
def test_what_is_no_version_of_arch_is_refused(version: str) -> None:
    with pytest.raises(BadVersion):
        compare(version, "1")


@pytest.mark.parametrize("ecosystem", ORDERS)
@given(text=st.text(max_size=40), other=st.text(max_size=40))
def test_no_order_raises_anything_but_that_it_is_no_version(ecosystem: str, text: str, other: str) -> None:
    try:
        there, back = ORDERS[ecosystem](text, other), ORDERS[ecosystem](other, text)
    except BadVersion:
        return
    assert there == -back
    assert ORDERS[ecosystem](text, text) == 0
