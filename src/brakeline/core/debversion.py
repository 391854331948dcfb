"""Order-preserving keys of Debian versions: `bytes` order of the keys is dpkg's order of the versions.

Invariants: pure; equal keys mean versions that dpkg calls equal ("1.0" and "1.0-0"); a key can be stored, indexed,
bisected and compared anywhere that compares bytes (Python, PostgreSQL bytea), so no comparison function travels.
Rule: Debian Policy 5.6.12 and deb-version(7); the form of the key is told at `_chunk`. See `core.rpmversion` for rpm.
"""

from __future__ import annotations

import re
from functools import lru_cache

from brakeline.core.errors import Invalid

EPOCH_MAX = 2**31 - 1  # dpkg keeps it in an int
DIGITS_MAX = 255  # one byte holds the length of a digit run
END = b"\x02"  # sorts after "~" and before everything else

_CHUNKS = re.compile(r"[^0-9]+[0-9]*|[0-9]+")
_LEGAL = re.compile(r"[0-9A-Za-z.+~:-]+")
_RANK = {chr(code): code for code in (*range(65, 91), *range(97, 123))}  # letters keep their order …
_RANK |= {sign: 128 + ord(sign) for sign in ".+-:"}  # … and other signs sort after all letters
_RANK["~"] = 1  # before everything, even the end


class BadVersion(Invalid):
    """This is no version that the package manager would accept."""

    code = "bad-version"


@lru_cache(maxsize=65536)
def deb_key(version: str) -> bytes:
    """The key of a full version `[epoch:]upstream[-revision]`; `BadVersion` says what is wrong with it."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    if not (epoch.isascii() and epoch.isdigit() and int(epoch[:12]) <= EPOCH_MAX and len(epoch) <= 12):
        raise BadVersion("the epoch is a number below 2147483648", version=version[:80])
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    if not upstream or not _LEGAL.fullmatch(rest) or (dash and not revision) or ":" in revision:
        raise BadVersion("expected [epoch:]upstream[-revision] of letters, digits and .+-:~", version=version[:80])
    return int(epoch).to_bytes(4, "big") + _part(upstream) + _part(revision)


def _part(text: str) -> bytes:
    """Signs and numbers in turn, as dpkg walks them; a last END closes the part, so no key begins another one."""
    return b"".join(map(_chunk, _CHUNKS.findall(text) or ("",))) + END


@lru_cache(maxsize=16384)
def _chunk(text: str) -> bytes:
    """A run of signs (maybe empty), END, then the number after it: its length and its digits without leading zeros."""
    signs = text.rstrip("0123456789")
    number = text[len(signs) :].lstrip("0")
    if len(number) > DIGITS_MAX:
        raise BadVersion(f"a run of more than {DIGITS_MAX} digits", version=text[:80])
    return bytes(_RANK[sign] for sign in signs) + END + bytes((len(number),)) + number.encode()
