"""What the endpoint package holds, whatever its format: files, scripts, what it needs. One place for deb and rpm.

Invariants: the contents follow from source, version and sequence alone; with a Python of its own (`private`) the
package needs none of the system's, and everything else in it is the same. Next: `deb`, `rpm`, `onedir`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import brakeline
from brakeline.core.errors import Invalid
from brakeline.releases import zipapp
from brakeline.releases.build import Built, build_release

NAME: Final = "brakeline-agent"
LIB: Final = "usr/lib/brakeline"
SYSTEM_PYTHON: Final = "/usr/bin/python3"
PRIVATE_PYTHON: Final = "/usr/lib/brakeline/python/brakeline-python"
MAINTAINER: Final = "Brakeline maintainers <maintainers@brakeline.invalid>"
SUMMARY: Final = "patch management that cannot become the outage (agent)"
DESCRIPTION: Final = (
    "The launcher looks for a newer or recalled release before it runs anything,",
    "tries new ones on probation and goes back by itself; the agent assesses this",
    "machine and asks for its patches; the root helper applies them. Nothing runs",
    "until the machine is enrolled in a cell.",
)
FIXED_S: Final = 1_577_836_800  # 2020-01-01: the time of every file; nobody's clock, and not too old for linters
UNITS: Final = ("brakeline-agent.service", "brakeline-helper.service", "brakeline-helper.socket")
VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.+]{0,30}")  # of a release id, and fine for dpkg and rpm as it is
_GLIBC: Final = re.compile(rb"GLIBC_2\.([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a package, owned by root."""

    data: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Scripts:
    """Bodies of shell scripts, without `#!` and `set -e`."""

    before_install: str
    after_install: str
    before_remove: str
    after_remove: str
    purge: str


@dataclass(frozen=True, slots=True)
class Package:
    """Everything that a format needs to know. `files`: path without leading slash -> file."""

    version: str
    files: Mapping[str, File]
    scripts: Scripts
    machine: str = ""  # the only one on which it runs, as `uname -m` says it; "" = any
    seed: str = ""  # release id of the agent inside

    @property
    def glibc(self) -> str:
        """The oldest C library that its programs run on, as they say themselves; "" = it brings none."""
        needed = [int(n) for file in self.files.values() for n in _GLIBC.findall(file.data)] if self.machine else []
        return f"2.{max(needed)}" if needed else ""


def endpoint_package(
    version: str, sequence: int, private: Mapping[str, File] | None = None, machine: str = ""
) -> Package:
    """The package of this very source. `private`: a Python of its own (`onedir.interpreter`), for `machine` alone."""
    if not VERSION.fullmatch(version):
        raise Invalid("a version begins with a digit and has letters, digits, dots and plus signs", got=version)
    if bool(private) != bool(machine):
        raise Invalid("a package with a Python of its own is for one kind of machine, and only such a one")
    agent = build_release("agent", version, sequence)
    python = PRIVATE_PYTHON if private else SYSTEM_PYTHON
    files = _programs(version, agent, python) | _settings(python) | _documents(version, sequence)
    files |= {f"{LIB}/python/{name}": file for name, file in (private or {}).items()}
    return Package(version, dict(sorted(files.items())), _scripts(python), machine, agent.release_id)


def _programs(version: str, agent: Built, python: str) -> dict[str, File]:
    stub = Path(brakeline.__file__).parent / "launcher" / "stub.py"
    return {
        f"{LIB}/stub.py": File(stub.read_bytes()),
        f"{LIB}/launcher.pyz": File(zipapp.build(product="launcher", version=version)),
        f"{LIB}/agent.tar": File(agent.bundle),
        f"usr/bin/{NAME}": File(recipe("brakeline-agent.sh", python).encode(), 0o755),
    }


def _settings(python: str) -> dict[str, File]:
    units = {f"usr/lib/systemd/system/{name}": File(unit(name, python).encode()) for name in UNITS}
    return units | {"usr/lib/sysusers.d/brakeline.conf": File(recipe("sysusers.conf").encode())}


def _documents(version: str, sequence: int) -> dict[str, File]:
    page = recipe("brakeline-agent.1").replace("@VERSION@", version)
    readme = f"Brakeline agent {version}, release sequence {sequence}. Licence: Apache-2.0.\n"
    return {f"usr/share/man/man1/{NAME}.1": File(page.encode()), f"usr/share/doc/{NAME}/README": File(readme.encode())}


def _scripts(python: str) -> Scripts:
    names = ("before-install", "after-install", "before-remove", "after-remove", "purge")
    return Scripts(*(recipe(f"{name}.sh", python) for name in names))


def recipe(name: str, python: str = SYSTEM_PYTHON) -> str:
    """A template of packaging/endpoint; beside the sources in a checkout, inside the package when installed."""
    package = Path(brakeline.__file__).parent
    checkout = package.parents[1] / "packaging" / "endpoint"
    folder = checkout if checkout.is_dir() else package / "releases" / "endpoint"
    return (folder / name).read_text(encoding="utf-8").replace("@PYTHON@", python)


def unit(name: str, python: str = SYSTEM_PYTHON) -> str:
    """One of the units that enrolment installs too, run by `python`."""
    package = Path(brakeline.__file__).parent
    checkout = package.parents[1] / "packaging" / "agent"
    folder = checkout if checkout.is_dir() else package / "server" / "installer"
    return (folder / name).read_text(encoding="utf-8").replace(SYSTEM_PYTHON, python)
