"""Rows of a run that may be ended and taken up again: kept with the digest of everything that they were made by.

A run of all managers takes an hour or more; a machine that is turned off in the middle of it should not cost all of
it. What was done is believed only by the very same sources and the very same list of situations, in their order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.correctness.row import Row

ROOT = Path(__file__).resolve().parents[2]
MADE_BY = (
    "src/brakeline/agent/**/*.py", "src/brakeline/protocol/*.py", "src/brakeline/core/*.py", "tests/*.py",
    "tests/correctness/*.py", "tools/fleetbox/*.py",
)  # fmt: skip


@dataclass
class Sitting:
    """The file of one run. `ids`: of all its situations, in their order."""

    file: Path | None
    ids: Sequence[str]
    sources: str = ""
    rows: list[Row] = field(default_factory=list)

    def take_up(self) -> int:
        """How many rows an earlier sitting has left that still count."""
        try:
            told = json.loads(self._beside.read_text()) if self._beside else {}
            rows = [Row(**r) for r in json.loads(self.file.read_text())] if self.file else []
        except (OSError, ValueError, TypeError):
            return 0
        if told.get("sources") == self.sources and told.get("ids") == list(self.ids) and len(rows) <= len(self.ids):
            self.rows = rows
        return len(self.rows)

    def add(self, row: Row) -> None:
        """On disk before the next one begins."""
        self.rows.append(row)
        if self.file is not None and self._beside is not None:
            self._beside.write_text(json.dumps({"sources": self.sources, "ids": list(self.ids)}))
            self.file.write_text(json.dumps([asdict(r) for r in self.rows], indent=1) + "\n")

    @property
    def _beside(self) -> Path | None:
        return self.file.with_name(self.file.name + ".of") if self.file is not None else None


def digest_of(root: Path = ROOT, places: Iterable[str] = MADE_BY) -> str:
    """Of every Python file that a row may depend on."""
    digest = hashlib.sha256()
    for place in places:
        for path in sorted(root.glob(place)):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
