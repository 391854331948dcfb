"""What a provider needs of a Windows: its registry, who installs at the moment, one program started and waited for.

`Box` is a port. The real one is `real` (Windows alone, imported late); `fake` is one in memory, which ships and passes
the same contract. What a Box says is a hint or a state, never a judgement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from brakeline.agent.providers.windows.pending import Hive
from brakeline.agent.providers.windows.programs import Entry
from brakeline.core.errors import Fault

OUTPUT_BYTES_MAX: Final = 1024 * 1024  # of one program; the rest is thrown away


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. `code` as Windows gives it, unsigned; `timed_out`: it was ended with all it had started."""

    code: int
    output: bytes = b""
    timed_out: bool = False


class NoAnswer(Fault):
    """A part of Windows could not be looked at."""

    code = "no-answer"


class Box(Protocol):
    """One Windows."""

    def entries(self) -> tuple[Entry, ...]: ...
    def upgrades(self) -> Mapping[str, str]:
        """Upgrade code by product code."""
        ...

    def restarts(self) -> Hive: ...
    def busy(self) -> str:
        """Who installs by Windows Installer at the moment, "" = nobody. Not asked of a person, and never waited for."""
        ...

    def run(self, line: str, timeout_s: float) -> Ended:
        """Start a program by its command line, without a window, a console or an input; OSError if it cannot be."""
        ...

    def native(self, path: Path) -> str:
        """A path of ours as that Windows calls it."""
        ...
