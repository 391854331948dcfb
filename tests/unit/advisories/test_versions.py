"""Orders of versions: every vector of those who define them, and that each key's order is total."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.versions import KEYS, ORDERS
from brakeline.advisories.versions.maven import compare
from brakeline.advisories.versions.parts import VERSION_CHARS_MAX
from brakeline.core.debversion import BadVersion

VECTORS = Path(__file__).parents[2] / "data/versions/vectors.jsonl.zst"
COUNTS = {"pypi": 4186, "golang": 576, "maven": 571, "semver": 38, "winget": 24, "nuget": 23}


@functools.cache
def vectors() -> tuple[dict[str, Any], ...]:
    data = zstandard.ZstdDecompressor().stream_reader(VECTORS.read_bytes()).read()
    return tuple(map(json.loads, data.splitlines()))


def by_key(ecosystem: str) -> Callable[[str, str], int]:
    key = KEYS["npm" if ecosystem == "semver" else ecosystem]

    def compared(a: str, b: str) -> int:
        return (key(a) > key(b)) - (key(a) < key(b))

    return compared


def test_the_vectors_are_all_there() -> None:
    assert Counter(v["ecosystem"] for v in vectors()) == COUNTS


@pytest.mark.parametrize("ecosystem", COUNTS)
def test_every_vector(ecosystem: str) -> None:
    order = compare if ecosystem == "maven" else by_key(ecosystem)
    wrong = [
        (v["a"], v["b"], v["expect"]) for v in vectors()
        if v["ecosystem"] == ecosystem
        and (order(v["a"], v["b"]) != v["expect"] or order(v["b"], v["a"]) != -v["expect"])
    ]  # fmt: skip
    assert not wrong


ALPHABET = {
    "npm": "0123.-ab+", "golang": "v0123.-ab+", "nuget": "0123.-aB+", "pypi": "012.!abrcdevpost+",
    "winget": "012.-ab <>", "rubygems": "012.-abr",
}  # fmt: skip


@pytest.mark.parametrize("ecosystem", ALPHABET)
@given(data=st.data())
def test_whatever_comes_has_a_key_or_is_refused_and_no_key_begins_another(ecosystem: str, data: st.DataObject) -> None:
    """Order of bytes is total; what could break it is a key that is the beginning of another one's."""
    made = set()
    for _ in range(4):
        try:
            made.add(KEYS[ecosystem](data.draw(st.text(ALPHABET[ecosystem], max_size=12))))
        except BadVersion:
            continue
    assert not [(a, b) for a in made for b in made if a != b and b.startswith(a)]


NUMBERS = st.lists(st.integers(0, 30), min_size=1, max_size=5)


@pytest.mark.parametrize("ecosystem", ["pypi", "winget"])
@given(a=NUMBERS, b=NUMBERS)
def test_numbers_with_dots_are_ordered_as_numbers_with_zeros_at_the_end_that_do_not_count(
    ecosystem: str, a: list[int], b: list[int]
) -> None:
    def bare(parts: list[int]) -> list[int]:
        while parts and parts[-1] == 0:
            parts = parts[:-1]
        return parts

    left, right = (KEYS[ecosystem](".".join(map(str, parts))) for parts in (a, b))
    assert (left < right, left == right) == (bare(a) < bare(b), bare(a) == bare(b))


