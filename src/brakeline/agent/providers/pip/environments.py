"""What is installed in Python environments, read from their own records; no Python and no pip is started.

A distribution is sound when it has exactly one record of itself, and that one has a list of files. `damage` reads the
list and compares every file with its digest: what pip that was killed leaves behind is found there and nowhere else.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.pip.report import normal
from brakeline.agent.python_sites import python_sites

METADATA_BYTES = 16 * 1024  # name and version are in the first lines
SYSTEM = "pypi"
_LABEL = re.compile(r"pypi(-[a-z0-9\-]{1,26})?")  # fits what the root helper takes for an architecture


@dataclass(frozen=True, slots=True)
class Environment:
    """One Python environment; paths as the endpoint names them."""

    label: str
    site: str

    @property
    def home(self) -> str:
        return self.site.rpartition("/lib/")[0]

    @property
    def python(self) -> str:
        return f"{self.home}/bin/python"

    @property
    def changeable(self) -> bool:
        """Only an environment of its own is, under a name that can be put in an order."""
        return self.label != SYSTEM and _LABEL.fullmatch(self.label) is not None


def environments(runner: Runner) -> tuple[Environment, ...]:
    """All there are."""
    return tuple(Environment(label, site) for label, site in python_sites(runner.path("/")))


def installed(runner: Runner, environment: Environment) -> tuple[Installed, ...]:
    """Every distribution of an environment. A directory that cannot be read is an `OSError`, never an empty answer."""
    site = runner.path(environment.site)
    try:
        names = sorted(n for n in os.listdir(site) if n.endswith(".dist-info") and not n.startswith("~"))
    except FileNotFoundError:
        return ()
    pinned = _pinned(runner, environment)
    found: dict[str, Installed] = {}
    for directory in names:
        name, version = _named(site / directory)
        whole = bool(version) and (site / directory / "RECORD").is_file() and name not in found
        state = ("h" if name in pinned else "i") + ("i" if whole else "HR")
        found[name] = Installed(name, environment.label, version or "unknown", name, version or "unknown", state)
    return tuple(found.values())


def _named(directory: Path) -> tuple[str, str]:
    """Name and version in a record; the version is "" where the record is not whole."""
    values: dict[str, str] = {}
    try:
        with open(directory / "METADATA", encoding="utf-8", errors="replace") as f:
            for line in f.read(METADATA_BYTES).splitlines():
                if not line:
                    break
                key, _, value = line.partition(":")
                values.setdefault(key.lower(), value.strip())
    except (FileNotFoundError, NotADirectoryError):
        values = {}
    name = values.get("name", "") or directory.name.removesuffix(".dist-info").partition("-")[0]
    return normal(name), values.get("version", "")


def _pinned(runner: Runner, environment: Environment) -> frozenset[str]:
    """What the owner has pinned with `pipx pin`. An unreadable record pins nothing: pipx would not know either."""
    try:
        main = json.loads(runner.path(f"{environment.home}/pipx_metadata.json").read_text())["main_package"]
        return frozenset([normal(str(main["package"]))]) if main.get("pinned") else frozenset()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()


def leftovers(runner: Runner, environment: Environment) -> tuple[str, ...]:
    """What pip put aside and never took away: it was ended in the middle."""
    try:
        names = sorted(n for n in os.listdir(runner.path(environment.site)) if n.startswith("~"))
    except FileNotFoundError:
        return ()
    return tuple(f"{environment.label}: {n} was left behind by a run of pip that was ended" for n in names)


def damage(runner: Runner, environment: Environment, names: frozenset[str]) -> tuple[str, ...]:
    """Of these distributions, each one whose files are not what its own list says, in one line."""
    site = runner.path(environment.site)
    wrong = []
    for directory in sorted(n for n in os.listdir(site) if n.endswith(".dist-info") and not n.startswith("~")):
        name, version = _named(site / directory)
        if name in names and (bad := _first_bad(site, site / directory / "RECORD")):
            wrong.append(f"{name} {version or '(version unknown)'}: {bad}")
    return tuple(wrong)


def _first_bad(site: Path, record: Path) -> str:
    try:
        with open(record, encoding="utf-8", newline="") as f:
            rows = [row for row in csv.reader(f) if len(row) == 3]
    except OSError:
        return "it has no list of its files"
    for path, digest, _ in rows:
        if digest.startswith("sha256=") and _sha256(site / path) != digest[7:]:
            return f"{path} is missing or not what was installed"
    return ""


def _sha256(path: Path) -> str:
    try:
        digest = hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return ""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
