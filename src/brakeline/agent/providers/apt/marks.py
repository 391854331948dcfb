"""Which packages nobody asked for by name: apt's own marks, read from the file it keeps them in, set by apt alone.

Asking apt for them (`apt-mark showauto`) loads its whole cache each time, 0.1 CPU-seconds, and 0.4 after dpkg has run:
then the cache is made anew. That has to be done once, by root: whoever looks next is the agent, which may not write it
and would make it in memory for every question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.apt.parse import parse_records
from brakeline.agent.providers.apt.queries import Queries, apt_name
from brakeline.agent.providers.apt.runner import Runner

USUAL: Final = "/var/lib/apt/extended_states"


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one endpoint."""

    runner: Runner

    def automatic(self) -> frozenset[str]:
        """Packages that came because others need them, by apt's names."""
        try:
            text = self.runner.path(self._file()).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return frozenset()  # apt makes it with the first mark
        native = Queries(self.runner).native()
        return frozenset(apt_name(name, architecture, native) for name, architecture in automatic_of(text))

    def put_back(self, lost: Iterable[str]) -> None:
        """Mark these again (naming a package for an upgrade takes its mark); either way apt's cache is fresh then."""
        if names := sorted(lost):
            self.runner.query("apt-mark", "auto", *names)
        else:
            self.runner.query("apt-cache", "gencaches")

    def _file(self) -> str:
        said = self.runner.query("apt-config", "shell", "F", "Dir::State::extended_states/f").text
        found = re.search(r"^F='(/[^']*)'", said, re.MULTILINE)
        return found[1] if found else USUAL


def automatic_of(text: str) -> tuple[tuple[str, str], ...]:
    """Name and architecture of each package that the file marks."""
    marked = (r for r in parse_records(text) if r.get("auto-installed", "").strip() == "1")
    return tuple((r.get("package", ""), r.get("architecture", "")) for r in marked)
