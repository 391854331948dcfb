"""Which own packages are here: by their detection, beside what Brakeline recorded of its own runs. Of the packages
themselves it starts nothing; rpm's records are read by `rpm -q`, because they lie in a database of its own.

What everybody may read counts, and nothing else, whoever looks: else root would prove what the agent never sees. A
record says which full version was installed and how that went; detection says what is really there. Where the two
differ, detection is right: the version is then the plain one, which belongs to no package that we have brought.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.lists import write_public
from brakeline.agent.providers.apt.runner import Runner
from brakeline.core.errors import Fault
from brakeline.core.rpmversion import rpm_key
from brakeline.protocol import codec
from brakeline.protocol.software import LABEL, Detection, Look, plain_version
from brakeline.protocol.software_rules import NAME, version_in

RECORDS: Final = "/var/lib/brakeline-own"  # root writes, everybody may read; also in `agent.stamp`
HOLDS: Final = "/etc/brakeline/own.hold"  # names that root keeps as they are, one a line
DPKG: Final = "/var/lib/dpkg/status"
LOOK_BYTES_MAX: Final = 64 * 1024
RECORD_BYTES_MAX: Final = 16 * 1024
MARK: Final = "version="
QUERY: Final = MARK + "%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\n"
RPM_S_MAX: Final = 30.0
UNKNOWN: Final = "0"  # it is there, and nobody knows which version: older than any


@dataclass(frozen=True, slots=True)
class Record:
    """What the last run here has done. `state` as dpkg abbreviates it: "ii", "iF" where a script failed afterwards."""

    version: str  # the full one
    detection: Detection
    state: str = "ii"
    why: str = ""


def records(runner: Runner) -> dict[str, Record]:
    """By name; a damaged one counts as none: detection still says what is there."""
    found: dict[str, Record] = {}
    try:
        names = sorted(os.listdir(runner.path(RECORDS)))
    except FileNotFoundError:
        return found
    for name in names:
        if name.endswith(".json") and NAME.fullmatch(name[:-5]):
            try:
                with open(runner.path(RECORDS) / name, "rb") as f:
                    found[name[:-5]] = codec.decode(Record, f.read(RECORD_BYTES_MAX))
            except (OSError, Fault):
                continue
    return found


def record(runner: Runner, name: str, what: Record | None) -> None:
    """Write down what was done; None = it is gone."""
    path = f"{RECORDS}/{name}.json"
    if what is None:
        runner.path(path).unlink(missing_ok=True)
    else:
        write_public(runner, path, json.dumps(codec.to_plain(what), sort_keys=True))


def installed(runner: Runner, known: Mapping[str, Detection]) -> tuple[Installed, ...]:
    """Every own package that is here. `known`: how content says to look; what content has no more, its record says."""
    done, held, found = records(runner), holds(runner), []
    for name in sorted({*known, *done}):
        mine = done.get(name)
        detection = known.get(name) or (mine.detection if mine else None)
        version = look(runner, detection, mine) if detection else ""
        if version:
            state = "ii"
            if mine is not None and plain_version(mine.version) == version:
                version, state = mine.version, mine.state
            state = "h" + state[1:] if name in held else state
            found.append(Installed(name, LABEL, version, name, version, state))
    return tuple(found)


def look(runner: Runner, detection: Detection, mine: Record | None) -> str:
    """The author's version that is here, "" = none."""
    recorded = plain_version(mine.version) if mine else ""
    match detection.kind:
        case Look.FILE:
            there = _reached(runner, detection.path)
            return version_in(detection.pattern, _text(runner.path(detection.path))) if there else ""
        case Look.PATH:
            there = _reached(runner, detection.path) and os.path.lexists(runner.path(detection.path))
            return (recorded or UNKNOWN) if there else ""
        case Look.DEB:
            return _deb(runner.path(DPKG), detection.package)
        case Look.RPM:
            return _rpm(runner, detection.package)
        case Look.RECORD:
            return recorded
        case Look.PROGRAM | Look.MSI | Look.REGISTRY | Look.FILE_VERSION:
            return ""  # of Windows: `own.windows`


def holds(runner: Runner) -> frozenset[str]:
    """What root keeps as it is. A list that is there and cannot be read is an `OSError`: it may say anything."""
    try:
        lines = runner.path(HOLDS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return frozenset()
    return frozenset(line.partition("#")[0].strip() for line in lines)


def _reached(runner: Runner, path: str) -> bool:
    """Whether everybody may look into each directory on the way."""
    parents = Path(path).parents
    try:
        return all(os.stat(runner.path(str(p))).st_mode & stat.S_IXOTH for p in parents if str(p) != "/")
    except OSError:
        return False


def _text(path: Path) -> str:
    """The beginning of a plain file; anything else, or what not everybody may read, has no version in it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with open(handle, "rb") as f:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode) or not mode & stat.S_IROTH:
            return ""
        return f.read(LOOK_BYTES_MAX).decode("utf-8", "replace")


def _deb(path: Path, package: str) -> str:
    """The version that dpkg has recorded as wholly installed."""
    here, status, version = False, "", ""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                if line == "\n":
                    if here:
                        break
                    status = version = ""
                elif line.startswith("Package: "):
                    here = line[9:].strip() == package
                elif line.startswith("Status: "):
                    status = line[8:].strip()
                elif line.startswith("Version: "):
                    version = line[9:].strip()
    except OSError:
        return ""
    return version if here and status.endswith(" ok installed") else ""


def _rpm(runner: Runner, package: str) -> str:
    """The newest version that rpm has recorded, "" = none, or there is no rpm. No answer is an `OSError`, no "none"."""
    try:
        ran = runner.query("rpm", "-q", "--qf", QUERY, "--", package, timeout_s=RPM_S_MAX)
    except FileNotFoundError:
        return ""
    found = [line[len(MARK) :] for line in ran.text.splitlines() if line.startswith(MARK)]
    if ran.timed_out or "error: " in ran.text or not (found or f"{package} is not installed" in ran.text):
        raise OSError(errno.EIO, "rpm gave no answer", package)
    return max(found, key=rpm_key, default="")
