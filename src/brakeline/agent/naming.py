"""What may be the name, the architecture and the version of a package: per package manager, what is legal there. Pure.

The root helper puts nothing else on a root command line. So the grammars are no wider than what the manager itself
takes; control characters, spaces, slashes, quotes and a leading dash are never a part of it. Where a manager takes
more than its distributions use (rpm's braces, any character of a pacman version), that stays out. The system's own
manager is known from the system; whoever is beside it is named by the label.

Sources: Debian policy 5.6.1 and 5.6.12; rpm's `ALLOWED_CHARS_NAME`, `ALLOWED_CHARS_VERREL`, `ALLOWED_CHARS_EVR`;
makepkg's `lint_pkgbuild`; PEP 503, PEP 440; npm's `validate-npm-package-name`; flatpak's rules for ids and branches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from brakeline.protocol.managers import SYSTEM, ecosystem_of


@dataclass(frozen=True, slots=True)
class Grammar:
    """Matched over the whole of each."""

    name: re.Pattern[str]
    architecture: re.Pattern[str]
    version: re.Pattern[str]

    def legal(self, name: str, architecture: str, versions: list[str]) -> str:
        """What is not legal, in words; "" = nothing."""
        if not self.name.fullmatch(name) or not self.architecture.fullmatch(architecture):
            return f"{name[:60]!r} is not the name of a package"
        if not versions or not all(self.version.fullmatch(v) for v in versions):
            return f"{name}: the version is not one"
        return ""


_DEB: Final = Grammar(
    re.compile(r"[a-z0-9][a-z0-9+.\-]{1,127}"),
    re.compile(r"[a-z0-9][a-z0-9\-]{1,31}"),
    re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~:\-]{0,127}"),
)
_RPM: Final = Grammar(
    re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_+.\-]{0,127}"),
    re.compile(r"[a-z][a-z0-9_]{1,31}"),
    re.compile(r"(?!.*\.\.)(?:[0-9]{1,10}:)?[A-Za-z0-9_+.~^]{1,96}-[A-Za-z0-9_+.~^]{1,96}"),
)
_ALPM: Final = Grammar(
    re.compile(r"(?!.*\.\.)[a-z0-9_+@][a-z0-9_+@.\-]{0,127}"),
    re.compile(r"[a-z][a-z0-9_]{1,31}"),
    re.compile(r"(?!.*\.\.)(?:[0-9]{1,10}:)?[A-Za-z0-9_+.~^]{1,128}-[0-9]{1,8}(?:\.[0-9]{1,8})?"),
)
_PYPI: Final = Grammar(
    re.compile(r"[a-z0-9](?:[a-z0-9._\-]{0,126}[a-z0-9])?"),
    re.compile(r"pypi(?:-[a-z0-9\-]{1,26})?"),  # as `providers.pip` labels an environment that it may change
    re.compile(r"(?:[0-9]{1,10}!)?[0-9A-Za-z][0-9A-Za-z.+_\-]{0,127}"),
)
_NPM: Final = Grammar(  # no `..`: a name becomes a directory
    re.compile(r"(?!.*\.\.)(@[a-z0-9~][a-z0-9._~\-]{0,99}/)?[A-Za-z0-9~_][A-Za-z0-9._~\-]{0,127}"),
    re.compile(r"(?!.*\.\.)npm(-usr)?(-in-[A-Za-z0-9~_][A-Za-z0-9._+~\-]{0,127})?"),
    re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~:\-]{0,127}"),
)
_FLATPAK: Final = Grammar(
    re.compile(r"(?!.*\.\.)[A-Za-z_][A-Za-z0-9_\-]*(\.[A-Za-z0-9_][A-Za-z0-9_\-]*){1,20}"),
    re.compile(r"(?!.*\.\.)flatpak-[a-z0-9_]{1,20}-[A-Za-z0-9_][A-Za-z0-9._\-]{0,60}"),
    re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~:\-]{0,127}"),
)
_BREW: Final = Grammar(  # versions of casks may have a comma in them
    re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9+@._\-]{0,127}"),
    re.compile(r"brew(?:-cask)?"),
    re.compile(r"(?!.*\.\.)[0-9A-Za-z][0-9A-Za-z.+~,:_\-]{0,127}"),
)
_SNAP: Final = Grammar(  # a version ends with its revision
    re.compile(r"[a-z0-9][a-z0-9\-]{0,39}(?:_[a-z0-9]{1,10})?"),
    re.compile(r"snap"),
    re.compile(r"(?!.*\.\.)[0-9A-Za-z][0-9A-Za-z.+~_\-]{0,99}"),
)
_FWUPD: Final = Grammar(  # as `providers.fwupd.devices` names devices and their streams of releases
    re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9.+~_\-]{0,99}"),
    re.compile(r"fwupd-[0-9a-f]{12}(?:~[1-9][0-9]?)?"),
    re.compile(r"(?!.*\.\.)[0-9A-Za-z][0-9A-Za-z.+~_\-]{0,99}"),
)
_OWN: Final = Grammar(  # those of `protocol.software_rules`, which the resident agent does not load; a test compares
    re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.\-]{0,62}"),
    re.compile(r"own"),
    re.compile(r"[0-9][0-9A-Za-z.~:\-]{0,63}(?:\+[0-9a-f]{12})?"),
)
_WINDOWS: Final = Grammar(  # as `windows.here` names programs and `windows.listed` their versions
    re.compile(r"[a-z0-9][a-z0-9.\-]{0,62}"),
    re.compile(r"x(?:64|86)(?:-user-[0-9a-f]{8})?"),
    re.compile(r"[0-9A-Za-z][0-9A-Za-z.\-]{0,63}"),
)
_WUA: Final = Grammar(  # a number or an identifier; an identifier with its revision
    re.compile(r"(?:KB[0-9]{1,10}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\.[0-9a-f]{8})?"),
    re.compile(r"wua"),
    re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,10}"),
)
_WINGET: Final = Grammar(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_\-]{0,127}"),
    re.compile(r"winget"),
    re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_\-]{0,127}"),
)
_APPLE: Final = Grammar(  # as `providers.macos.provider` names what Apple's list calls by a title
    re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9.+_\-]{0,99}"),
    re.compile(r"macos"),
    re.compile(r"(?!.*\.\.)[0-9A-Za-z][0-9A-Za-z.+_\-]{0,99}"),
)
SYSTEMS: Final = {
    "apt": _DEB,
    "dnf": _RPM,
    "zypper": _RPM,
    "pacman": _ALPM,
    "softwareupdate": _APPLE,
    "windows": _WINDOWS,
}
BESIDE: Final = {
    "pypi": _PYPI,
    "npm": _NPM,
    "flatpak": _FLATPAK,
    "snap": _SNAP,
    "brew": _BREW,
    "fwupd": _FWUPD,
    "own": _OWN,
    "wua": _WUA,
    "winget": _WINGET,
}


def illegal(system: str, name: str, architecture: str, versions: list[str]) -> str:
    """Why this is no package of an endpoint whose system's manager is `system`; "" = it may be one."""
    ecosystem = ecosystem_of(architecture)
    grammar = SYSTEMS.get(system) if ecosystem == SYSTEM else BESIDE.get(ecosystem)
    if grammar is None:
        return f"{name[:60]!r} is of no package manager that this endpoint has"
    return grammar.legal(name, architecture, versions)
