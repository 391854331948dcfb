"""The orders of versions in ecosystems beside deb and rpm (`core.debversion`, `core.rpmversion`), as keys of bytes.

`bytes` order of two keys is the order of the two versions, so keys can be stored, indexed, sorted and bisected as those
of Debian are; equal keys mean versions that the ecosystem calls equal. What is no version there raises `BadVersion`.
Maven and Arch are exceptions: their orders are not always transitive, so there can be no key, and they `compare`.
`KEYS` is what rows of a feed are keyed by; `ORDERS` compares two versions of any ecosystem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from brakeline.advisories.versions import arch, maven
from brakeline.advisories.versions.alpine import apk_key
from brakeline.advisories.versions.pep440 import pep440_key
from brakeline.advisories.versions.rubygems import gem_key
from brakeline.advisories.versions.semver import go_key, nuget_key, semver_key
from brakeline.advisories.versions.winget import winget_key
from brakeline.core.debversion import deb_key
from brakeline.core.rpmversion import rpm_key

KEYS: Final[Mapping[str, Callable[[str], bytes]]] = MappingProxyType({
    "deb": deb_key, "rpm": rpm_key, "npm": semver_key, "golang": go_key, "nuget": nuget_key, "pypi": pep440_key,
    "winget": winget_key, "apk": apk_key, "rubygems": gem_key,
})  # fmt: skip


def _by_key(key: Callable[[str], bytes]) -> Callable[[str, str], int]:
    def compare(a: str, b: str) -> int:
        left, right = key(a), key(b)
        return (left > right) - (left < right)

    return compare


ORDERS: Final[Mapping[str, Callable[[str, str], int]]] = MappingProxyType({
    "deb": _by_key(deb_key), "rpm": _by_key(rpm_key), "apk": _by_key(apk_key), "alpm": arch.compare,
    "pypi": _by_key(pep440_key), "semver": _by_key(semver_key), "npm": _by_key(semver_key), "golang": _by_key(go_key),
    "maven": maven.compare, "nuget": _by_key(nuget_key), "winget": _by_key(winget_key),
    "rubygems": _by_key(gem_key),
})  # fmt: skip
