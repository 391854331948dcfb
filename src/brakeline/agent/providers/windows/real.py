"""The real `Box`: this Windows. Imported there alone.

A program is started by its whole line, without a window, console, input or our handles; everything that it starts is
in its job, which a time-out ends. What Windows Installer's own service does is in nobody's job: it undoes by itself
what it has not finished, and until then `busy` says so. Output goes to a file, bounded when it is read.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from ctypes import wintypes
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from brakeline.agent.providers.windows import registry
from brakeline.agent.providers.windows.box import OUTPUT_BYTES_MAX, Ended
from brakeline.agent.providers.windows.pending import Hive
from brakeline.agent.providers.windows.programs import Entry

assert sys.platform == "win32"

MUTEX: Final = "Global\\_MSIExecute"  # held while Windows Installer carries something out
SYNCHRONIZE: Final = 0x00100000
KILL_ON_CLOSE, EXTENDED_LIMITS, ENDED = 0x2000, 9, 137
NO_WINDOW: Final = 0x08000000
_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.CreateJobObjectW.restype = wintypes.HANDLE
_kernel.CreateJobObjectW.argtypes = [ctypes.c_void_p, wintypes.LPCWSTR]
_kernel.SetInformationJobObject.argtypes = [wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD]
_kernel.AssignProcessToJobObject.argtypes = [wintypes.HANDLE, wintypes.HANDLE]
_kernel.TerminateJobObject.argtypes = [wintypes.HANDLE, wintypes.UINT]
_kernel.CloseHandle.argtypes = [wintypes.HANDLE]
_kernel.OpenMutexW.restype = wintypes.HANDLE
_kernel.OpenMutexW.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.LPCWSTR]


class _Limits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION: nothing but that its end ends everything in it."""

    _fields_ = (("times", ctypes.c_int64 * 2), ("flags", wintypes.DWORD), ("sets", ctypes.c_size_t * 2),
                ("processes", wintypes.DWORD), ("affinity", ctypes.c_size_t), ("priorities", wintypes.DWORD * 2),
                ("io", ctypes.c_uint64 * 6), ("memory", ctypes.c_size_t * 4))  # fmt: skip


@dataclass(frozen=True, slots=True)
class RealBox:
    """This machine."""

    def entries(self) -> tuple[Entry, ...]:
        return registry.entries()

    def upgrades(self) -> dict[str, str]:
        return registry.upgrades()

    def restarts(self) -> Hive:
        return registry.restarts()

    def busy(self) -> str:
        """By the mutex that Windows Installer holds; what it is at, the registry says."""
        handle = _kernel.OpenMutexW(SYNCHRONIZE, False, MUTEX)
        if not handle:
            return ""
        _kernel.CloseHandle(handle)
        what = registry.in_progress()
        return f"Windows Installer ({what})" if what else "Windows Installer"

    def native(self, path: Path) -> str:
        return str(path.absolute())

    def run(self, line: str, timeout_s: float) -> Ended:
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=out, stderr=out, creationflags=NO_WINDOW, close_fds=True
            )
            job = job_around(int(process._handle))  # type: ignore[attr-defined]
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                _end(process, job)
                return Ended(ENDED, _head(out), timed_out=True)
            finally:
                if job:
                    _kernel.CloseHandle(job)
            return Ended(code & 0xFFFFFFFF, _head(out))


def job_around(process: int) -> int:
    """A job around the process of this handle, ended with our handle of it. 0 = the system refuses."""
    job = _kernel.CreateJobObjectW(None, None)
    limits = _Limits(flags=KILL_ON_CLOSE)
    if job:
        _kernel.SetInformationJobObject(job, EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))
        if _kernel.AssignProcessToJobObject(job, process):
            return int(job)
        _kernel.CloseHandle(job)
    return 0


def _end(process: subprocess.Popen[bytes], job: int) -> None:
    if job:
        _kernel.TerminateJobObject(job, ENDED)
    else:
        process.kill()
    process.wait(10)


def _head(out: IO[bytes]) -> bytes:
    out.seek(0)
    return out.read(OUTPUT_BYTES_MAX)
