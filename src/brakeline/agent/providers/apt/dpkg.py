"""Pure reading of dpkg's records: installed packages, broken states, what its log says was really done.

dpkg's three letters are desired action, status and error flag ("ii", "hi", "iHR"). A package is sound only when
status is `i` (installed) or `c`/`n` (gone) and there is no error flag. Next: `queries` makes these texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from brakeline.protocol.digests import package_key
from brakeline.protocol.messages import PackageChange

FIELDS = (
    "${Package}",
    "${Architecture}",
    "${Version}",
    "${source:Package}",
    "${source:Version}",
    "${db:Status-Abbrev}",
    "${Installed-Size}",
)
SHOW_FORMAT = "\\t".join(FIELDS) + "\\n"  # dpkg-query understands the two-character escapes itself

STATUS_WORDS = {
    "n": "not installed",
    "c": "removed, configuration files left",
    "H": "half-installed",
    "U": "unpacked, not configured",
    "F": "half-configured: its maintainer script failed",
    "W": "waits for triggers of another package",
    "t": "triggers pending",
    "i": "installed",
}
PRESENT = frozenset("HUFWti")  # statuses in which files of a version are on disk


@dataclass(frozen=True, slots=True)
class Installed:
    """One package as dpkg has it. `state` as dpkg abbreviates it, without padding."""

    name: str
    architecture: str
    version: str
    source: str
    source_version: str
    state: str
    installed_kib: int = 0

    @property
    def key(self) -> str:
        return package_key(self.name, self.architecture)

    @property
    def present(self) -> bool:
        """Some version's files are on disk (not merely left-over configuration)."""
        return self.state[1:2] in PRESENT

    @property
    def held(self) -> bool:
        return self.state[:1] == "h"

    @property
    def sound(self) -> bool:
        """Wholly installed, or wholly gone."""
        return self.state[1:2] in "icn" and len(self.state) == 2

    @property
    def needs_reinstall(self) -> bool:
        """The `R` flag: only installing it again heals it; `--configure -a` reports success and leaves it."""
        return self.state[2:3] == "R"


def parse_show(text: str) -> tuple[Installed, ...]:
    """The lines of `dpkg-query --show` with SHOW_FORMAT; unknown (never installed) packages are left out."""
    found = []
    for line in text.splitlines():
        cells = line.split("\t")
        if len(cells) != len(FIELDS) or cells[5][1:2] in ("n", ""):
            continue
        name, architecture, version, source, source_version, state, size = cells
        kib = int(size) if size.isdigit() else 0
        found.append(Installed(name, architecture, version, source, source_version, state.strip(), kib))
    return tuple(found)


def problems_of(packages: Iterable[Installed], updates_pending: bool = False) -> tuple[str, ...]:
    """Each package that is not sound, in one line; `updates_pending`: dpkg left a journal of an interrupted run."""
    found = []
    if updates_pending:
        found.append("dpkg was interrupted and has not finished; it needs `dpkg --configure -a`")
    for p in packages:
        if not p.sound:
            cure = ", needs reinstallation" if p.needs_reinstall else ""
            found.append(f"{p.name}: {STATUS_WORDS.get(p.state[1:2], 'in an unknown state')} ({p.state}){cure}")
    return tuple(found)


def audit_problems(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """What `dpkg --audit` names beyond the packages of `known` lines (which say it better), one line a package."""
    said = {line.partition(":")[0] for line in known}
    found: list[str] = []
    headline, complete = "", True
    for line in text.splitlines():
        if line.startswith(" "):
            name = line.split()[0].partition(":")[0] if line.split() else ""
            complete = True
            if name and name not in said:
                said.add(name)
                found.append(f"{name}: {re.split('[.,:]', headline)[0].removeprefix('The following packages ')}")
        elif line.strip():
            headline = line.strip() if complete else f"{headline} {line.strip()}"
            complete = False
    return tuple(found)


def changes_between(before: Iterable[Installed], after: Iterable[Installed]) -> tuple[PackageChange, ...]:
    """What is different now, package by package: versions or states, as dpkg had them before and has them after."""
    old = {p.key: p for p in before}
    new = {p.key: p for p in after}
    changes = []
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        was_version = was.version if was is not None and was.present else ""
        now_version = now.version if now is not None and now.present else ""
        was_state, now_state = (was.state if was else "un"), (now.state if now else "un")
        if (was_version, was_state) != (now_version, now_state):
            name, _, architecture = key.rpartition(":")
            changes.append(PackageChange(name, architecture, was_version, now_version, now_state))
    return tuple(changes)


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What dpkg's log tells about one run."""

    conffiles_kept: tuple[str, ...] = ()
    conffiles_replaced: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()  # "name:architecture" of every package that changed state


def parse_log(text: str) -> LogFacts:
    """Lines of dpkg's log: `DATE TIME conffile PATH keep|install`, `DATE TIME status STATE NAME:ARCH VERSION`."""
    kept: list[str] = []
    replaced: list[str] = []
    touched: list[str] = []
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) >= 5 and words[2] == "conffile":
            path = " ".join(words[3:-1])
            (kept if words[-1] == "keep" else replaced).append(path)
        elif len(words) >= 6 and words[2] == "status":
            touched.append(words[4])
    return LogFacts(tuple(dict.fromkeys(kept)), tuple(dict.fromkeys(replaced)), tuple(dict.fromkeys(touched)))


def by_key(packages: Iterable[Installed]) -> Mapping[str, Installed]:
    """Packages under their `name:architecture`."""
    return {p.key: p for p in packages}
