"""Where a package transaction runs on Windows: a process beside the helper, in a job of its own. Only imported there.

The process outlives the helper, because Windows ends no child with its parent, and is found again by its id and the
time of its start. It puts itself into a job whose only handle is its own: however it ends, everything that it or an
installer has started ends with it, and each installer has a job of its own inside (`providers.windows.real`). What
Windows Installer's own service does is in nobody's job: it finishes, or undoes it by itself. No signal asks it to stop;
a shutdown is a power cut to it, which `recover` looks into afterwards.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from ctypes import wintypes
from pathlib import Path
from typing import Final

from brakeline.agent.transaction_unit import CannotStart, own_copy

assert sys.platform == "win32"
from brakeline.agent.providers.windows.real import job_around  # noqa: E402 - Windows alone
from brakeline.agent.windows_child import PASSED_ON  # noqa: E402

DETACHED: Final = 0x00000008 | 0x00000200  # no console of the helper's, no Ctrl+C of anybody's
QUERY, SYNCHRONIZE, STILL_RUNS = 0x1000, 0x00100000, 0x102
_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.OpenProcess.restype = wintypes.HANDLE
_kernel.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
_kernel.WaitForSingleObject.argtypes = [wintypes.HANDLE, wintypes.DWORD]
_kernel.GetProcessTimes.argtypes = [wintypes.HANDLE, *[ctypes.c_void_p] * 4]
_kernel.CloseHandle.argtypes = [wintypes.HANDLE]
_kernel.GetCurrentProcess.restype = wintypes.HANDLE


class JobStarter:
    """Processes that put themselves into jobs."""

    def __init__(self, program: list[str], state_dir: Path) -> None:
        self._program = program
        self._state_dir = state_dir
        self._ours: dict[str, subprocess.Popen[bytes]] = {}  # of this very helper

    def start(self, transaction_id: str) -> None:
        directory = self._state_dir / "tx" / transaction_id
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        try:
            program = own_copy(self._program, directory)
            command = [*program, "transaction", transaction_id, "--helper-state", str(self._state_dir)]
            process = subprocess.Popen(command, cwd=directory.parent, env=environment, creationflags=DETACHED)
        except OSError as e:
            raise CannotStart(f"{directory}: {e.strerror}") from e
        self._ours[transaction_id] = process
        (directory / "pid").write_text(f"{process.pid} {_started(process.pid)}", encoding="ascii")

    def alive(self, transaction_id: str) -> bool:
        """By id and start time, so that an id that was given to somebody else is not mistaken for ours."""
        if (ours := self._ours.get(transaction_id)) is not None:
            return ours.poll() is None
        try:
            text = (self._state_dir / "tx" / transaction_id / "pid").read_text(encoding="ascii")
            pid, started = text.split()
        except (OSError, ValueError):
            return False
        return _started(int(pid)) == started


def line_of(words: list[str]) -> str:
    """One command line that is taken apart into these very words."""
    return subprocess.list2cmdline(words)


def enter(directory: Path) -> None:
    """The calling process in a job that ends with it; what it says goes into a file, for it has no console."""
    job_around(int(_kernel.GetCurrentProcess()))
    sys.stdout = sys.stderr = open(directory / "output", "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - to the end


def _started(pid: int) -> str:
    """When the process was made, as the system counts; "" = there is none, or it is over."""
    handle = _kernel.OpenProcess(QUERY | SYNCHRONIZE, False, pid)
    if not handle:
        return ""
    try:
        made, rest = ctypes.c_uint64(), ctypes.c_uint64()
        known = _kernel.GetProcessTimes(handle, ctypes.byref(made), *[ctypes.byref(rest)] * 3)
        runs = _kernel.WaitForSingleObject(handle, 0) == STILL_RUNS
        return str(made.value) if known and runs else ""
    finally:
        _kernel.CloseHandle(handle)
