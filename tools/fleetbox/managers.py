"""Endpoints of another package manager: a layer over Debian's root in which the real dnf, zypper or pacman manages `/`.

*Real manager, synthetic distribution*: no archive of rpm or Arch packages can be had, so what such an endpoint has is
what a repository built here has, and nothing else: its os-release says so. The agent decides by that file which manager
is the system's, as on any endpoint; Debian's own packages below are then none of its business. Nothing in the product
knows of these endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tools.fleetbox.settings import LOCAL_REPOSITORY_HOST, PROXY_PORT, FleetError

APT: Final = "apt"
SOURCE: Final = f"http://{LOCAL_REPOSITORY_HOST}:{PROXY_PORT}"  # the gateway, by the name that /etc/hosts gives it
MIXED: Final = (APT, APT, APT, APT, "dnf", "dnf", "zypper", "pacman")  # `--mixed`, dealt in this order
RPM_DATABASE: Final = "/var/lib/rpm"  # where most distributions have it; Debian's rpm has root's home
# Debian's rpm wants to be told that it is meant to install packages here.
RPM_FILES: Final = {
    "etc/rpm/macros": f"%_dbpath {RPM_DATABASE}\n",
    "etc/popt": "rpm alias -U --upgrade --force-debian\nrpm alias -i --install --force-debian\n"
                "rpm alias -e --erase --force-debian\n",
}  # fmt: skip
YUM_SOURCE: Final = f"[fleet]\nname=fleet\nbaseurl={SOURCE}/rpm/\nenabled=1\ngpgcheck=0\n"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes such an endpoint: Debian's packages, files, and a line of shell that ends the work."""

    like: str
    packages: tuple[str, ...]
    files: Mapping[str, str]
    finish: str
    masked: tuple[str, ...] = ()


RECIPES: Final = {
    "dnf": Recipe(
        "fedora", ("dnf", "rpm"),
        {**RPM_FILES, "etc/dnf/dnf.conf": "[main]\ngpgcheck=1\n", "etc/yum.repos.d/fleet.repo": YUM_SOURCE},
        "rpm --initdb", ("dnf-makecache.timer", "dnf-automatic.timer"),
    ),
    "zypper": Recipe(
        "suse", ("zypper", "rpm"),
        {**RPM_FILES, "etc/zypp/repos.d/fleet.repo": f"{YUM_SOURCE}autorefresh=0\ntype=rpm-md\n"},
        "rpm --initdb",
    ),
    "pacman": Recipe(
        "arch", ("pacman-package-manager", "makepkg"),  # which brings vercmp there
        {"etc/pacman.conf": f"[options]\nArchitecture = auto\nSigLevel = Never\n[fleet]\nServer = {SOURCE}/alpm\n"},
        "mkdir -p /var/lib/pacman/local /var/lib/pacman/sync /var/cache/pacman/pkg",
    ),
}  # fmt: skip


def os_release(manager: str, recipe: Recipe) -> str:
    """os-release(5): what it is like, and that it is none of those."""
    return (
        f'PRETTY_NAME="Synthetic distribution ({manager})"\nNAME="Synthetic"\nID=synthetic-{manager}\n'
        f"ID_LIKE={recipe.like}\nVERSION_ID=1\n"
    )


def dealt(endpoints: int, wish: str) -> tuple[str, ...]:
    """Which manager each endpoint gets. `wish`: "" = apt everywhere, "mixed", or a list such as apt,dnf (repeated)."""
    names = MIXED if wish == "mixed" else tuple(w for w in wish.split(",") if w) or (APT,)
    if wrong := [n for n in names if n != APT and n not in RECIPES]:
        raise FleetError(f"No endpoint can have the package manager {wrong[0]}: choose of {APT}, {', '.join(RECIPES)}.")
    return tuple(names[i % len(names)] for i in range(endpoints))
