"""Versions of Arch packages compared as pacman does it: `compare(a, b)` is below, at or above 0.

Rule: libalpm, `version.c`: epoch, version, then the package's release where both have one. Runs of digits and of
letters are compared in turn; more signs between them are newer; digits are newer than letters, and a remaining word is
older than nothing (1.0rc before 1.0). Because a release that is missing equals every release, the order is not
transitive for versions without one, so there is no key; packages always have it.
"""

from __future__ import annotations

import re
from typing import Final

from brakeline.advisories.versions.parts import bounded
from brakeline.core.debversion import BadVersion

_RUN: Final = re.compile(r"([^0-9A-Za-z]*)([0-9]+|[A-Za-z]+|$)")
_LEGAL: Final = re.compile(r"[!-~]+")


def compare(a: str, b: str) -> int:
    """Below 0 where `a` is older. Raises `BadVersion` for what is empty, too long or not printable ASCII."""
    (epoch_a, version_a, release_a), (epoch_b, version_b, release_b) = _split(a), _split(b)
    found = _compare(epoch_a, epoch_b) or _compare(version_a, version_b)
    return found or (0 if release_a is None or release_b is None else _compare(release_a, release_b))


def _split(full: str) -> tuple[str, str, str | None]:
    if not _LEGAL.fullmatch(bounded(full)):
        raise BadVersion("expected [epoch:]version[-release] in printable ASCII", version=full[:80])
    epoch, colon, rest = full.partition(":")
    if not colon or (epoch and not epoch.isdigit()):
        epoch, rest = "0", full
    version, dash, release = rest.rpartition("-")
    return (epoch or "0", version, release) if dash else (epoch or "0", rest, None)


def _compare(a: str, b: str) -> int:
    """One version or release, as rpmvercmp of pacman walks it."""
    at_a = at_b = 0
    while at_a < len(a) and at_b < len(b):
        (signs_a, run_a), (signs_b, run_b) = _next(a, at_a), _next(b, at_b)
        at_a, at_b = at_a + len(signs_a), at_b + len(signs_b)
        if not run_a or not run_b:
            break
        found = _sign(len(signs_a) - len(signs_b)) or _runs(run_a, run_b)
        if found:
            return found
        at_a, at_b = at_a + len(run_a), at_b + len(run_b)
    return _rest(a[at_a:], b[at_b:])


def _next(text: str, at: int) -> tuple[str, str]:
    found = _RUN.match(text, at)
    return (found[1], found[2]) if found else (text[at:], "")


def _runs(a: str, b: str) -> int:
    if a[0].isdigit() != b[0].isdigit():
        return 1 if a[0].isdigit() else -1
    if a[0].isdigit():
        a, b = a.lstrip("0"), b.lstrip("0")
        if len(a) != len(b):
            return _sign(len(a) - len(b))
    return (a > b) - (a < b)


def _rest(a: str, b: str) -> int:
    """What is left of the two: a word is older than nothing, everything else is newer."""
    if not a and not b:
        return 0
    older = (not a and not b[:1].isalpha()) or a[:1].isalpha()
    return -1 if older else 1


def _sign(n: int) -> int:
    return (n > 0) - (n < 0)