PARTS = st.lists(st.sampled_from(["0", "1", "2", "0-a", "1-a", "1-b", "a", ""]), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_winget_s_parts_as_its_source_compares_them(a: list[str], b: list[str]) -> None:
    """The key against the plain rule: part by part, what is missing is 0 with nothing after it."""

    def part(text: str) -> tuple[int, int, str]:
        digits = text.rstrip("ab-")
        rest = text[len(digits) :]
        return int(digits or 0), not rest, rest

    width = max(len(a), len(b))
    plain = [[part(p) for p in (*parts, *["0"] * (width - len(parts)))] for parts in (a, b)]
    texts = [".".join(parts) for parts in (a, b)]
    if not all(texts):
        return
    left, right = map(KEYS["winget"], texts)
    assert (left < right, left == right) == (plain[0] < plain[1], plain[0] == plain[1])


GEMS = st.lists(st.sampled_from(["0", "1", "2", "10", "00", "a", "b", "rc", "a1"]), min_size=1, max_size=5)


@given(GEMS, GEMS)
def test_gems_as_ruby_compares_them(a: list[str], b: list[str]) -> None:
    """The key against the plain rule: segment by segment, what is missing is 0, a word is older than a number."""

    def segments(parts: list[str]) -> list[int | str]:
        found = [int(s) if s.isdigit() else s for s in re.findall("[0-9]+|[a-z]+", ".".join(["1", *parts]))]
        first = next((i for i, s in enumerate(found) if isinstance(s, str)), len(found))
        numbers, words = found[:first], found[first:]
        for part in (numbers, words):
            while part and part[-1] == 0:
                part.pop()
        return [*numbers, *words]

    one, two = segments(a), segments(b)
    for n in range(max(len(one), len(two))):
        x, y = (s[n] if n < len(s) else 0 for s in (one, two))
        if x != y:
            plain = (isinstance(x, str) < isinstance(y, str)) - (isinstance(x, str) > isinstance(y, str))
            plain = plain or ((x > y) - (x < y) if type(x) is type(y) else 0)  # type: ignore[operator]
            break
    else:
        plain = 0
    left, right = (KEYS["rubygems"](".".join(["1", *parts])) for parts in (a, b))
    assert (left > right) - (left < right) == plain


def test_gems_in_order() -> None:
    """By the rule of `Gem::Version`; a hyphen is `.pre.`."""
    texts = ["1.0.a", "1.0.a.2", "1.0.a10", "1.0-alpha", "1.0.rc1", "1.0", "1.0.1", "1.9.3", "1.10", "2"]
    assert sorted(texts, key=KEYS["rubygems"]) == texts
    assert KEYS["rubygems"]("1.0.0") == KEYS["rubygems"]("1")


@given(st.text("0123456789.-abmrcs", min_size=1, max_size=10), st.text("0123456789.-abmrcs", min_size=1, max_size=10))
def test_maven_turned_round_is_turned_round(a: str, b: str) -> None:
    assert compare(a, a) == 0
    assert (compare(a, b) > 0) == (compare(b, a) < 0)


def test_maven_s_order_is_not_transitive_which_is_why_it_has_no_key() -> None:
    assert compare("a", "-a0") < 0 < compare("0", "-a0")
    assert compare("a", "0") > 0


@pytest.mark.parametrize(
    ("ecosystem", "version"),
    [("npm", "1.2"), ("npm", "1.2.3-"), ("npm", "1.2.3-a..b"), ("golang", "bad"), ("golang", "v1.2.3.4"),
     ("nuget", "1.2.3.4.5"), ("pypi", "1.0-1-1"), ("pypi", "latest"), ("winget", "<"), ("winget", "  "),
     *((e, "1." * VERSION_CHARS_MAX + "0") for e in ALPHABET), *((e, "") for e in ALPHABET),
     *((e, "1.0." + "9" * 300) for e in ALPHABET)],
)  # fmt: skip
def test_what_is_no_version_is_refused(ecosystem: str, version: str) -> None:
    with pytest.raises(BadVersion):
        KEYS[ecosystem](version)


USUAL = {
    "maven": st.from_regex(r"(?a:[0-9]{1,2}(\.[0-9]{1,2}){0,2}(-(alpha|beta|rc|sp)-?[1-3])?)", fullmatch=True),
    "alpm": st.from_regex(r"(?a:([0-2]:)?[0-9]{1,2}(\.[0-9]{1,2}){0,2}(rc|a)?[0-9]?-[1-3])", fullmatch=True),
}


@pytest.mark.parametrize("ecosystem", ORDERS)
@given(data=st.data())
def test_the_order_is_reflexive_antisymmetric_and_transitive(ecosystem: str, data: st.DataObject) -> None:
    """Maven's and Arch's for versions as people write them: for all others it is not, and there is no key."""
    texts = USUAL.get(ecosystem, st.text("012.-~ab_+r", min_size=1, max_size=8))
    order, three = ORDERS[ecosystem], [data.draw(texts) for _ in range(3)]
    try:
        signs = {(a, b): order(a, b) for a in three for b in three}
    except BadVersion:
        return
    for a, b in signs:
        assert signs[a, a] == 0
        assert (signs[a, b] > 0, signs[a, b] < 0) == (signs[b, a] < 0, signs[b, a] > 0)
    for a, b in signs:
        for c in three:
            if signs[a, b] <= 0 and signs[b, c] <= 0:
                assert signs[a, c] <= 0, (a, b, c)
