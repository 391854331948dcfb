"""What the agent may take from its host at most, whatever goes wrong inside it. Each bound has its reason.

Two nets: these process limits, which work everywhere, and the limits of the systemd unit (memory, CPU share, tasks;
see packaging/agent). Package transactions are *not* under either: starving dpkg breaks machines, see `helper`.
On Windows a process cannot bind itself: there the launcher's job object does.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import resource

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Bounds of one process and of what it starts (they are inherited)."""

    address_space_bytes: int
    open_files: int
    processes: int  # of the whole user, as the kernel counts; root is exempt, so the unit's TasksMax stands behind it
    file_bytes: int  # largest file it can write
    cpu_s: int  # 0 = no bound


# The resident agent needs about 12 MiB; the address space of Python with ssl and locale data is about 120 MiB.
RESIDENT: Final = ProcessLimits(384 * MIB, 128, 64, 64 * MIB, 0)
# A scan reads apt's cache (about 100 MiB mapped) and starts apt-get and dpkg-query.
SCAN: Final = ProcessLimits(1024 * MIB, 256, 128, 256 * MIB, 120)
SCAN_RUN_S_MAX: Final = 300.0  # wall time; a scan at nice 19 on a busy host is slow, but not this slow
ERRAND_OUTPUT_BYTES_MAX: Final = 2 * MIB  # a plan of ORDER_ACTIONS_MAX actions is about 0.4 MiB
REFRESH_S_MAX: Final = 900.0  # package lists over a very slow line
DISK_RESERVE_BYTES: Final = 1 * MIB  # room for the results that matter when the disk is full
NICE: Final = 19  # beside a busy process on one core the agent gets about 1 % (measured)
OOM_SCORE: Final = 900  # when memory runs out the agent goes before anything that the host is for

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "armv7l": 314, "i686": 289, "ppc64le": 273, "s390x": 282}
_IOPRIO_IDLE = 3 << 13
_LIMITED = (
    ("RLIMIT_AS", "address_space_bytes"),
    ("RLIMIT_NOFILE", "open_files"),
    ("RLIMIT_NPROC", "processes"),
    ("RLIMIT_FSIZE", "file_bytes"),
    ("RLIMIT_CPU", "cpu_s"),
)


def restrain(limits: ProcessLimits) -> None:
    """Put the calling process under `limits`, for good: hard limits too, so that nothing inside can lift them."""
    if sys.platform != "win32":
        for limit, name in _LIMITED:
            kind, wanted = getattr(resource, limit), getattr(limits, name)
            if wanted:
                _, hard = resource.getrlimit(kind)
                bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
                resource.setrlimit(kind, (bound, bound))


def be_modest() -> None:
    """Lowest CPU priority, first to go when memory runs out. Best effort: some containers allow neither."""
    if sys.platform == "win32":
        from brakeline.agent import windows

        return windows.be_modest()
    with suppress(OSError):
        os.nice(max(0, NICE - os.nice(0)))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")


def be_nice(nice: int) -> None:
    """Let everything else go first, as far as that; what is started later inherits it. Best effort."""
    if nice and sys.platform != "win32":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, nice)


def idle_io() -> None:
    """Disk access only when nobody else wants the disk. For children: `ctypes` is too large for the resident."""
    if sys.platform == "win32":
        from brakeline.agent import windows

        return windows.be_modest(background=True)
    import ctypes

    number = _IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        ctypes.CDLL(None, use_errno=True).syscall(number, 1, 0, _IOPRIO_IDLE)


class DiskReserve:
    """A file of real blocks that is given up when the disk is full, so that results can still be written."""

    def __init__(self, path: Path, size: int = DISK_RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    def keep(self) -> bool:
        """Make (or make again) the reserve. False when there is no room even for that."""
        try:
            if self._path.exists() and self._path.stat().st_size == self._size:
                return True
            self._allocate()
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        return True

    def _allocate(self) -> None:
        if sys.platform == "win32":  # zeros that are written take blocks there: files are not sparse unasked
            self._path.write_bytes(bytes(self._size))
            return
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, self._size)
        finally:
            os.close(handle)

    def give_up(self) -> bool:
        """Free the reserve; False if there was none."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True
