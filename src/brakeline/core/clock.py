"""The protocol of clocks; the real ones are `platform.clock` and `agent.clock`, the only readers of time.

`now_ms` is wall time in Unix milliseconds (may jump); `monotonic_s` never goes back and is for durations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now_ms(self) -> int: ...
    def monotonic_s(self) -> float: ...


@dataclass(slots=True)
class ManualClock:
    """A clock that moves only when told: for tests and simulation."""

    ms: int = 1_700_000_000_000
    elapsed_s: float = 0.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.elapsed_s

    def advance(self, seconds: float) -> None:
        """Move both readings forward by `seconds`."""
        assert seconds >= 0
        self.ms += round(seconds * 1000)
        self.elapsed_s += seconds
