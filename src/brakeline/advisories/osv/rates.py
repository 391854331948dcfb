"""How many questions an address may ask: a bucket each, refilled with time, the oldest address forgotten first.

Invariant: memory is bounded whatever addresses come. Time arrives through the clock.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from brakeline.core.clock import Clock

BURST: Final = 5_000  # a large lock file five times
PER_SECOND: Final = 100.0  # an auditor that asks one by one asks about ten a second
ADDRESSES_MAX: Final = 10_000


class Rates:
    """See the module."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()  # address -> questions left, when

    def spend(self, address: str, questions: int) -> bool:
        """Whether `address` may ask so many now; if so they are spent."""
        now = self._clock.now_ms()
        left, then = self._left.pop(address, (float(BURST), now))
        left = min(float(BURST), left + max(0, now - then) / 1000 * PER_SECOND)
        may = left >= questions
        self._left[address] = (left - questions if may else left, now)
        while len(self._left) > ADDRESSES_MAX:
            self._left.popitem(last=False)
        return may
