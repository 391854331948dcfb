"""Ecosystems by name: what feeds and systems call them, the one name that rows and units carry, whose order they have.

Feeds write `AlmaLinux:9`, `Alpine:v3.19`, `Ubuntu:22.04:LTS`, `Go`; an endpoint says `almalinux:9.4`, `alpine:3.19.1`.
All are brought to one name, because a match of names that differ by a letter finds nothing and looks like calm. This is
the only table of them: a row of it is all that a new ecosystem needs, apart from an order. Red Hat's relatives speak by
major release. Orders beside deb's and rpm's are imported when first asked for: one run of `exposure assess` is over
sooner than they are read. Pure. Next: `advisories.osv.documents`, `exposure.units`, `exposure.match`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cmp_to_key, lru_cache, partial
from typing import Any, Final, NamedTuple

from brakeline.core.debversion import deb_key


class Ecosystem(NamedTuple):
    """One row. `releases`: how much of a release makes a difference: major, minor, all of it, none."""

    name: str  # of rows and units; an endpoint's own, where it is a system
    order: str  # "" = none is known here: only lists of versions can answer
    shown: str  # as OSV writes it
    releases: str = "none"
    also: tuple[str, ...] = ()  # other names, in small letters, words joined by "-"


SYSTEMS: Final = frozenset(("deb", "rpm", "apk", "alpm"))  # orders of system packages: they have releases and vendors
UNSORTED: Final = frozenset(("alpm", "maven"))  # orders that are not always transitive: nothing may be bisected
TABLE: Final = (
    Ecosystem("debian", "deb", "Debian", "all"),
    Ecosystem("ubuntu", "deb", "Ubuntu", "minor"),
    Ecosystem("raspbian", "deb", "Raspbian", "all"),
    Ecosystem("almalinux", "rpm", "AlmaLinux", "major"),
    Ecosystem("rocky", "rpm", "Rocky Linux", "major", ("rocky-linux", "rockylinux")),
    Ecosystem("rhel", "rpm", "Red Hat", "major", ("red-hat", "redhat")),
    Ecosystem("centos", "rpm", "CentOS", "major"),
    Ecosystem("ol", "rpm", "Oracle Linux", "major", ("oracle-linux",)),
    Ecosystem("fedora", "rpm", "Fedora", "all"),
    Ecosystem("opensuse-leap", "rpm", "openSUSE:Leap", "all"),
    Ecosystem("opensuse-tumbleweed", "rpm", "openSUSE:Tumbleweed"),
    Ecosystem("opensuse", "rpm", "openSUSE", "all"),
    Ecosystem("sles", "rpm", "SUSE", "all"),
    Ecosystem("suse", "rpm", "SUSE", "all"),
    Ecosystem("mageia", "rpm", "Mageia", "all"),
    Ecosystem("openeuler", "rpm", "openEuler", "all"),
    Ecosystem("alpine", "apk", "Alpine", "minor"),
    Ecosystem("wolfi", "apk", "Wolfi"),
    Ecosystem("chainguard", "apk", "Chainguard"),
    Ecosystem("arch", "alpm", "Arch Linux", "none", ("arch-linux", "archlinux")),
    Ecosystem("pypi", "pypi", "PyPI", "none", ("pip",)),
    Ecosystem("npm", "npm", "npm"),
    Ecosystem("crates.io", "semver", "crates.io", "none", ("cargo",)),
    Ecosystem("golang", "golang", "Go", "none", ("go",)),
    Ecosystem("maven", "maven", "Maven"),
    Ecosystem("nuget", "nuget", "NuGet"),
    Ecosystem("winget", "winget", "winget"),
    Ecosystem("microsoft", "winget", "Microsoft", "all"),
    Ecosystem("macos", "winget", "macOS", "major"),
    Ecosystem("hex", "semver", "Hex"),
    Ecosystem("pub", "semver", "Pub"),
    Ecosystem("swifturl", "semver", "SwiftURL"),
    Ecosystem("rubygems", "rubygems", "RubyGems", "none", ("gem",)),
    Ecosystem("packagist", "", "Packagist", "none", ("composer",)),
)
_BY_NAME: Final = {row.name: row for row in TABLE}
_NAMES: Final = {name: row.name for row in TABLE for name in (row.name, *row.also)}
_MEMBERS: Final = {"opensuse": ("opensuse-leap", "opensuse-tumbleweed"), "suse": ("sles",)}  # of a feed's one name
_NAMED_BOTH_WAYS: Final = frozenset(("rhel", "sles", "opensuse-leap", "opensuse-tumbleweed"))
_BINARY_NAMED: Final = frozenset(("almalinux", "sles", "opensuse-leap", "opensuse-tumbleweed"))
# Forms as text: most runs never ask.
_NUMBER: Final = r"[0-9]+"
_TWO_NUMBERS: Final = r"[0-9]+\.[0-9]+"
_RED_HAT: Final = r"(?:enterprise_linux|rhel_[a-z0-9_]+):([0-9]+)"  # others are other products
_SUSE: Final = r"linux enterprise (?:server|desktop|module for .+) ([0-9]+)(?: sp([0-9]+))?"
_SEPARATORS: Final = r"[-_.]+"
_NAME: Final = r"[A-Za-z][A-Za-z0-9 .+-]{0,39}"
_RELEASE: Final = r"[A-Za-z0-9][A-Za-z0-9 .:+_-]{0,99}"

Key = Callable[[str], Any]


@lru_cache(maxsize=4096)
def canonical(ecosystem: str) -> str:
    """The one name of `ecosystem[:release]`; what is not known keeps its name, in small letters."""
    head, _, release = ecosystem.strip().casefold().partition(":")
    head = _NAMES.get(head.replace(" ", "-"), head.replace(" ", "-"))
    if head == "opensuse" and release:
        kind, _, release = release.replace("-", " ", 1).partition(" ")
        head = f"opensuse-{kind}"
    if head == "suse" and (found := re.fullmatch(_SUSE, release)):
        head, release = "sles", f"{found[1]}.{found[2]}" if found[2] else found[1]
    row = _BY_NAME.get(head)
    release = _release(row, release) if row else release
    return f"{head}:{release}" if release else head


def _release(row: Ecosystem, release: str) -> str:
    if row.releases == "none":
        return ""
    if row.name == "rhel" and ":" in release:
        product = re.match(_RED_HAT, release)
        return product[1] if product else release
    form = {"major": _NUMBER, "minor": _TWO_NUMBERS}.get(row.releases)
    found = re.search(form, release) if form and not release.startswith("pro") else None
    return found[0] if found else release


def ecosystem_of(text: str) -> str:
    """`canonical` of what a feed or a question writes. Raises `ValueError` for what is no name at all."""
    base, colon, release = text.partition(":")
    if not re.fullmatch(_NAME, base) or (colon and not re.fullmatch(_RELEASE, release)):
        raise ValueError(f"no ecosystem: {text[:60]!r}")
    return canonical(text)


def base_of(ecosystem: str) -> str:
    """Without the release."""
    return ecosystem.partition(":")[0]


def belongs(ecosystem: str, base: str) -> bool:
    """Whether a feed of `base` ("suse") may speak of `ecosystem` ("sles:15.5"); both canonical."""
    head = base_of(ecosystem)
    return head == base or head in _MEMBERS.get(base, ())


def names_binaries(ecosystem: str) -> bool:
    """Whether the advisories of `ecosystem[:release]` name binary packages and their versions, not their sources."""
    return base_of(ecosystem) in _BINARY_NAMED


def names_both(ecosystem: str) -> bool:
    """Whether they name sources in one place and binary packages in another: SUSE's fixes are of packages and its open
    flaws of sources, Red Hat's documents name sources and its OVAL packages."""
    return base_of(ecosystem) in _NAMED_BOTH_WAYS


def shown(ecosystem: str) -> str:
    """As OSV writes it, as far as that is known."""
    base, _, release = ecosystem.partition(":")
    row = _BY_NAME.get(base)
    if row is None or not release:
        return row.shown if row else ecosystem
    between = " " if ":" in row.shown else ":v" if base == "alpine" and release[0].isdigit() else ":"
    return row.shown + between + release


@lru_cache(maxsize=4096)
def order_of(ecosystem: str) -> str:
    """The name of the order that versions of `ecosystem[:release]` have; "" = none is known."""
    row = _BY_NAME.get(base_of(canonical(ecosystem)))
    return row.order if row else ""


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


def compare_of(ecosystem: str) -> Callable[[str, str], int] | None:
    """Which of two versions is newer; None where that is not known here. It raises `BadVersion`."""
    from brakeline.advisories.versions import ORDERS

    return ORDERS.get(order_of(ecosystem))


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
