"""The signed documents as files, in the layout that any TUF client reads; `timestamp.json` is what commits a set.

`N.root.json`, `N.targets.json`, `N.content.json`, `N.snapshot.json` are written once and durably, then `timestamp.json`
is replaced: whatever the moment of a crash, the set that it leads to is whole, the old one or the new. A root counts
with the set that it fits. What people bring to be published waits in `incoming/` until it counts or is refused.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from brakeline.releases.faults import RepositoryBroken
from brakeline.releases.files import make_directory, sync_directory, write_durably
from brakeline.trust.assess import assess
from brakeline.trust.errors import Distrust
from brakeline.trust.model import ClockReading, Documents, Floors, Who
from brakeline.trust.times import parse_ms

VERSIONED: Final = ("targets", "content", "snapshot")
INCOMING: Final = ("root", "targets", "content")
CHECKED: Final = ("timestamp", "snapshot", "targets", "content", "recall")


def objections(documents: Documents, cell: str) -> tuple[str, ...]:
    """What an endpoint of `cell` that pinned the first root would not believe of `documents` (all roots in them)."""
    if not documents.roots:
        return ("there is no root",)
    offered = replace(documents, roots=documents.roots[1:], time="", leases=())
    seen = assess(documents.roots[0], Documents(), offered, Who("", cell, ""), ClockReading(0), Floors())
    lost = [name for name in CHECKED if getattr(seen.documents, name) != getattr(documents, name)]
    if seen.documents.roots != offered.roots:
        lost.append("root")
    said = [p.text for p in seen.problems if p.code != "clock_skew"]  # no clock was given: expiry is another matter
    return tuple(said or [f"{name} is not believed" for name in lost]) if lost else ()


def version_of(text: str) -> int:
    """The version that a document gives itself; 0 when it gives none."""
    try:
        return int(json.loads(text)["signed"]["version"])
    except (ValueError, KeyError, TypeError):
        return 0


def expires_ms_of(text: str) -> int:
    """When a document says that it expires, Unix milliseconds; 0 when it does not say."""
    try:
        return parse_ms(json.loads(text)["signed"]["expires"])
    except (ValueError, KeyError, TypeError, Distrust):
        return 0


class Repository:
    """The documents of one cell below `directory`."""

    def __init__(self, directory: Path, cell: str) -> None:
        self._files, self._incoming, self._cell = directory / "repository", directory / "incoming", cell

    def roots(self) -> tuple[str, ...]:
        """Every root that is here, from version 1 on without a gap."""
        found: list[str] = []
        while text := self._read(f"{len(found) + 1}.root.json"):
            found.append(text)
        return tuple(found)

    def load(self) -> Documents | None:
        """The committed documents, all roots in them; None when nothing was ever committed. `RepositoryBroken`."""
        timestamp = self._read("timestamp.json")
        if not timestamp:
            return None
        snapshot = self._read(f"{_named(timestamp, 'snapshot.json')}.snapshot.json")
        below = {name: self._read(f"{_named(snapshot, f'{name}.json')}.{name}.json") for name in ("targets", "content")}
        roots = self.roots()
        documents = Documents(roots, timestamp, snapshot, below["targets"], below["content"])
        problems: tuple[str, ...] = ()
        for newest in range(len(roots), 0, -1):  # a root beyond the set that fits was not committed with one
            found = replace(documents, roots=roots[:newest])
            problems = objections(found, self._cell)
            if not problems:
                with_recall = replace(found, recall=self._read("recall.json"))
                return found if objections(with_recall, self._cell) else with_recall
        raise RepositoryBroken(f"{self._files}: {'; '.join(problems) or 'there is no root'}")

    def commit(self, documents: Documents, before: Documents) -> None:
        """Make `documents` durable; when this returns, the next `load` gives them. Raises `OSError`."""
        make_directory(self._files)
        if documents.recall != before.recall:  # first: it can only forbid, and nothing below may hold it up
            write_durably(self._files / "recall.json", documents.recall.encode())
        for n, text in enumerate(documents.roots, start=1):
            if n > len(before.roots) or text != before.roots[n - 1]:
                write_durably(self._files / f"{n}.root.json", text.encode())
        for name in VERSIONED:
            text = getattr(documents, name)
            if text and text != getattr(before, name):
                write_durably(self._files / f"{version_of(text)}.{name}.json", text.encode())
        if documents.timestamp != before.timestamp:
            write_durably(self._files / "timestamp.json", documents.timestamp.encode())
            self._sweep(documents)

    def _sweep(self, documents: Documents) -> None:
        """Remove what the committed set no longer leads to; roots stay for ever."""
        kept = {f"{version_of(getattr(documents, name))}.{name}.json" for name in VERSIONED}
        for name in VERSIONED:
            for path in self._files.glob(f"*.{name}.json"):
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    # --- what people bring -------------------------------------------------------------------------------------------

    def incoming(self) -> dict[str, str]:
        """Documents that wait to be published, by role."""
        found = {name: self._incoming / f"{name}.json" for name in INCOMING}
        return {name: path.read_text() for name, path in found.items() if path.exists()}

    def bring(self, name: str, text: str) -> None:
        """Let a document wait. Durable when it returns."""
        make_directory(self._incoming)
        write_durably(self._incoming / f"{name}.json", text.encode())

    def drop(self, names: tuple[str, ...]) -> None:
        """These wait no longer."""
        for name in names:
            (self._incoming / f"{name}.json").unlink(missing_ok=True)
        if names and self._incoming.exists():
            sync_directory(self._incoming)

    def _read(self, name: str) -> str:
        try:
            return (self._files / name).read_text()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as e:
            raise RepositoryBroken(f"{self._files / name}: {e}") from None


def _named(text: str, name: str) -> Any:
    """Version of `name` that a document leads to."""
    try:
        return int(json.loads(text)["signed"]["meta"][name]["version"])
    except (ValueError, KeyError, TypeError):
        return 0
