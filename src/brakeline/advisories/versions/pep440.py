"""PEP 440 (Python packages) as keys; the library `packaging` reads the version, this puts what it read in order.

Order of what follows the release: development before pre-releases, those before the release, posts after it, each with
its own development versions before it; a local version after the one without.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from packaging.version import InvalidVersion, Version

from brakeline.advisories.versions.parts import bounded, number, text
from brakeline.core.debversion import BadVersion

_FIRST, _HERE, _LAST = b"\x01", b"\x02", b"\x03"  # before every value, a value, after every value
_PRE: Final = {"a": b"\x01", "b": b"\x02", "rc": b"\x03"}


@lru_cache(maxsize=65536)
def pep440_key(version: str) -> bytes:
    """The key of a Python version. Raises `BadVersion`."""
    try:
        v = Version(bounded(version))
    except (InvalidVersion, ValueError):
        raise BadVersion("this is no version by PEP 440", version=version[:80]) from None
    return number(str(v.epoch)) + _release(v.release) + _pre(v) + _post(v) + _dev(v) + _local(v.local)


def _release(release: tuple[int, ...]) -> bytes:
    """Zeros at the end do not count."""
    parts = list(release)
    while parts and parts[-1] == 0:
        parts.pop()
    return b"".join(_HERE + number(str(part)) for part in parts) + _FIRST


def _pre(v: Version) -> bytes:
    if v.pre is not None:
        return _HERE + _PRE[v.pre[0]] + number(str(v.pre[1]))
    return _FIRST if v.post is None and v.dev is not None else _LAST  # 1.0.dev1 is before 1.0a1


def _post(v: Version) -> bytes:
    return _FIRST if v.post is None else _HERE + number(str(v.post))


def _dev(v: Version) -> bytes:
    return _LAST if v.dev is None else _HERE + number(str(v.dev))


def _local(local: str | None) -> bytes:
    """Numbers after words, fewer parts before more."""
    if local is None:
        return _FIRST
    parts = local.split(".")
    return _HERE + b"".join(_LAST + number(p) if p.isdigit() else _HERE + text(p) for p in parts) + _FIRST
