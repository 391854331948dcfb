"""The words of exposure: installed packages, match units, findings and the states that they can be in.

Invariants: plain frozen values, no I/O; named tuples for the reason told in `advisories.model`. `units` and `match`
decide with them, `service` stores counts of them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from brakeline.advisories.model import DEBIAN_12

if TYPE_CHECKING:
    from collections.abc import Sequence

UNREADABLE: Final = "unreadable"


class Unit(NamedTuple):
    """What advisories speak of: a source package in one version, in one release of one ecosystem."""

    ecosystem: str  # "debian:12"
    source: str
    version: str  # source version
    module: str = ""  # stream that it was built in, "nodejs:18"; "" = none
    found: bool = False  # only on the disk or in an image, where no update of the endpoint's managers reaches it


class Role(StrEnum):
    """What the vulnerable files do on this endpoint."""

    ACTIVE = "active"  # can run
    CARRIER = "carrier"  # headers, documents, a kernel that is not running: carries the version, does not run it


class FindingState(StrEnum):
    """Where a finding stands; a fleet has all of them at once, never one number."""

    FIXABLE = "fixable_now"  # the fix is among the endpoint's pending updates
    BLOCKED = "blocked"  # the fix is pending, but held, kept back, phased or at the price of a removal
    REBOOT = "reboot_due"  # the fix is installed; what runs is older
    NOT_OFFERED = "not_offered"  # a fix exists, the endpoint's repositories do not have it
    NO_FIX = "no_fix"  # the vendor has none yet
    DEFERRED = "deferred"  # the vendor has none and says that it will not come soon, or not at all (no-dsa, postponed)
    UNKNOWN = "unknown"  # whether a fix is offered is not known (no pending updates were reported)


class Installed(NamedTuple):
    """One installed package as a match needs it; see `protocol.messages.Package` for the fields."""

    package: str
    source: str
    source_version: str
    version: str
    architecture: str = ""
    state: str = "ii"
    origin: str = ""  # label of the repository that has this version; "" = none has it (superseded, or by hand)
    ecosystem: str = ""  # "" or deb, rpm, apk, alpm = the system's own; else the registry's, "pypi"
    module: str = ""  # rpm's MODULARITYLABEL
    owner: str = ""  # system package that these files belong to: egg-info inside a deb


class NotAssessed(NamedTuple):
    """This package was not judged, and why. `code` is stable, `reason` is a sentence for people."""

    package: str
    version: str
    code: str  # third_party | other_lineage | other_manager | owned | no_data | no_order | bad_version
    # | unmapped_source | running_kernel_unknown; of the whole system, which is `package` then: no_provider
    # | no_advisories | release_ended
    reason: str
    times: int = 1  # how often it lies there in this version: several copies of one file found on the disk


class Finding(NamedTuple):
    """One advisory that stands open on one installed package."""

    package: str
    source: str
    source_version: str  # as installed, in the version line of the source package: comparable with `fixed`
    cve: str
    fixed: str  # lowest source version with the fix; "" = none
    dist: str
    date: str
    installed: str  # what `fixed` is to be compared with: the installed source version
    version: str  # of the binary package, as the package manager shows it
    role: str = "active"  # a Role
    kev: bool = False
    ecosystem: str = DEBIAN_12  # whose order `installed` and `fixed` are to be compared in
    advisory: str = ""  # the vendor's own advisory, where it has one: "ALSA-2024:1234", "GHSA-…"
    found: bool = False  # only on the disk or in an image, where no update of the endpoint's managers reaches it


class Dismissed(NamedTuple):
    """A row that speaks of an installed package and makes no finding, so that silence is explained."""

    package: str
    source: str
    cve: str
    code: str  # not_affected | withdrawn | unreadable
    reason: str


DISMISSED_SHOWN: Final = 200  # a vendor's list of what a kernel is not affected by has thousands


def told(dismissed: Sequence[Dismissed]) -> tuple[tuple[Dismissed, ...], dict[str, int]]:
    """The first of them, those that nobody could read before the others, and how many there are of each code."""
    chosen = sorted(dismissed, key=lambda d: (d.code != UNREADABLE, d.code, d.package, d.cve))[:DISMISSED_SHOWN]
    return tuple(chosen), {code: sum(d.code == code for d in dismissed) for code in sorted({d.code for d in dismissed})}


class Assessment(NamedTuple):
    """The answer for one inventory. `findings` in order of (package, cve)."""

    findings: tuple[Finding, ...]
    not_assessed: tuple[NotAssessed, ...]
    packages: int  # installed ones that were looked at
    dismissed: tuple[Dismissed, ...] = ()

    @property
    def assessed(self) -> int:
        return self.packages - len(self.not_assessed)
