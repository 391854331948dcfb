"""Ecosystems by name: what feeds and systems call them, the one name that rows and units carry, whose order they have.

Feeds write `AlmaLinux:9`, `Alpine:v3.19`, `Ubuntu:22.04:LTS`, `Go`; an endpoint says `almalinux:9.4`, `alpine:3.19.1`.
Both are brought to one name, because a match of names that differ by a letter finds nothing and looks like calm.
Red Hat's relatives speak by major release. Orders beside deb's and rpm's are imported when first asked for: one run of
`exposure assess` is over sooner than they are read. Pure. Next: `exposure.units`, `exposure.match`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cmp_to_key, lru_cache, partial
from typing import Any, Final

from brakeline.core.debversion import deb_key

SYSTEMS: Final = frozenset(("deb", "rpm", "apk", "alpm"))  # orders of system packages: they have releases and vendors
UNSORTED: Final = frozenset(("alpm", "maven"))  # orders that are not always transitive: nothing may be bisected
_ORDERS: Final = {
    "deb": ("debian", "ubuntu", "raspbian"),
    "rpm": ("almalinux", "rocky", "rhel", "centos", "ol", "fedora", "opensuse-leap", "opensuse-tumbleweed", "opensuse",
            "sles", "suse"),
    "apk": ("alpine", "wolfi", "chainguard"),
    "alpm": ("arch",),
    "pypi": ("pypi",), "npm": ("npm", "crates.io"), "golang": ("golang",), "maven": ("maven",), "nuget": ("nuget",),
    "winget": ("winget",),
}  # fmt: skip
_ORDER_OF: Final = {name: order for order, names in _ORDERS.items() for name in names}
_ALIASES: Final = {
    "rocky linux": "rocky", "rockylinux": "rocky", "red hat": "rhel", "redhat": "rhel", "oracle linux": "ol",
    "arch linux": "arch", "archlinux": "arch", "go": "golang", "cargo": "crates.io", "pip": "pypi",
}  # fmt: skip
_BY_MAJOR: Final = frozenset(("almalinux", "rocky", "rhel", "centos", "ol"))
_ROLLING: Final = frozenset(("arch", "wolfi", "chainguard", "opensuse-tumbleweed"))
_NUMBER: Final = r"[0-9]+"  # as text: most runs never ask
_TWO_NUMBERS: Final = r"[0-9]+\.[0-9]+"
_SEPARATORS: Final = r"[-_.]+"

Key = Callable[[str], Any]


@lru_cache(maxsize=4096)
def canonical(ecosystem: str) -> str:
    """The one name of `ecosystem[:release]`; what is not known keeps its name, in small letters."""
    head, _, release = ecosystem.strip().casefold().partition(":")
    if head == "opensuse" and release:
        kind, _, release = release.partition(" ")
        head = f"opensuse-{kind}"
    head = _ALIASES.get(head, head)
    release = release if _ORDER_OF.get(head, "deb") in SYSTEMS and head not in _ROLLING else ""
    release = _release(head, release)
    return f"{head}:{release}" if release else head


def _release(head: str, release: str) -> str:
    form = _NUMBER if head in _BY_MAJOR else _TWO_NUMBERS if head in ("alpine", "ubuntu") else None
    if form is None or release.startswith("pro"):
        return release
    found = re.search(form, release)
    return found[0] if found else release


@lru_cache(maxsize=4096)
def order_of(ecosystem: str) -> str:
    """The name of the order that versions of `ecosystem[:release]` have; "" = none is known."""
    return _ORDER_OF.get(canonical(ecosystem).partition(":")[0], "")


@lru_cache(maxsize=4096)
def key_of(ecosystem: str) -> Key | None:
    """What makes a version of `ecosystem[:release]` comparable with `<`; None = its order is not known.

    The maker raises `BadVersion`. For `UNSORTED` orders what it makes can be compared by pairs, not sorted or stored.
    """
    order = order_of(ecosystem)
    if order in ("", "deb"):
        return deb_key if order else None
    from brakeline.advisories.versions import KEYS, ORDERS

    return KEYS[order] if order in KEYS else partial(_compared, ORDERS[order])


def _compared(order: Callable[[str, str], int], version: str) -> Any:
    order(version, version)  # BadVersion now and not in the middle of a comparison
    return cmp_to_key(order)(version)


def stored_key(ecosystem: str, version: str) -> bytes | None:
    """The key of a version as a table keeps it; None where there is none. Raises `BadVersion`."""
    key = key_of(ecosystem)
    made = key(version) if key is not None and version else None
    return made if isinstance(made, bytes) else None


def name_of(ecosystem: str, name: str) -> str:
    """The one spelling of a package's name: PyPI and NuGet do not tell `Foo.Bar` from `foo-bar`, or from `foo.bar`."""
    if ecosystem == "pypi":
        return re.sub(_SEPARATORS, "-", name).lower()
    return name.lower() if ecosystem in ("nuget", "winget") else name
