"""How long the system that runs took to start, from systemd's own marks over D-Bus. No privilege, no program.

From the kernel's first moment, or in a container from that of its own systemd, until everything that the start wanted
was started (what `systemd-analyze time` says, without firmware and loader). While it still starts the number rises, so
a start that never ends is told as well. None = there is no systemd to ask.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from brakeline.agent.systemd_bus import manager_numbers

BEGAN: Final = "UserspaceTimestampMonotonic"
ENDED: Final = "FinishTimestampMonotonic"
CONTAINER: Final = "run/systemd/container"  # as systemd tells those within; the clock is then the host's
Clock = Callable[[], int]  # of microseconds
Ask = Callable[[tuple[str, ...]], tuple[int, ...] | None]


class StartProbe:
    """Asks until the start is over, which it is for most of the time."""

    def __init__(self, root: Path = Path("/"), ask: Ask = manager_numbers, now_us: Clock | None = None) -> None:
        self._root, self._ask = root, ask
        self._now_us = now_us or (lambda: time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
        self._took_s: int | None = None

    def seconds(self) -> int | None:
        """Whole seconds of this start."""
        if self._took_s is not None:
            return self._took_s
        marks = self._ask((BEGAN, ENDED))
        if marks is None:
            return None
        began_us, ended_us = marks
        from_us = began_us if (self._root / CONTAINER).exists() else 0
        if ended_us > from_us:
            self._took_s = (ended_us - from_us) // 1_000_000
            return self._took_s
        return max(0, self._now_us() - from_us) // 1_000_000
