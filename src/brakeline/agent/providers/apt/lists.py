"""How old the package lists are and whether the last refresh worked: our own record, and the lists' own dates.

apt leaves no trustworthy trace of a successful refresh (its stamps are written even when every mirror was
unreachable), so each refresh of ours is recorded in a small world-readable file. Somebody else's refresh is believed
as far as it changed a Release file. Without a record the lists are as old as their newest Release says.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from brakeline.agent.providers.apt.refresh import ReleaseFile, expired_sentence, parse_release_file
from brakeline.agent.providers.apt.runner import Runner

LISTS = "/var/lib/apt/lists"
RECORD = "/var/cache/brakeline/apt-refresh.json"  # root writes it, the unprivileged agent reads it
HEAD_BYTES = 4096  # a Release file says its dates in its first lines


@dataclass(frozen=True, slots=True)
class ListsState:
    """`refreshed_ms` 0 = never; `problem` "" = the last refresh worked and nothing has expired."""

    refreshed_ms: int
    problem: str


@dataclass(frozen=True, slots=True)
class Record:
    """Outcome of our last refresh."""

    tried_ms: int = 0
    succeeded_ms: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Lists:
    """The package lists of one endpoint."""

    runner: Runner

    def state(self, now_ms: int) -> ListsState:
        """Age and trouble of the lists, from the record and from the lists themselves."""
        releases, touched_ms = self._releases()
        record = self.record()
        if not releases:
            return ListsState(0, record.problem or "There are no package lists: they were never refreshed.")
        refreshed = record.succeeded_ms
        if record.tried_ms == 0:
            refreshed = max(r.date_ms for r in releases)
        elif touched_ms > record.tried_ms:
            refreshed = touched_ms  # somebody else refreshed them since, with effect
        problem = "" if touched_ms > record.tried_ms > 0 else record.problem
        return ListsState(refreshed, problem or expired_sentence(releases, now_ms))

    def _releases(self) -> tuple[tuple[ReleaseFile, ...], int]:
        found, touched = [], 0
        try:
            names = sorted(os.listdir(self.runner.path(LISTS)))
        except OSError:
            return (), 0
        for name in names:
            if not name.endswith("Release"):
                continue
            path = self.runner.path(f"{LISTS}/{name}")
            try:
                with open(path, encoding="utf-8", errors="replace") as f:
                    found.append(parse_release_file(f.read(HEAD_BYTES)))
                touched = max(touched, int(os.stat(path).st_ctime * 1000))
            except OSError:
                continue
        return tuple(found), touched

    def record(self) -> Record:
        """Our own record; an unreadable one counts as none."""
        try:
            values = json.loads(self.runner.path(RECORD).read_text())
            return Record(int(values["tried_ms"]), int(values["succeeded_ms"]), str(values["problem"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Record()

    def remember(self, now_ms: int, problem: str) -> None:
        """Record the outcome of a refresh that has just ended."""
        succeeded = self.record().succeeded_ms if problem else now_ms
        values = {"tried_ms": now_ms, "succeeded_ms": succeeded, "problem": problem}
        write_public(self.runner, RECORD, json.dumps(values))


def write_public(runner: Runner, path: str, text: str) -> None:
    """Replace a small world-readable file in one step."""
    target = runner.path(path)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    scratch = target.with_name(target.name + ".new")
    with open(scratch, "w", encoding="utf-8") as f:
        os.fchmod(f.fileno(), 0o644)
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(scratch, target)
