"""Versions of Alpine packages as apk 3 orders them, as keys.

Rule: apk-tools, `src/version.c`: numbers with dots, a letter, suffixes with a number, a commit, `-r` and a revision. A
part with a leading zero is compared as text, except the first one. Where one version ends and the other goes on, the
longer is newer, unless it goes on with a suffix of what comes before a release (`_alpha`, `_beta`, `_pre`, `_rc`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from brakeline.advisories.versions.parts import bounded, number, text
from brakeline.core.debversion import BadVersion

_BEFORE: Final = ("alpha", "beta", "pre", "rc")
_AFTER: Final = ("cvs", "svn", "git", "hg", "p")
_FORM: Final = re.compile(
    r"(?P<first>[0-9]+)(?P<more>(?:\.[0-9]+)*)(?P<letter>[a-z]?)"
    rf"(?P<suffixes>(?:_(?:{'|'.join((*_BEFORE, *_AFTER))})[0-9]*)*)"
    r"(?:~(?P<commit>[0-9a-f]+))?(?:-r(?P<revision>[0-9]+))?"
)
_SUFFIX: Final = re.compile(r"_([a-z]+)([0-9]*)")
# What may come next, in its order: a version that ends is between what comes before a release and all the rest.
_PRE, _END, _REVISION, _COMMIT, _COUNT, _POST, _LETTER, _PART = (bytes((rank,)) for rank in range(1, 9))
_AS_TEXT, _AS_NUMBER = b"\x01", b"\x02"


@lru_cache(maxsize=65536)
def apk_key(version: str) -> bytes:
    """The key of a version as APKINDEX and secdb write it."""
    found = _FORM.fullmatch(bounded(version))
    if found is None:
        raise BadVersion("expected 1.2.3, then a letter, _suffixes, ~commit and -r with a number", version=version[:80])
    out = [number(found["first"]), *map(_part, found["more"].split(".")[1:])]
    if found["letter"]:
        out.append(_LETTER + found["letter"].encode())
    out += [_suffix(word, count) for word, count in _SUFFIX.findall(found["suffixes"])]
    if found["commit"]:
        out.append(_COMMIT + text(found["commit"]))
    if found["revision"]:
        out.append(_REVISION + number(found["revision"]))
    return b"".join(out) + _END


def _part(digits: str) -> bytes:
    return _PART + (_AS_TEXT + text(digits) if digits[0] == "0" else _AS_NUMBER + number(digits))


def _suffix(word: str, count: str) -> bytes:
    rank = _PRE + bytes((_BEFORE.index(word),)) if word in _BEFORE else _POST + bytes((_AFTER.index(word),))
    return rank + (_COUNT + number(count) if count else b"")
