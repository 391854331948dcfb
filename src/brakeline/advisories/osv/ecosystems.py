"""Names of ecosystems and the orders of their versions: the one place where a row's text meets an order. Pure.

Invariants: names are OSV's in small letters, words joined by "-"; where a release belongs to the name it follows a
colon; distributions whose advisories speak of whole major releases lose what follows ("AlmaLinux:9.8" is asked and
"almalinux:9" answers). An ecosystem without an order here is still read: its lists of versions answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cmp_to_key
from types import MappingProxyType
from typing import Any, Final

from brakeline.advisories.versions import ORDERS

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9 .+-]{0,39}")
RELEASE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .:+-]{0,59}")
MAJOR_ONLY: Final = frozenset(("almalinux", "rocky-linux"))
ORDER: Final[Mapping[str, str]] = MappingProxyType({
    "almalinux": "rpm", "rocky-linux": "rpm", "red-hat": "rpm", "suse": "rpm", "sles": "rpm", "opensuse": "rpm",
    "opensuse-leap": "rpm", "opensuse-tumbleweed": "rpm", "rhel": "rpm", "arch": "alpm", "microsoft": "winget",
    "macos": "winget", "mageia": "rpm", "openeuler": "rpm", "debian": "deb", "ubuntu": "deb",
    "alpine": "apk", "wolfi": "apk", "chainguard": "apk",
    "pypi": "pypi", "go": "golang", "crates.io": "semver", "npm": "npm", "maven": "maven", "nuget": "nuget",
    "hex": "semver", "pub": "semver", "swifturl": "semver",
})  # fmt: skip
SHOWN: Final[Mapping[str, str]] = MappingProxyType({
    "pypi": "PyPI", "go": "Go", "almalinux": "AlmaLinux", "rocky-linux": "Rocky Linux", "red-hat": "Red Hat",
    "debian": "Debian", "ubuntu": "Ubuntu", "alpine": "Alpine", "suse": "SUSE", "opensuse": "openSUSE",
    "maven": "Maven", "nuget": "NuGet", "rubygems": "RubyGems", "packagist": "Packagist", "hex": "Hex", "pub": "Pub",
    "swifturl": "SwiftURL", "wolfi": "Wolfi", "chainguard": "Chainguard", "mageia": "Mageia",
    "openeuler": "openEuler",
})  # fmt: skip
MEMBERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({  # of a feed's one name
    "opensuse": ("opensuse-leap", "opensuse-tumbleweed"), "suse": ("sles",),
})  # fmt: skip
_PYPI_SIGNS: Final = re.compile(r"[-_.]+")


def ecosystem_of(text: str) -> str:
    """A name as OSV writes it ("AlmaLinux:9") as rows have it ("almalinux:9"). Raises `ValueError`."""
    base, colon, release = text.partition(":")
    if not NAME.fullmatch(base) or (colon and not RELEASE.fullmatch(release)):
        raise ValueError(f"no ecosystem: {text[:60]!r}")
    base = base.lower().replace(" ", "-")
    if base in MAJOR_ONLY:
        release = release.partition(".")[0]
    return f"{base}:{release.lower()}" if release else base


def base_of(ecosystem: str) -> str:
    """Without the release."""
    return ecosystem.partition(":")[0]


def belongs(ecosystem: str, base: str) -> bool:
    """Whether a feed of `base` ("suse") may speak of `ecosystem` ("sles:15.5")."""
    head = base_of(ecosystem)
    return head == base or head in MEMBERS.get(base, ())


def shown(ecosystem: str) -> str:
    """As OSV writes it, as far as that is known."""
    base, colon, release = ecosystem.partition(":")
    return SHOWN.get(base, base) + colon + release


def name_of(ecosystem: str, name: str) -> str:
    """The name that rows have: Python's names have one spelling (PEP 503), all others are as they are."""
    return _PYPI_SIGNS.sub("-", name).lower() if base_of(ecosystem) == "pypi" else name


def order_of(ecosystem: str) -> Callable[[str, str], int] | None:
    """Which of two versions is newer; None where that is not known here. It raises `BadVersion`."""
    return ORDERS.get(ORDER.get(base_of(ecosystem), ""))


def sorter(ecosystem: str) -> Callable[[str], Any] | None:
    """A key for `sorted`, in the order of the ecosystem."""
    order = order_of(ecosystem)
    return cmp_to_key(order) if order else None
