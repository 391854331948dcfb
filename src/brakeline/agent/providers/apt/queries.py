"""The read-only questions to dpkg and apt, typed. None needs privileges; none takes a lock; none changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from brakeline.agent.providers.apt import parse
from brakeline.agent.providers.apt.dpkg import SHOW_FORMAT, Installed, audit_problems, parse_show, problems_of
from brakeline.agent.providers.apt.parse import Policy, Release, Simulation
from brakeline.agent.providers.apt.runner import Runner

SIMULATE = (
    "apt-get",
    "-s",
    "-q",
    "-o",
    "Debug::NoLocking=1",  # a simulation never waits for anybody
    "-o",
    "APT::Get::Show-User-Simulation-Note=false",
    "-o",
    "APT::Get::AutomaticRemove=false",
    "-o",
    "APT::Get::Assume-Yes=true",
    "-o",
    "APT::Get::Fix-Broken=false",
)
POLICY = ("apt-cache", "policy", "-o", "APT::Ignore-Hold=true")  # else a held package has nothing newer
Records = Mapping[tuple[str, str], Mapping[str, str]]  # of packages, by name and version
NAMES_PER_CALL = 2000  # keeps the argument list far below the kernel's 128 KiB per call on small systems


@dataclass(frozen=True, slots=True)
class Situation:
    """What dpkg has and what apt knows of it, read in one go."""

    native: str  # dpkg's own architecture
    installed: tuple[Installed, ...]
    policies: Mapping[str, Policy]  # by apt's name of the package
    releases: Mapping[str, Release]

    def policy_of(self, package: Installed) -> Policy | None:
        return self.policies.get(apt_name(package.name, package.architecture, self.native))


def apt_name(name: str, architecture: str, native: str) -> str:
    """How apt names a package: foreign architectures are said, its own and `all` are not."""
    return name if architecture in (native, "all", "") else f"{name}:{architecture}"


@dataclass(frozen=True, slots=True)
class Queries:
    """Asks one endpoint."""

    runner: Runner

    def native(self) -> str:
        return self.runner.query("dpkg", "--print-architecture").text.strip()

    def installed(self) -> tuple[Installed, ...]:
        """Everything dpkg has a state of."""
        return parse_show(self.runner.query("dpkg-query", "--show", f"--showformat={SHOW_FORMAT}").text)

    def problems(self, installed: Iterable[Installed]) -> tuple[str, ...]:
        """What is broken: by states, by the journal that an interrupted dpkg leaves, and by its own audit."""
        journal = self.runner.path("/var/lib/dpkg/updates")
        try:
            interrupted = any(entry.name.isdigit() for entry in journal.iterdir())
        except OSError:
            interrupted = False
        found = problems_of(installed, interrupted)
        return found + audit_problems(self.runner.query("dpkg", "--audit").text, found)

    def policies(self, names: Iterable[str]) -> dict[str, Policy]:
        """Version tables of packages by apt's names."""
        found: dict[str, Policy] = {}
        names = list(names)
        for start in range(0, len(names), NAMES_PER_CALL):
            chunk = names[start : start + NAMES_PER_CALL]
            found |= parse.parse_policy(self.runner.query(*POLICY, *chunk).text)
        return found

    def releases(self) -> dict[str, Release]:
        return parse.parse_releases(self.runner.query("apt-cache", "policy").text)

    def situation(self) -> Situation:
        """Everything that inventory and pending updates are decided on."""
        native = self.native()
        installed = self.installed()
        names = dict.fromkeys(apt_name(p.name, p.architecture, native) for p in installed)
        return Situation(native, installed, self.policies(names) if names else {}, self.releases())

    def simulate(self, *arguments: str) -> Simulation:
        """`apt-get -s` with these arguments."""
        return parse.parse_simulation(self.runner.query(*SIMULATE, *arguments).text)

    def records(self, named: Iterable[str]) -> dict[tuple[str, str], Mapping[str, str]]:
        """Package records by (name, version); `named` as `name:architecture=version`."""
        named = list(named)
        found: dict[tuple[str, str], Mapping[str, str]] = {}
        for start in range(0, len(named), NAMES_PER_CALL):
            text = self.runner.query("apt-cache", "show", *named[start : start + NAMES_PER_CALL]).text
            for record in parse.parse_records(text):
                found.setdefault((record.get("package", ""), record.get("version", "")), record)
        return found
