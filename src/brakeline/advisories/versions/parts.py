"""What the keys are made of: numbers and texts as bytes that sort as they should, and none begins another."""

from __future__ import annotations

from brakeline.core.debversion import DIGITS_MAX, BadVersion

VERSION_CHARS_MAX = 512


def number(digits: str) -> bytes:
    """A run of digits: its length, then the digits, without leading zeros."""
    bare = digits.lstrip("0")
    if len(bare) > DIGITS_MAX:
        raise BadVersion(f"a run of more than {DIGITS_MAX} digits", version=digits[:80])
    return bytes((len(bare),)) + bare.encode("ascii")


def text(letters: str) -> bytes:
    """A text without NUL, closed by one: a shorter one comes before a longer one that it begins."""
    return letters.encode() + b"\x00"


def bounded(version: str) -> str:
    """`version`, if it is one at all by its length."""
    if not 0 < len(version) <= VERSION_CHARS_MAX:
        raise BadVersion(f"a version has 1 to {VERSION_CHARS_MAX} characters", version=version[:80])
    if not version.isascii() and any("\ud800" <= char <= "\udfff" for char in version):
        raise BadVersion("this is no valid text", version=ascii(version)[:80])
    return version
