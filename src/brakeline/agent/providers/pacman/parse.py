"""Pure reading of what pacman and pacman-conf print (always in the C locale)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

PRINT_FORMAT: Final = "BL %n %v %r %s %l"  # name, version, repository, bytes to download, location
_PENDING: Final = re.compile(r"^(\S+) (\S+) -> (\S+?)( \[ignored\])?$")
_PACNEW: Final = re.compile(r"^warning: (\S+) (?:installed|saved) as (\S+\.pac(?:new|save|orig))$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What pacman itself makes of the endpoint's pacman.conf, includes and all."""

    db_path: str = "/var/lib/pacman/"
    caches: tuple[str, ...] = ("/var/cache/pacman/pkg/",)
    hooks: tuple[str, ...] = ("/etc/pacman.d/hooks/",)
    ignored: tuple[str, ...] = ()
    ignored_groups: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    keyring: str = "/etc/pacman.d/gnupg/"


@dataclass(frozen=True, slots=True)
class Printed:
    """One package that an upgrade would bring."""

    name: str
    version: str
    repository: str
    download_bytes: int
    location: str

    @property
    def file(self) -> str:
        return self.location.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What `-Su --print` came to. `errors` not empty = pacman would do nothing."""

    adds: tuple[Printed, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """One line of `pacman -Qu`."""

    name: str
    installed: str
    candidate: str
    ignored: bool


def parse_configuration(text: str) -> Configuration:
    """The answer of `pacman-conf`."""
    values: dict[str, list[str]] = {}
    repositories = []
    section = ""
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            if section != "options":
                repositories.append(section)
        elif section == "options":
            key, _, value = line.partition(" = ")
            values.setdefault(key.strip(), []).append(value.strip())
    base = Configuration()
    return Configuration(
        next(iter(values.get("DBPath", ())), base.db_path), tuple(values.get("CacheDir", base.caches)),
        tuple(values.get("HookDir", base.hooks)), tuple(values.get("IgnorePkg", ())),
        tuple(values.get("IgnoreGroup", ())), tuple(repositories), next(iter(values.get("GPGDir", ())), base.keyring),
    )  # fmt: skip


def parse_pending(text: str) -> tuple[Pending, ...]:
    """The answer of `pacman -Qu`; other lines (warnings) are no updates."""
    found = map(_PENDING.match, text.splitlines())
    return tuple(Pending(m[1], m[2], m[3], bool(m[4])) for m in found if m)


def parse_simulation(text: str) -> Simulation:
    """The answer of `pacman -Su --print`."""
    adds, errors = [], []
    for line in text.splitlines():
        cells = line.split(" ", 5)
        if cells[0] == "BL" and len(cells) == 6:
            adds.append(Printed(cells[1], cells[2], cells[3], int(cells[4] or 0), cells[5]))
        elif line.startswith((":: ", "error: ")) and " there is nothing to do" not in line:
            errors.append(line.removeprefix(":: ").removeprefix("error: "))
    failed = any(line.startswith("error: ") for line in text.splitlines())
    errors.sort(key=lambda e: e.startswith("failed to "))  # what is missing says more than that something is
    return Simulation(() if failed else tuple(adds), tuple(errors) if failed else ())


def parse_repositories(text: str) -> dict[tuple[str, str], str]:
    """The answer of `pacman -Sl`: (name, version) -> the first repository that has it."""
    found: dict[tuple[str, str], str] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and not line.startswith(("error:", "warning:")):
            found.setdefault((words[1], words[2]), words[0])
    return found


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the sync databases say of one package (`pacman -Si`)."""

    name: str
    architecture: str = ""
    installed_bytes: int = 0
    replaces: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    provides: tuple[str, ...] = field(default=())


def parse_info(text: str) -> dict[str, Metadata]:
    """The answer of `pacman -Si`, by name; the first repository's word counts."""
    found: dict[str, Metadata] = {}
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        for line in block.splitlines():
            key, colon, value = line.partition(" : ")
            if colon and not line.startswith(" "):
                fields[key.strip()] = value.strip()
        if name := fields.get("Name", ""):
            lists = {k: _words(fields.get(k, "None")) for k in ("Replaces", "Conflicts With", "Provides")}
            size = _bytes(fields.get("Installed Size", ""))
            found.setdefault(
                name, Metadata(name, fields.get("Architecture", ""), size, lists["Replaces"], lists["Conflicts With"],
                               lists["Provides"]),
            )  # fmt: skip
    return found


def _words(value: str) -> tuple[str, ...]:
    return () if value == "None" else tuple(value.split())


def _bytes(value: str) -> int:
    number, _, unit = value.partition(" ")
    scale = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}.get(unit, 0)
    try:
        return int(float(number) * scale)
    except ValueError:
        return 0


def kept_conffiles(text: str) -> tuple[str, ...]:
    """What a run left beside configuration files: the .pacnew, .pacsave and .pacorig files, by their paths."""
    return tuple(dict.fromkeys(m[2] for m in _PACNEW.finditer(text)))
