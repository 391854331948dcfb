"""Which package manager is the system's own: what its os-release says, as far as the program is really there.

An endpoint may have the tools of several (rpm on Debian, dpkg on Fedora): its distribution decides, and files that
root alone writes say which that is. What cannot be driven is told with the reason, never taken for another manager and
never for an empty inventory. `choose` is pure; `here` reads three names and starts no program.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROGRAMS: Final = {
    "apt": "usr/bin/apt-get", "dnf": "usr/bin/dnf", "zypper": "usr/bin/zypper", "pacman": "usr/bin/pacman",
}  # fmt: skip
FAMILIES: Final = {
    "debian": "apt", "ubuntu": "apt",
    "fedora": "dnf", "rhel": "dnf", "centos": "dnf", "rocky": "dnf", "almalinux": "dnf", "ol": "dnf", "amzn": "dnf",
    "azurelinux": "dnf", "mariner": "dnf",
    "suse": "zypper", "opensuse": "zypper", "sles": "zypper", "sled": "zypper",
    "arch": "pacman", "archlinux": "pacman",
}  # fmt: skip
WINDOWS: Final = "windows"  # Windows Installer and the registry; Windows Update and winget are beside it
IMAGE_BOOTED: Final = "run/ostree-booted"  # the system is an image: a package manager does not change it in place


@dataclass(frozen=True, slots=True)
class Unknown:
    """This system's packages cannot be looked at, and why."""

    reason: str


def choose(release: Mapping[str, str], programs: Mapping[str, str], *, image: bool = False) -> str | Unknown:
    """The manager's name. `programs`: manager -> the name of the program behind it, for those that are there."""
    name = release.get("PRETTY_NAME") or release.get("ID") or "This system"
    if image:
        return Unknown(f"{name} is booted from an image, which no package manager changes in place: not assessed.")
    words = (release.get("ID", ""), *release.get("ID_LIKE", "").split())
    family = next((FAMILIES[w] for w in words if w in FAMILIES), "")
    if not family and len(programs) == 1:
        family = next(iter(programs))
    if not family:
        found = f"has several ({', '.join(sorted(programs))})" if programs else "has none that is known here"
        return Unknown(f"Which package manager is {name}'s own cannot be told: it {found}. Not assessed.")
    if family not in programs:
        return Unknown(f"{name} belongs to {family}, which is not there ({PROGRAMS[family]}): not assessed.")
    if family == "dnf" and programs[family] == "dnf5":
        return Unknown(f"{name} has dnf 5, and only dnf 4 can be driven: not assessed.")
    return family


def here(release: Mapping[str, str], root: Path = Path("/")) -> str | Unknown:
    """The system's manager at `root`, whose os-release(5) is `release`."""
    there = {m: os.path.basename(os.path.realpath(root / p)) for m, p in PROGRAMS.items() if (root / p).exists()}
    return choose(release, there, image=(root / IMAGE_BOOTED).exists())
