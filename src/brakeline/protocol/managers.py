"""Whose a package is, where one endpoint has several package managers. Both sides agree on these labels.

A package of a manager beside the system's own carries a label for its architecture that begins with its ecosystem:
`pypi` or `pypi-black`. An update of it is named `black:pypi-black` from the endpoint's offer to the order; a plain name
is the system's. So names never collide, digests cover the label, and what older programs say means what it meant.
"""

from __future__ import annotations

import hashlib
from typing import Final

# In the order in which their deployments follow the system's
BESIDE: Final = ("pypi", "npm", "flatpak", "snap", "brew", "fwupd", "own", "wua", "winget")
OWN: Final = "own"  # packages of the organisation's own: `protocol.software`
SYSTEM: Final = ""  # the system's own, whatever it is
LESS_TRIED: Final = {  # said wherever an update of theirs is shown, until they were run on real systems
    "snap": "snapd's provider was not run on the real system.",
    "brew": "Homebrew's provider was not run on the real system.",
    "fwupd": "fwupd's provider was run on its test device, and on no other.",
}
FOUND: Final = "at"  # label of what was found on the disk: nobody here installs it, so no order can change it


def ecosystem_of(architecture: str) -> str:
    """Whose a package is: `pypi-black` is pypi's, `amd64` the system's."""
    first = architecture.partition("-")[0]
    return first if first in BESIDE else SYSTEM


def inside(architecture: str) -> bool:
    """Whether a package is a part of one application's own tree, and nobody else's: `npm-in-typescript`."""
    return ecosystem_of(architecture) == "npm" and "-in-" in architecture


def slug(name: str) -> str:
    """A package's name as a part of a label: `@angular/cli` is `angular+cli` (no name of npm's has a plus in it)."""
    return name.removeprefix("@").replace("/", "+")


def belongs(app: str, label: str, named: tuple[str, str]) -> bool:
    """Whether (name, label) is a global package, or a part of its tree."""
    return named == (app, label) or named[1].partition("~")[0] == f"{label}-in-{slug(app)}"


def asked_of(name: str) -> str:
    """Whose an update is: `black:pypi-black` says it, a plain name or a real architecture is the system's."""
    return ecosystem_of(name.partition(":")[2])


def less_tried(name: str) -> str:
    """What an update's provider has not been run on; "" = it was run on what it is for."""
    return LESS_TRIED.get(asked_of(name), "")


def update_name(name: str, architecture: str) -> str:
    """The name by which deployments, pins and quarantines know a package."""
    return f"{name}:{architecture}" if ecosystem_of(architecture) else name


def found_label(ecosystem: str, where: str, again: int = 0) -> str:
    """What stands for the architecture of something found at `where`; `again` tells equal names there apart."""
    said = f"{ecosystem}\n{where}\n{again}" if again else f"{ecosystem}\n{where}"
    return f"{FOUND}-{hashlib.sha256(said.encode(errors='surrogateescape')).hexdigest()[:12]}"


def is_found(architecture: str) -> bool:
    """Whether this is the label of something found on the disk."""
    return architecture.partition("-")[0] == FOUND
