"""What our own processes on real endpoints cost while they work, seen from outside: memory and CPU by what they are.

A thread reads /proc for the members of each endpoint's control group, several times a second. Memory is proportional
(PSS) and its peak is that of the looks; CPU-seconds are those since the first look, or since the process began, until
it was last seen. So both say "at least", by what happens within one look. Ended children are counted with a transaction
alone: they are its package manager; those of the agent are told by themselves.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.fleetbox import cgroups
from tools.fleetbox.settings import Place

from bench._proc import TICKS_PER_S, pss_mib, stat

LOOK_S = 0.25
PARTS = ("agent", "helper", "transaction", "agent's children")


@dataclass
class Part:
    """One kind of process on the endpoints of one manager."""

    peak_mib: float = 0.0
    cpu_s: dict[tuple[int, str], float] = field(default_factory=dict)  # by pid and start
    before_s: dict[tuple[int, str], float] = field(default_factory=dict)  # of those that were there at the first look


@dataclass
class Watch:
    """Looks until it is told to stop. `names`: endpoint -> its manager."""

    place: Place
    names: Mapping[str, str]
    parts: dict[tuple[str, str], Part] = field(default_factory=lambda: defaultdict(Part))
    _kinds: dict[tuple[int, str], str] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _first: bool = True

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def cpu_s(self, manager: str, part: str) -> float:
        """Of all endpoints of this manager together."""
        found = self.parts[(manager, part)]
        return sum(found.cpu_s.values()) - sum(found.before_s.values())

    def _run(self) -> None:
        self._first = True
        while not self._ended.is_set():
            begun = time.monotonic()
            for name, manager in self.names.items():
                for pid in self._members(name):
                    self._look(pid, manager)
            self._first = False
            self._ended.wait(max(0.0, LOOK_S - (time.monotonic() - begun)))

    def _members(self, name: str) -> frozenset[int]:
        try:
            return cgroups.members(self.place.namespace(name))
        except OSError:  # a unit of it went away under us; the next look has the others
            return frozenset()

    def _look(self, pid: int, manager: str) -> None:
        fields = stat(pid)
        if not fields:
            return
        key = (pid, fields[19])  # a pid may be used again: by its start
        if key not in self._kinds:
            self._kinds[key] = kind_of(pid)
        if not (kind := self._kinds[key]):
            return
        part = self.parts[(manager, kind)]
        part.peak_mib = max(part.peak_mib, pss_mib([pid]))
        part.cpu_s[key] = sum(int(x) for x in fields[11 : 15 if kind == "transaction" else 13]) / TICKS_PER_S
        if self._first:
            part.before_s[key] = part.cpu_s[key]


def kind_of(pid: int) -> str:
    """Which of PARTS it is, "" = none of ours."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    if "python" not in words[0] or not any("brakeline" in w for w in words[1:4]):
        return ""
    if "helper" in words:
        return "helper"
    if "transaction" in words:
        return "transaction"
    if {"scan", "plan"} & set(words):
        return "agent's children"
    return "agent" if "run" in words else ""
