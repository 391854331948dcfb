"""The orders of versions in ecosystems beside deb and rpm (`core.debversion`, `core.rpmversion`), as keys of bytes.

`bytes` order of two keys is the order of the two versions, so keys can be stored, indexed, sorted and bisected as those
of Debian are; equal keys mean versions that the ecosystem calls equal. What is no version there raises `BadVersion`.
Maven is the exception: its order is not always transitive, so there can be no key, and `maven` compares.
Not here, because there are no vectors to test them by: apk, Arch. No feed of these ecosystems is read yet; `KEYS` is
what such a feed's rows will be keyed by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from brakeline.advisories.versions.pep440 import pep440_key
from brakeline.advisories.versions.semver import go_key, nuget_key, semver_key
from brakeline.advisories.versions.winget import winget_key
from brakeline.core.debversion import deb_key
from brakeline.core.rpmversion import rpm_key

KEYS: Final[Mapping[str, Callable[[str], bytes]]] = MappingProxyType({
    "deb": deb_key, "rpm": rpm_key, "npm": semver_key, "golang": go_key, "nuget": nuget_key, "pypi": pep440_key,
    "winget": winget_key,
})  # fmt: skip
