"""Versions of Ruby gems as `Gem::Version` orders them, as keys.

Rule: numbers and words in turn, a hyphen is ".pre."; zeros at the end, and those before the first word, do not count; a
word is older than any number, and what is missing is 0 (so 1.0.rc1 is before 1.0). The key must say "nothing but zeros
from here on" and still sort, as winget's: a zero is followed by which way the next that is none goes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from brakeline.advisories.versions.parts import bounded, number, text
from brakeline.core.debversion import BadVersion

_FORM: Final = re.compile(r"[0-9]+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?")
_SEGMENT: Final = re.compile(r"[0-9]+|[A-Za-z]+")
_WORD, _ZERO_DOWN, _END, _ZERO_UP, _NUMBER = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"


@lru_cache(maxsize=65536)
def gem_key(version: str) -> bytes:
    """The key of a gem's version. Raises `BadVersion`."""
    if not _FORM.fullmatch(bounded(version)):
        raise BadVersion("expected numbers and words with dots, the first a number", version=version[:80])
    segments = _SEGMENT.findall(version.replace("-", ".pre."))
    first = next((i for i, segment in enumerate(segments) if not segment[0].isdigit()), len(segments))
    counting = [*_bare(segments[:first]), *_bare(segments[first:])]
    out, ahead = [_END], _END  # from the last to the first: what comes next is known
    for segment in reversed(counting):
        if not segment[0].isdigit():
            out.append(_WORD + text(segment))
        elif segment.strip("0"):
            out.append(_NUMBER + number(segment))
        else:
            out.append(_ZERO_DOWN if ahead in (_WORD, _ZERO_DOWN) else _ZERO_UP)
        ahead = out[-1][:1]
    return b"".join(reversed(out))


def _bare(segments: list[str]) -> list[str]:
    """Without the zeros at the end."""
    while segments and not segments[-1].strip("0"):
        segments = segments[:-1]
    return segments
