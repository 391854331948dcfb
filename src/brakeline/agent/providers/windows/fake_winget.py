"""A winget in memory: a `Box` that answers its command line with its tables, which ships and passes the contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from brakeline.agent.providers.windows.box import Ended
from brakeline.agent.providers.windows.pending import Hive
from brakeline.agent.providers.windows.programs import Entry

NOTHING, NO_VERSION, PIN, NO_SOURCE = 0x8A150014, 0x8A150017, 0x8A150068, 0x8A150045
_ID = re.compile(r'--id "([^"]+)"')
_VERSION = re.compile(r'--version "([^"]+)"')


@dataclass
class FakeWinget:
    """`packages`: versions by Id, oldest first; `here`: the version that is installed; header in German."""

    packages: dict[str, list[str]] = field(default_factory=dict)
    here: dict[str, str] = field(default_factory=dict)
    pins: set[str] = field(default_factory=set)
    network: bool = True
    holders: list[str] = field(default_factory=list)
    script: list[Ended | OSError] = field(default_factory=list)  # instead of the next changes
    lines: list[str] = field(default_factory=list)

    def entries(self) -> tuple[Entry, ...]:
        return ()

    def upgrades(self) -> Mapping[str, str]:
        return {}

    def restarts(self) -> Hive:
        return {}

    def busy(self) -> str:
        return self.holders.pop(0) if self.holders else ""

    def native(self, path: Path) -> str:
        return str(path)

    def run(self, line: str, timeout_s: float) -> Ended:  # noqa: ARG002 - it takes no time
        self.lines.append(line)
        words = line.partition('" ')[2]
        if words.startswith("list"):
            return _table((id_, v, self._newer(id_)) for id_, v in self.here.items())
        if words.startswith("pin"):
            return _table((id_, self.here.get(id_, "1"), "") for id_ in sorted(self.pins))
        if words.startswith("source"):
            return Ended(0 if self.network else NO_SOURCE)
        found = _ID.search(words)
        if words.startswith("show") and found:
            return Ended(0, "\n".join(["Version", "-------", *reversed(self.packages.get(found[1], []))]).encode())
        if words.startswith("upgrade") and found:
            return self._upgrade(found[1], words)
        return _table((id_, v, self._newer(id_)) for id_, v in self.here.items() if self._newer(id_))

    def _newer(self, id_: str) -> str:
        newest = self.packages.get(id_, [""])[-1]
        return newest if newest != self.here[id_] else ""

    def _upgrade(self, id_: str, words: str) -> Ended:
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, OSError):
                raise answer
            return answer
        wanted = _VERSION.search(words)
        if id_ in self.pins:
            return Ended(PIN)
        if wanted is None or wanted[1] not in self.packages.get(id_, []):
            return Ended(NO_VERSION)
        self.here[id_] = wanted[1]
        return Ended(0)


def _table(rows: Iterable[tuple[str, str, str]]) -> Ended:
    """As winget prints one."""
    cells = [("Name", "ID", "Version", "Verfügbar", "Quelle")]
    cells += [(f"Programm {id_}", id_, version, newer, "winget") for id_, version, newer in rows]
    if len(cells) == 1:
        return Ended(NOTHING, b"Es wurde kein installiertes Paket gefunden.\n")
    wide = [max(len(row[i]) for row in cells) + 1 for i in range(5)]
    lines = ["".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in cells]
    return Ended(0, "\n".join([lines[0], "-" * sum(wide), *lines[1:], ""]).encode())
