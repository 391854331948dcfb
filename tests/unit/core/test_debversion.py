"""Order of Debian versions: vectors of our own, properties, real version histories, and dpkg itself as oracle."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import require

from brakeline.core.debversion import BadVersion, deb_key

CHAINS = Path(__file__).parents[2] / "data/exposure/debian-version-chains.json.zst"
SYSTEM_PYTHON = "/usr/bin/python3"

# Each line ascends. From the rules of deb-version(7), one rule a line.
ASCENDING = [
    ("0", "1", "2", "10", "100"),  # numbers as numbers
    ("1.0~~", "1.0~~a", "1.0~", "1.0~rc1", "1.0", "1.0a", "1.0+b1", "1.0.1"),  # ~ < end < letters < other signs
    ("1A", "1Z", "1a", "1z", "1+", "1.", "1.0.0"),
    ("9.9-9", "1:0.1-1", "2:0", "10:0~"),  # the epoch first, as a number
    ("1.0-1", "1.0-1+b1", "1.0-1.1", "1.0-2", "1.0-10", "1.0-1-1"),  # the last dash begins the revision
    ("1.0~bpo12+1", "1.0-1~bpo12+1", "1.0-1~deb12u1", "1.0-1", "1.0-1+deb12u1"),
    ("590-2.1~deb12u2", "590-2.1", "590-3"),
    ("1:2.0", "1:2.0:1"),  # a colon is allowed after the epoch
    ("7.88.1-10+deb12u9", "7.88.1-10+deb12u14", "7.88.1-10+deb12u15"),
    ("1." + "9" * 254, "1." + "9" * 255),
]
EQUAL = [("1.0", "1.0-0"), ("1.0", "0:1.0"), ("1.01", "1.1"), ("1.0-00", "1.0-0"), ("1", "001"), ("1a", "1a0")]
REJECTED = [
    "", "-1", "1.0-", ":1.0", "a:1.0", "-1:1.0", "2147483648:1", "1.0 1", "1.0_1", "1.0-1:2", "1.0\n", "é1", "١:1",
    "1." + "9" * 256, "9" * 300 + ":1", "1:",
]  # fmt: skip

versions = st.builds(
    lambda epoch, upstream, revision: epoch + upstream + revision,
    st.sampled_from(["", "", "0:", "1:", "12:"]),
    st.text("0123456789aZb.+~", min_size=1, max_size=12),
    st.one_of(st.just(""), st.text("0123456789az.+~", min_size=1, max_size=6).map("-".__add__)),
)


@pytest.mark.parametrize("line", ASCENDING, ids=lambda line: line[0][:20])
def test_ascending(line: tuple[str, ...]) -> None:
    keys = [deb_key(version) for version in line]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal(a: str, b: str) -> None:
    assert deb_key(a) == deb_key(b)


@pytest.mark.parametrize("version", REJECTED)
def test_what_dpkg_would_not_accept_is_rejected(version: str) -> None:
    with pytest.raises(BadVersion):
        deb_key(version)


def compare(a: str, b: str) -> int:
    """dpkg's algorithm as its manual tells it, by the book: the slow reference for the properties."""

    def split(version: str) -> tuple[int, str, str]:
        epoch, colon, rest = version.partition(":")
        if not colon:
            epoch, rest = "0", version
        upstream, dash, revision = rest.rpartition("-")
        return (int(epoch), upstream, revision) if dash else (int(epoch), rest, "")

    def order(sign: str) -> int:
        if sign == "~":
            return -1
        return ord(sign) if sign.isalpha() else ord(sign) + 256

    def part(x: str, y: str) -> int:
        while x or y:
            while (x and not x[0].isdigit()) or (y and not y[0].isdigit()):
                left = order(x[0]) if x and not x[0].isdigit() else 0
                right = order(y[0]) if y and not y[0].isdigit() else 0
                if left != right:
                    return -1 if left < right else 1
                x, y = x[1:], y[1:]
            digits = [("".join(itertools.takewhile(str.isdigit, text))) for text in (x, y)]
            x, y = x[len(digits[0]) :], y[len(digits[1]) :]
            left, right = (int(d or "0") for d in digits)
            if left != right:
                return -1 if left < right else 1
        return 0

    (ea, ua, ra), (eb, ub, rb) = split(a), split(b)
    return (ea > eb) - (ea < eb) or part(ua, ub) or part(ra, rb)


@given(versions, versions)
@settings(max_examples=500, deadline=None)
def test_bytes_order_is_the_order_of_the_manual(a: str, b: str) -> None:
    left, right = deb_key(a), deb_key(b)
    assert (left > right) - (left < right) == compare(a, b)


@given(versions, versions, st.text("0123456789a.+~", max_size=5))
@settings(max_examples=300, deadline=None)
def test_no_key_begins_another_so_keys_can_be_joined(a: str, b: str, tail: str) -> None:
    left, right = deb_key(a), deb_key(b)
    if left != right:
        assert not left.startswith(right)
        assert (left + b"\xff" < right + b"\x00") == (left < right)


def chains() -> dict[str, list[str]]:
    loaded: dict[str, list[str]] = json.loads(
        zstandard.ZstdDecompressor().decompressobj().decompress(CHAINS.read_bytes())
    )
    return loaded


def test_real_version_histories_keep_their_order() -> None:
    pairs = [pair for chain in chains().values() for pair in itertools.pairwise(chain)]
    assert len(pairs) > 31_000
    assert [(a, b) for a, b in pairs if deb_key(a) > deb_key(b)] == []


def test_dpkg_itself_agrees_on_real_pairs() -> None:
    """Pairs far apart, near, of one source and of two, compared by libapt in the system's own Python."""
    has_apt = subprocess.run([SYSTEM_PYTHON, "-c", "import apt_pkg"], capture_output=True, check=False).returncode == 0
    require(has_apt, "python3-apt, the oracle of Debian's version order")
    chooser = random.Random(20261122)
    everything = [version for chain in chains().values() for version in chain]
    chosen = [
        pair for chain in chains().values() if len(chain) > 2 for pair in (chooser.sample(chain, 2) for _ in range(12))
    ]
    chosen += [chooser.sample(everything, 2) for _ in range(8000)]
    program = (
        "import apt_pkg, json, sys; apt_pkg.init(); "
        "print(json.dumps([apt_pkg.version_compare(a, b) for a, b in json.load(sys.stdin)]))"
    )
    answer = subprocess.run(
        [SYSTEM_PYTHON, "-c", program], input=json.dumps(chosen), capture_output=True, check=True, text=True
    )
    wrong = [
        (a, b)
        for (a, b), theirs in zip(chosen, json.loads(answer.stdout), strict=True)
        if (deb_key(a) > deb_key(b)) - (deb_key(a) < deb_key(b)) != (theirs > 0) - (theirs < 0)
    ]
    assert len(chosen) > 12_000
    assert wrong == []
