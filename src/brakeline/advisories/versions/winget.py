"""Versions of Windows packages as `winget` orders them, as keys.

Parts between dots are a number and whatever follows it; numbers first, then a part with nothing after its number comes
after one with something (`1.0` after `1.0-beta`), without case. Missing parts are 0. `unknown` is before everything,
`latest` after it; `< 1.0` is just before and `> 1.0` just after 1.0 (an installer that tells no more).

The key must say "nothing but zeros from here on" and still sort: each part begins with whether it lies before, at or
after 0, and one at 0 with which way the next that is not at 0 goes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from brakeline.advisories.versions.parts import bounded, number, text
from brakeline.core.debversion import BadVersion

_PART: Final = re.compile(r"([0-9]*)(.*)", re.DOTALL)
_BEFORE, _ZERO_DOWN, _END, _ZERO_UP, _AFTER = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"
_NOTHING_AFTER, _SOMETHING_AFTER = b"\x02", b"\x01"
_APPROXIMATE: Final = {"<": b"\x01", "": b"\x02", ">": b"\x03"}
_UNKNOWN, _KNOWN, _LATEST = b"\x01", b"\x02", b"\x03"


@lru_cache(maxsize=65536)
def winget_key(version: str) -> bytes:
    """The key of a version as winget's sources and Windows' registry write it."""
    bare = bounded(version).strip().lower()
    sign = bare[:1] if bare[:1] in ("<", ">") else ""
    bare = bare.removeprefix(sign).strip()
    if not bare or "\x00" in bare:
        raise BadVersion("there is nothing in it that could be compared", version=version[:80])
    if bare in ("unknown", "latest"):
        rank = _UNKNOWN if bare == "unknown" else _LATEST
        return rank + _APPROXIMATE[sign]
    return _KNOWN + _parts(bare.split(".")) + _APPROXIMATE[sign]


def _parts(texts: list[str]) -> bytes:
    out, ahead = [_END], _END  # from the last to the first: what comes next is known
    for part in reversed(texts):
        found = _PART.fullmatch(part.strip())
        assert found is not None
        digits, rest = found[1].lstrip("0"), found[2].strip()
        if not digits and not rest:
            if ahead == _END:
                continue  # zeros at the end do not count
            out.append(_ZERO_DOWN if ahead in (_BEFORE, _ZERO_DOWN) else _ZERO_UP)
        else:
            sign = _BEFORE if not digits else _AFTER
            out.append(sign + number(digits) + (_SOMETHING_AFTER + text(rest) if rest else _NOTHING_AFTER))
        ahead = out[-1][:1]
    return b"".join(reversed(out))
