"""The service that keeps stub, launcher and agent on Windows, under the account that was named. Only imported there.

It starts one command line, written by whoever installed the service, in a job of its own; starts it again when it ends;
and asks it to stop as the stub's end does: the launcher notices, tells the agent, and ends in order. What is left after
that time ends with the job. What they print goes into a bounded file of the agent's own.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from contextlib import suppress
from ctypes import wintypes
from pathlib import Path
from typing import IO, Final

assert sys.platform == "win32"
from brakeline.agent.providers.windows.real import job_around  # noqa: E402 - Windows alone
from brakeline.agent.windows_serving import STOP_S, turn, under_manager  # noqa: E402

AGENT: Final = "BrakelineAgent"
AGAIN_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)  # after each end, until it has run for CALM_S
CALM_S, LOOK_S = 60.0, 0.5
ACCOUNTING: Final = 1  # JobObjectBasicAccountingInformation
NO_WINDOW: Final = 0x08000000
_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.QueryInformationJobObject.argtypes = [
    wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD, ctypes.c_void_p,
]  # fmt: skip
_kernel.CloseHandle.argtypes = [wintypes.HANDLE]


class _Accounting(ctypes.Structure):
    """JOBOBJECT_BASIC_ACCOUNTING_INFORMATION."""

    _fields_ = (("times", ctypes.c_int64 * 4), ("faults", wintypes.DWORD), ("total", wintypes.DWORD),
                ("active", wintypes.DWORD), ("ended", wintypes.DWORD))  # fmt: skip


def host(command: list[str], state_dir: Path) -> int:
    """Under the service manager, until it says stop; the exit code."""
    over = threading.Event()
    return under_manager(AGENT, over, state_dir / "service.log", lambda: _keep(command, state_dir, over))


def _keep(command: list[str], state_dir: Path, over: threading.Event) -> int:
    ends = 0
    while not over.is_set():
        began_s = _up_s()
        _once(command, state_dir / "launcher.log", over)
        ends = 0 if _up_s() - began_s >= CALM_S else ends
        over.wait(AGAIN_S[min(ends, len(AGAIN_S) - 1)])
        ends += 1
    return 0


def _once(command: list[str], log: Path, over: threading.Event) -> None:
    """Start it and wait for its end, or for the word to stop."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, creationflags=NO_WINDOW
        )
    except OSError as e:
        print(f"{command[0]} cannot be started: {e}", flush=True)
        return
    job = job_around(int(process._handle))  # type: ignore[attr-defined]
    assert process.stdout is not None
    threading.Thread(target=_copy, args=(process.stdout, log), daemon=True).start()
    while process.poll() is None and not over.is_set():
        over.wait(LOOK_S)
    process.kill()  # the stub's end is what the launcher ends by
    until_s = _up_s() + STOP_S
    while job and _active(job) and _up_s() < until_s:
        threading.Event().wait(LOOK_S)
    if job:
        _kernel.CloseHandle(job)


def _active(job: int) -> int:
    found = _Accounting()
    known = _kernel.QueryInformationJobObject(job, ACCOUNTING, ctypes.byref(found), ctypes.sizeof(found), None)
    return int(found.active) if known else 0


def _copy(out: IO[bytes], log: Path) -> None:
    """Everything is read, so that nobody waits for us; what a full disk does not take is lost."""
    with suppress(OSError), out:
        while data := os.read(out.fileno(), 65_536):
            with suppress(OSError):
                _append(log, data)


def _append(log: Path, data: bytes) -> None:
    turn(log)
    with log.open("ab") as f:
        f.write(data)


def _up_s() -> float:
    from brakeline.agent.clock import up_s

    return up_s()
