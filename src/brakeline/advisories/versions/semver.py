"""Semantic Versioning 2.0.0 and its two relatives, as keys: npm (`semver_key`), Go (`go_key`), NuGet (`nuget_key`).

Rule: semver.org, point 11. A pre-release comes before its release; its identifiers are compared one by one, numbers
before words, fewer before more; what is built (`+…`) does not count. Go writes `v1.2.3`, may leave out the patch level
(OSV leaves out the v, too). NuGet has up to four numbers and words without case.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from brakeline.advisories.versions.parts import bounded, number, text
from brakeline.core.debversion import BadVersion

_ID: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_TAIL: Final = rf"(?:-(?P<pre>{_ID}))?(?:\+{_ID})?"
_NPM: Final = re.compile(rf"[v=]?(?P<n>[0-9]+\.[0-9]+\.[0-9]+){_TAIL}")
_GO: Final = re.compile(rf"v?(?P<n>[0-9]+(?:\.[0-9]+(?:\.[0-9]+)?)?){_TAIL}")
_NUGET: Final = re.compile(rf"(?P<n>[0-9]+(?:\.[0-9]+){{0,3}}){_TAIL}")
_NUMBER, _WORD, _END, _RELEASE = b"\x02", b"\x03", b"\x01", b"\x04"


@lru_cache(maxsize=65536)
def semver_key(version: str) -> bytes:
    """The key of an npm version; words keep their case."""
    return _key(version, _NPM, 3)


@lru_cache(maxsize=65536)
def go_key(version: str) -> bytes:
    """The key of a Go module version."""
    return _key(version, _GO, 3)


@lru_cache(maxsize=65536)
def nuget_key(version: str) -> bytes:
    """The key of a NuGet version: four numbers, no case."""
    return _key(version.lower(), _NUGET, 4)


def _key(version: str, form: re.Pattern[str], width: int) -> bytes:
    found = form.fullmatch(bounded(version))
    if found is None:
        raise BadVersion("expected numbers with dots, then -pre-release and +build", version=version[:80])
    numbers = found["n"].split(".")
    numbers += ["0"] * (width - len(numbers))
    return b"".join(map(number, numbers)) + _pre(found["pre"])


def _pre(pre: str | None) -> bytes:
    if pre is None:
        return _RELEASE
    return b"".join(_NUMBER + number(i) if i.isdigit() else _WORD + text(i) for i in pre.split(".")) + _END
