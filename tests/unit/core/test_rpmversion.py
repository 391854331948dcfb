"""Order of rpm versions: vectors of our own from rpm-version(7), and properties against the rule by the book."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import require

from brakeline.core.debversion import BadVersion
from brakeline.core.rpmversion import rpm_key, segments_key

ASCENDING = [
    ("1.0", "1.1", "1.10", "2"),
    # ~ < end < ^ < letters < numbers
    ("1.0~~", "1.0~", "1.0~rc1", "1.0~rc1^git1", "1.0", "1.0^", "1.0^git1", "1.0a", "1.0.1"),
    ("1a", "1b", "1ba", "1.1"),
    ("1.0-1", "1.0-1.el9", "1.0-2.el8", "1.0-10", "1.0a-1"),
    ("9-9", "1:1-1", "2:0-1"),
    ("3.6.8-15.module_el8.3.0+6191", "3.6.8-15.module_el8.5.0+1"),
]  # fmt: skip
EQUAL = [("2.0", "2_0"), ("1.0", "1.00"), ("1.0", "1.0."), ("1.0", "0:1.0"), ("1..0", "1.0"), ("1.0-1", "1.0-01")]
REJECTED = ["", ":1", "x:1", "1 2", "1\n", "é", "-1", "1." + "9" * 256, "2147483648:1"]


@pytest.mark.parametrize("line", ASCENDING, ids=lambda line: line[0])
def test_ascending(line: tuple[str, ...]) -> None:
    keys = [rpm_key(version) for version in line]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal(a: str, b: str) -> None:
    assert rpm_key(a) == rpm_key(b)


@pytest.mark.parametrize("version", REJECTED)
def test_rejected(version: str) -> None:
    with pytest.raises(BadVersion):
        rpm_key(version)


def compare(a: str, b: str) -> int:
    """rpmvercmp as its manual tells it, the slow reference."""
    while True:
        a, b = (re.sub(r"^[^A-Za-z0-9~^]+", "", text) for text in (a, b))
        if a[:1] == "~" or b[:1] == "~":
            if a[:1] != b[:1]:
                return -1 if a[:1] == "~" else 1
            a, b = a[1:], b[1:]
            continue
        if a[:1] == "^" or b[:1] == "^":
            if not a or not b:
                return 1 if a else -1
            if a[0] != b[0]:
                return -1 if a[0] == "^" else 1
            a, b = a[1:], b[1:]
            continue
        if not a or not b:
            return bool(a) - bool(b)
        pattern = r"[0-9]+" if a[0].isdigit() else r"[A-Za-z]+"
        left, right = re.match(pattern, a), re.match(pattern, b)
        assert left is not None
        if right is None:
            return 1 if a[0].isdigit() else -1
        x: int | str
        y: int | str
        x, y = (int(left[0]), int(right[0])) if a[0].isdigit() else (left[0], right[0])
        if x != y:
            return 1 if x > y else -1  # type: ignore[operator]
        a, b = a[left.end() :], b[right.end() :]


texts = st.text("0123456789abZ.~^_", max_size=10)


@given(texts, texts)
@settings(max_examples=500, deadline=None)
def test_bytes_order_is_the_order_of_the_manual(a: str, b: str) -> None:
    left, right = segments_key(a), segments_key(b)
    assert (left > right) - (left < right) == compare(a, b)


@given(texts, texts)
def test_no_key_begins_another(a: str, b: str) -> None:
    left, right = segments_key(a), segments_key(b)
    assert left == right or not left.startswith(right)


def test_rpm_itself_agrees(tmp_path: Path) -> None:
    """4,000 pairs of [epoch:]version[-release], far apart and near, compared by rpm's own library."""
    require(shutil.which("rpm") is not None, "rpm, the oracle of its version order")
    draw = random.Random(20261126)

    def part(length: int) -> str:
        return draw.choice("0129aZ") + "".join(draw.choice("0129abZ.~^_+") for _ in range(draw.randrange(length)))

    def version() -> str:
        return draw.choice(("", "", "0:", "1:", "12:")) + part(6) + draw.choice(("", "-" + part(4)))

    pairs = [(version(), version()) for _ in range(2000)]
    pairs += [
        (a, draw.choice((a + draw.choice("~^.a1"), a.replace("1", "01"), a.replace(".", "..")))) for a, _ in pairs
    ]
    (tmp_path / "pairs").write_text("".join(f"{a}\t{b}\n" for a, b in pairs))
    program = (
        f'%{{lua: for line in io.lines("{tmp_path / "pairs"}") do local a, b = line:match("(.-)\t(.*)"); '
        'a, b = rpm.ver(a), rpm.ver(b); io.write(a < b and "<" or (a == b and "=" or ">")) end}'
    )
    told = subprocess.run(["rpm", "--eval", program], capture_output=True, check=True, text=True).stdout.strip()
    ours = ["=<>"[(rpm_key(a) > rpm_key(b)) * 2 + (rpm_key(a) < rpm_key(b))] for a, b in pairs]
    wrong = [(pair, o, t) for pair, o, t in zip(pairs, ours, told, strict=True) if o != t]
    assert set(told) == {"<", "=", ">"}
    assert wrong == []
