"""What was not provoked, for each manager, with the reason: the page lists it beside what was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

NO_SYSTEMD = (
    "a service that does not come back: no systemd runs in these roots; "
    "provoked on booted endpoints by `tests/system/test_mixed_fleet.py`"
)
MISSING: Final[Mapping[str, Sequence[str]]] = {
    "apt": (
        "module streams, a change of vendor: dpkg has neither",
        "a real kernel from Debian's archive: the row installs a package of that name; the kernel itself is the host's",
    ),
    "dnf": (
        "phased updates: dnf has none",
        "a package signed by a key past its date: rpm 4.18 does not look at that date",
        "a service that maps replaced code",
        "dnf5 (Fedora 41 and later): it has another library and is not in Debian 12",
        NO_SYSTEMD,
    ),
    "zypper": (
        "phased updates, module streams: zypper has neither",
        "a clock that is years off: metadata of rpm repositories has no date by which it expires",
        NO_SYSTEMD,
    ),
    "pacman": (
        "phased updates, security by advisory, module streams, a change of vendor: pacman has none of them",
        "dependencies that nobody needs any more: pacman never removes them by itself",
        NO_SYSTEMD,
    ),
    "pip": (
        "locks, signatures, modules, scripts, configuration files, restarts: pip has none of them",
        "interrupted runs and a disk that fills up: provoked by `tests/integration/pip/test_pip.py`",
    ),
    "npm": (
        "locks, signatures, configuration files, restarts: npm has none of them for global packages",
        "interrupted runs and a disk that fills up: provoked by `tests/integration/npm/test_npm.py`",
    ),
    "flatpak": (
        "scripts, configuration files, restarts: flatpak has none of them",
        "interrupted runs, a disk that fills up, signatures: by `tests/integration/flatpak/test_flatpak.py`",
    ),
}
