"""The server's real clock and the maker of ids: the only reader of wall time and of randomness on the server side.

Everything else takes a `core.clock.Clock` (and ids or entropy) as a parameter, so that tests and simulation can
hold time still.
"""

from __future__ import annotations

import os
import time

from brakeline.core.clock import Clock
from brakeline.core.ids import RANDOM_BYTES, make_id

BUILT_MS = 1_795_305_600_000  # 2026-11-22: this code did not exist before, so an earlier wall clock is wrong


class SystemClock:
    """Wall time and monotonic time of this machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class IdMaker:
    """Makes ids of `core.ids` from `clock` and the kernel's randomness; sorted by time of making."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def new(self, prefix: str) -> str:
        """A fresh id of kind `prefix`, a key of `core.ids.PREFIXES`."""
        return make_id(prefix, self._clock.now_ms(), os.urandom(RANDOM_BYTES))

    def secret(self, nbytes: int = 32) -> str:
        """`nbytes` random bytes as lower-case hex: for tokens and keys."""
        return os.urandom(nbytes).hex()


def clock_problem(now_ms: int) -> str:
    """Why the wall clock cannot be right, in one sentence, or "" when nothing speaks against it."""
    if now_ms >= BUILT_MS:
        return ""
    day = time.strftime("%Y-%m-%d", time.gmtime(now_ms / 1000))
    return (
        f"This machine's clock says {day}, which is before this release was made. Certificates made now would not "
        "be valid later. Set the clock (for example: timedatectl set-ntp true) and start again."
    )
