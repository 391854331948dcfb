"""Order-preserving keys of rpm versions: `bytes` order of the keys is the order of rpmvercmp, epoch first.

Invariants: pure; equal keys mean versions that rpm calls equal ("2.0" and "2_0"). An epoch that is not written is 0.
Rule: rpm-version(7); `~` sorts before the end of a version, `^` after it, letters before numbers.
See `core.debversion` for Debian's.
"""

from __future__ import annotations

import re
from functools import lru_cache

from brakeline.core.debversion import DIGITS_MAX, EPOCH_MAX, BadVersion

_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")  # everything else only separates
_TILDE, _END, _CARET, _ALPHA, _NUMBER = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"


@lru_cache(maxsize=65536)
def rpm_key(evr: str) -> bytes:
    """The key of `[epoch:]version[-release]`; `BadVersion` says what is wrong with it."""
    epoch, colon, rest = evr.partition(":")
    if not colon:
        epoch, rest = "0", evr
    if not (epoch.isascii() and epoch.isdigit() and len(epoch) <= 12 and int(epoch) <= EPOCH_MAX):
        raise BadVersion("the epoch is a number below 2147483648", version=evr[:80])
    version, dash, release = rest.rpartition("-")
    if not dash:
        version, release = rest, ""
    if not version or not evr.isascii() or not evr.isprintable() or " " in evr:
        raise BadVersion("expected [epoch:]version[-release] in printable ASCII", version=evr[:80])
    return int(epoch).to_bytes(4, "big") + segments_key(version) + segments_key(release)


def segments_key(text: str) -> bytes:
    """The key of one version or release, as rpmvercmp walks it; ends with END, so none is the beginning of another."""
    out = bytearray()
    for segment in _SEGMENT.findall(text):
        if segment == "~":
            out += _TILDE
        elif segment == "^":
            out += _CARET
        elif segment[0].isdigit():
            number = segment.lstrip("0")
            if len(number) > DIGITS_MAX:
                raise BadVersion(f"a run of more than {DIGITS_MAX} digits", version=text[:80])
            out += _NUMBER + bytes((len(number),)) + number.encode()
        else:
            out += _ALPHA + segment.encode() + b"\x00"
    return bytes(out) + _END
