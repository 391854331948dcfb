"""Pure reading of what apt prints: simulations, the policy of versions, package records. English output (LC_ALL=C).

`Inst`/`Remv` lines are apt's machine-readable part of `-s`; the policy's version table is ordered, newest first, so
"newer than installed" needs no comparing here. Next: `pending` and `plan` decide on these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

INST = re.compile(r"^Inst (\S+)(?: \[([^\]]+)\])? \((\S+)(?: (.*?))? \[([a-z0-9-]+)\]\)")
REMV = re.compile(r"^(?:Remv|Purg) (\S+) \[([^\]]+)\]")
VERSION_LINE = re.compile(r"^ (\*\*\*|   ) (\S+) (-?\d+)(?: \(phased (\d+)%\))?")
FILE_LINE = re.compile(r"^ *(-?\d+) (\S.*)$")


@dataclass(frozen=True, slots=True)
class Inst:
    """One package that a simulation installs. `before` "" = it is new."""

    name: str
    architecture: str
    before: str
    after: str
    sources: str  # "Debian-Security:12/oldstable-security"


@dataclass(frozen=True, slots=True)
class Simulation:
    """What `apt-get -s` would do. `errors`: its E: lines; not empty = it would do nothing."""

    installs: tuple[Inst, ...] = ()
    removals: tuple[tuple[str, str], ...] = ()  # (name, version)
    errors: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()  # "foo : Depends: bar (>= 2) but it is not installable"
    held_changed: tuple[str, ...] = ()


def _bare(name: str) -> str:
    return name.partition(":")[0]


def parse_simulation(text: str) -> Simulation:
    """Standard output and error of `apt-get -s`, together."""
    installs, removals = [], []
    for line in text.splitlines():
        if m := INST.match(line):
            name, before, after, sources, architecture = m.groups()
            installs.append(Inst(_bare(name), architecture, before or "", after, sources or ""))
        elif m := REMV.match(line):
            removals.append((m.group(1), m.group(2)))
    return Simulation(
        installs=tuple(installs),
        removals=tuple(removals),
        errors=error_lines(text),
        unmet=_section(text, "The following packages have unmet dependencies:"),
        held_changed=tuple(
            w for line in _section(text, "The following held packages will be changed:") for w in line.split()
        ),
    )


def error_lines(text: str) -> tuple[str, ...]:
    """The E: lines of apt, without the letter; each once."""
    return tuple(dict.fromkeys(line[2:].strip() for line in text.splitlines() if line.startswith("E:")))


def _section(text: str, headline: str) -> tuple[str, ...]:
    """The indented lines below a headline."""
    lines, inside = [], False
    for line in text.splitlines():
        if line.startswith(headline):
            inside = True
        elif inside and line.startswith(" "):
            lines.append(" ".join(line.split()))
        else:
            inside = False
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class Release:
    """One index file, as its Release file names it."""

    label: str = ""
    archive: str = ""
    codename: str = ""
    version: str = ""
    origin: str = ""
    site: str = ""

    @property
    def shown(self) -> str:
        """As apt prints sources in simulations: `Label:Version/Archive`."""
        label = f"{self.label}:" if self.label else ""
        if not self.archive:
            return label + (self.site or "localhost")
        return label + (f"{self.version}/" if self.version else "") + self.archive

    @property
    def security(self) -> bool:
        """Security is what the vendor's suite says: Debian's label, or an archive named `…-security` (Ubuntu, ESM)."""
        return self.label == "Debian-Security" or any(
            name.endswith("-security") for name in (self.archive, self.codename)
        )


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """One line of a version table, with the index files that have it (dpkg's own status file is left out)."""

    version: str
    installed: bool
    sources: tuple[str, ...] = ()
    phased_percent: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What apt knows of one package, newest version first."""

    name: str
    installed: str
    candidate: str
    table: tuple[VersionEntry, ...] = ()

    def newer(self) -> tuple[VersionEntry, ...]:
        """Versions above the installed one up to and including the candidate; empty if there is nothing newer."""
        versions = [e.version for e in self.table]
        if self.candidate not in versions or self.installed not in versions:
            return ()
        start, end = versions.index(self.candidate), versions.index(self.installed)
        return self.table[start:end]

    def entry(self, version: str) -> VersionEntry | None:
        return next((e for e in self.table if e.version == version), None)


@dataclass(slots=True)
class _Reading:
    """The package under way while policy lines are read."""

    name: str
    installed: str = ""
    candidate: str = ""
    entries: list[tuple[str, bool, list[str], int | None]] = field(default_factory=list)

    def done(self) -> Policy:
        table = tuple(VersionEntry(v, here, tuple(files), phased) for v, here, files, phased in self.entries)
        return Policy(self.name, self.installed, self.candidate, table)


def parse_policy(text: str) -> dict[str, Policy]:
    """`apt-cache policy NAME…`: name (with `:arch` for foreign ones) -> Policy."""
    found: dict[str, Policy] = {}
    now: _Reading | None = None
    for line in text.splitlines():
        if line and not line.startswith(" "):
            if now is not None:
                found[now.name] = now.done()
            now = _Reading(line.rstrip(":"))
        elif now is not None:
            _policy_line(now, line)
    if now is not None:
        found[now.name] = now.done()
    return found


def _policy_line(now: _Reading, line: str) -> None:
    word, _, rest = line.strip().partition(": ")
    if word in ("Installed", "Candidate") and rest:
        value = "" if rest == "(none)" else rest
        if word == "Installed":
            now.installed = value
        else:
            now.candidate = value
    elif line.startswith("        ") and now.entries:
        if (m := FILE_LINE.match(line)) and not m.group(2).startswith("/var/lib/dpkg/status"):
            now.entries[-1][2].append(m.group(2).strip())
    elif m := VERSION_LINE.match(line):
        phased = int(m.group(4)) if m.group(4) is not None else None
        now.entries.append((m.group(2), m.group(1) == "***", [], phased))


RELEASE_KEYS = {"l": "label", "a": "archive", "n": "codename", "v": "version", "o": "origin"}


def parse_releases(text: str) -> dict[str, Release]:
    """`apt-cache policy` without names: index file (as version tables name it) -> its Release."""
    found: dict[str, Release] = {}
    current = ""
    values: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("Pinned packages"):
            break
        if line.startswith("     release "):
            values = _release_values(line.strip().removeprefix("release "))
            found[current] = Release(**values)
        elif line.startswith("     origin "):
            found[current] = Release(**values, site=line.strip().removeprefix("origin "))
        elif m := FILE_LINE.match(line):
            current, values = m.group(2).strip(), {}
            found[current] = Release()
    return found


def _release_values(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in re.split(r",(?=[a-z]=)", text))
    return {RELEASE_KEYS[k]: v for k, _, v in pairs if k in RELEASE_KEYS}


def parse_records(text: str) -> tuple[Mapping[str, str], ...]:
    """Stanzas of `apt-cache show` or a Packages index: first lines of fields only, keys in lower case."""
    records: list[dict[str, str]] = []
    record: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            if record:
                records.append(record)
            record = {}
        elif not line.startswith((" ", "\t")):
            name, colon, value = line.partition(":")
            if colon:
                record[name.lower()] = value.strip()
    return tuple([*records, record] if record else records)


def suite_text(files: Iterable[str], releases: Mapping[str, Release]) -> str:
    """All sources of a version as apt prints them: comma-separated, each once."""
    return ", ".join(dict.fromkeys(releases.get(f, Release(site=f.split(" ")[0])).shown for f in files))


def download_names(text: str) -> tuple[tuple[str, int], ...]:
    """`--print-uris`: (file name, bytes) of what would still have to be fetched."""
    found = re.findall(r"^'[^']+' (\S+) (\d+)", text, re.MULTILINE)
    return tuple((name, int(size)) for name, size in found)
