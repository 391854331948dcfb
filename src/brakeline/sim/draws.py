"""Draws of endpoints of which only numbers are known: so many between two places, evenly spread. Pure.

The same interface as `rollout.arms.SortedDraws`, so that the planner cannot tell the difference. Next: `cohorts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brakeline.core.draw import U_END


@dataclass(frozen=True, slots=True)
class Segment:
    """`count` endpoints whose draws lie evenly in [low, high)."""

    low: int
    high: int
    count: int

    def below(self, u: int) -> int:
        """How many of them lie below `u`."""
        if u >= self.high:
            return self.count
        return 0 if u <= self.low else self.count * (u - self.low) // (self.high - self.low)

    def at(self, k: int) -> int:
        """The k-th of them, counted from 0: the least place below which k + 1 of them lie, less one."""
        return self.low + -(-(k + 1) * (self.high - self.low) // self.count) - 1


class SpreadDraws:
    """Draws in segments that follow one another."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        self._segments = tuple(s for s in segments if s.count > 0 and s.high > s.low)
        self._count = sum(s.count for s in self._segments)

    def __len__(self) -> int:
        return self._count

    def at(self, k: int) -> int:
        for segment in self._segments:
            if k < segment.count:
                return segment.at(k)
            k -= segment.count
        return U_END

    def below(self, u: int) -> int:
        """How many lie below `u`."""
        return sum(s.below(u) for s in self._segments)

    def between(self, low: int, high: int) -> int:
        return max(0, self.below(high) - self.below(low))

    def from_top(self, high: int, k: int) -> int:
        return self.at(self.below(high) - k)
