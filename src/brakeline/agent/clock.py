"""The agent's real clock, and the boot id: the only reader of time and of randomness on an endpoint.

Wall time here may be years off (dead battery, no network time): it is used only until the cell has told its own.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from brakeline.agent.model import Instant

BUILT_MS = 1_795_305_600_000  # 2026-11-22: this code did not exist before, so it is a floor for every idea of "now"
PID1_WITH_KERNEL_TICKS = (
    60 * 100
)  # clock ticks since the kernel's start: the slowest firmware and initrd are done by then


class SystemClock:
    """Wall time and monotonic time of this machine (a `core.clock.Clock`)."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def instant(self) -> Instant:
        return Instant(self.monotonic_s(), self.now_ms(), zone_s())


def zone_s() -> int:
    """How far this machine's local time is before UTC now, in seconds; a changed zone is noticed."""
    if sys.platform != "win32":
        time.tzset()
    return time.localtime().tm_gmtoff


def local_time(in_s: float) -> str:
    """The day and hour so many seconds from now, in this machine's local time, for people."""
    return time.strftime("%A %H:%M", time.localtime(time.time() + in_s))


def up_s() -> float:
    """Seconds since this machine was started, sleep included; a container sees its host's."""
    if sys.platform == "win32":  # GetTickCount64 is what Python's clock reads there: it starts with the machine
        return time.monotonic()
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def cpu_clocks() -> tuple[Callable[[], float], Callable[[], float], Callable[[], int]]:
    """Seconds of processor that this process has used, seconds that have passed, and wall time in ns (of files)."""
    return time.process_time, time.monotonic, time.time_ns


def entropy(nbytes: int) -> bytes:
    """Random bytes from the kernel, for keys."""
    return os.urandom(nbytes)


def boot_id(proc: Path = Path("/proc")) -> str:
    """Changes with every boot and with nothing else; uptime and wall time do not tell boots apart.

    The kernel's own id, unless PID 1 is much younger than the kernel: then this is a container, which sees the id of
    its host (nspawn lends it one of its own, but units with ProtectKernelTunables= see through that), and the start
    of PID 1 goes into the id. Else two containers on one host could not be told from one.
    """
    if sys.platform == "win32":
        from brakeline.agent import windows

        return windows.boot_id()
    kernel = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    try:
        started = int((proc / "1/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):  # hidden processes: the kernel's id is all there is
        return kernel
    if started < PID1_WITH_KERNEL_TICKS:
        return kernel
    digest = hashlib.sha256(f"{kernel} {started}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
