"""The launcher's only reader of clocks and randomness."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if sys.platform == "win32":
    import ctypes

    _awake = ctypes.WinDLL("kernel32").QueryUnbiasedInterruptTime

    def monotonic_s() -> float:
        """As below. Python's own goes on there while the machine sleeps: whoever closes the lid right after a release
        was started would have it counted as never READY, and one opened in the morning as one that has lasted."""
        ticks = ctypes.c_uint64()
        if _awake(ctypes.byref(ticks)):
            return ticks.value / 1e7
        return time.monotonic()

else:

    def monotonic_s() -> float:
        """Seconds awake: they never jump, stand still while the machine sleeps, and mean something within one boot."""
        return time.monotonic()


def wall_ms() -> int:
    """Unix milliseconds, maybe years off."""
    return time.time_ns() // 1_000_000


def nonce() -> str:
    """32 hex digits that nobody can foresee."""
    return os.urandom(16).hex()


def boot_id() -> str:
    """Another after every boot of the host; inside a container also after a start of its first process."""
    if sys.platform == "win32":
        from brakeline.launcher import windows

        return windows.boot_id()
    try:
        kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        first = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]  # start of PID 1, in ticks
    except OSError:
        return os.environ.get("BRAKELINE_BOOT_ID", "unknown")  # other systems hand it over
    return f"{kernel}.{first}"
