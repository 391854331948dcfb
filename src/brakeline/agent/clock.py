"""The agent's real clock, and the boot id: the only reader of time and of randomness on an endpoint.

Wall time here may be years off (dead battery, no network time): it is used only until the cell has told its own.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from brakeline.agent.model import Instant

BUILT_MS = 1_795_305_600_000  # 2026-11-22: this code did not exist before, so it is a floor for every idea of "now"


class SystemClock:
    """Wall time and monotonic time of this machine (a `core.clock.Clock`)."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def instant(self) -> Instant:
        return Instant(self.monotonic_s(), self.now_ms())


def entropy(nbytes: int) -> bytes:
    """Random bytes from the kernel, for keys."""
    return os.urandom(nbytes)


def boot_id() -> str:
    """Changes with every boot and with nothing else; uptime and wall time do not tell boots apart."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
