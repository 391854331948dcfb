"""What `supervise` does, on Windows: a job object instead of a session and a user of its own, handles instead of fds.

Same names and meanings as in `supervise`; `shell` takes one of the two. The release is told to end by the end of its
standard input and is ended, with all that it has started, by its job; the job ends with the launcher. Weaker than
elsewhere: the release runs as the launcher's own account (docs/explanation/windows.md).
Next: tests/system/test_windows_launcher.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from ctypes import wintypes
from pathlib import Path

from brakeline.launcher.settings import Settings
from brakeline.launcher.supervise import NO_WINDOW, Child, command, over_disk, piped, told

assert sys.platform == "win32"
import msvcrt  # noqa: E402 - must come after the assertion, which tells type checkers what this file is for
import winreg  # noqa: E402

HKEY_LOCAL_MACHINE, VOLATILE, ALL_ACCESS = 0x80000002, 1, 0xF003F
BOOT_KEY = "SOFTWARE\\Brakeline\\Boot"
KILL_ON_CLOSE, ACTIVE_PROCESSES, PROCESS_MEMORY, DIE_ON_EXCEPTION = 0x2000, 0x8, 0x100, 0x400
EXTENDED_LIMITS = 9  # JobObjectExtendedLimitInformation
SYNCHRONIZE = 0x00100000
POLL_S = 0.25  # pipes cannot be waited for here
_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.CreateJobObjectW.restype = wintypes.HANDLE
_kernel.CreateJobObjectW.argtypes = [ctypes.c_void_p, wintypes.LPCWSTR]
_kernel.SetInformationJobObject.argtypes = [wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD]
_kernel.AssignProcessToJobObject.argtypes = [wintypes.HANDLE, wintypes.HANDLE]
_kernel.TerminateJobObject.argtypes = [wintypes.HANDLE, wintypes.UINT]
_kernel.CloseHandle.argtypes = [wintypes.HANDLE]
_kernel.GetCurrentProcess.restype = wintypes.HANDLE
_kernel.OpenProcess.restype = wintypes.HANDLE
_kernel.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
_kernel.WaitForSingleObject.argtypes = [wintypes.HANDLE, wintypes.DWORD]
_kernel.K32GetProcessMemoryInfo.argtypes = [wintypes.HANDLE, ctypes.c_void_p, wintypes.DWORD]


class _Limits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("times", ctypes.c_int64 * 2), ("flags", wintypes.DWORD), ("working_set", ctypes.c_size_t * 2),
        ("processes", wintypes.DWORD), ("affinity", ctypes.c_size_t), ("priority", wintypes.DWORD),
        ("scheduling", wintypes.DWORD), ("io", ctypes.c_uint64 * 6), ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t), ("peak_process", ctypes.c_size_t), ("peak_job", ctypes.c_size_t),
    )  # fmt: skip


class _Memory(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS."""

    _fields_ = (("size", wintypes.DWORD), ("faults", wintypes.DWORD), ("peak", ctypes.c_size_t),
                ("working_set", ctypes.c_size_t), ("rest", ctypes.c_size_t * 6))  # fmt: skip


class _Release(subprocess.Popen[bytes]):
    """A process that takes everything it has started with it."""

    job: int = 0


def start_release(settings: Settings, entry: tuple[str, ...], folder: Path, content: str = "") -> Child:
    """Execute a release in a job of its own. Raises `OSError`."""

    def start(words: int, log: int) -> _Release:
        handle = msvcrt.get_osfhandle(words)
        os.set_handle_inheritable(handle, True)
        startup = subprocess.STARTUPINFO()
        startup.lpAttributeList = {"handle_list": [handle]}
        process = _Release(
            [*command(settings, entry, folder), *settings.arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=_environment(settings, handle) | told(settings, folder, content),
            startupinfo=startup,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP | NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS,
        )
        process.job = _job(settings, process)
        return process

    return piped(start)


def _environment(settings: Settings, handle: int) -> dict[str, str]:
    kept = {n: os.environ[n] for n in ("SYSTEMROOT", "WINDIR", "PATH", "TEMP", "TMP", "PROGRAMDATA") if n in os.environ}
    return kept | {"HOME": str(settings.home), "BRAKELINE_LAUNCHER_HANDLE": str(handle)}


def _job(settings: Settings, process: subprocess.Popen[bytes]) -> int:
    """A job with hard limits around the process, ended when its last handle is: ours. 0 = the system refuses."""
    job = _kernel.CreateJobObjectW(None, None)
    limits = _Limits(
        flags=KILL_ON_CLOSE | ACTIVE_PROCESSES | PROCESS_MEMORY | DIE_ON_EXCEPTION,
        processes=settings.budget.processes,
        process_memory=settings.budget.memory_bytes,
    )
    size = ctypes.sizeof(limits)
    if job and not _kernel.SetInformationJobObject(job, EXTENDED_LIMITS, ctypes.byref(limits), size):
        limits = _Limits(flags=KILL_ON_CLOSE)
        _kernel.SetInformationJobObject(job, EXTENDED_LIMITS, ctypes.byref(limits), size)
    if job and _kernel.AssignProcessToJobObject(job, int(process._handle)):  # type: ignore[attr-defined]
        return int(job)
    return 0


def end(child: Child) -> None:
    """The end of its standard input asks the release to end."""
    if child.process.stdin is not None:
        with contextlib.suppress(OSError):
            child.process.stdin.close()


def kill_group(child: Child) -> None:
    """End a child of ours, with its job if it has one."""
    end(child)
    process = child.process
    job = process.job if isinstance(process, _Release) else 0
    if job:
        _kernel.TerminateJobObject(job, 137)
    else:
        with contextlib.suppress(OSError):
            process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    if isinstance(process, _Release) and job:
        _kernel.CloseHandle(job)
        process.job = 0


def kill_all(_settings: Settings, child: Child) -> None:
    """Everything that the release has started is in its job."""
    kill_group(child)


def bury(_settings: Settings) -> None:
    """What a launcher before us has started has ended with it: its job was closed."""


def over_budget(settings: Settings, child: Child) -> str:
    """What the release takes more of than it may; "" = nothing."""
    memory = _Memory(size=ctypes.sizeof(_Memory))
    handle = int(child.process._handle)  # type: ignore[attr-defined]
    known = _kernel.K32GetProcessMemoryInfo(handle, ctypes.byref(memory), memory.size)
    if known and memory.working_set > settings.budget.resident_bytes:
        return f"memory: {memory.working_set >> 20} MiB resident"
    return over_disk(settings)


def purge(settings: Settings) -> None:
    """Empty what the release may fill: staging and work. `rmtree` follows neither links nor junctions."""
    for name in ("staging", "work", "tmp"):
        shutil.rmtree(settings.home / name, ignore_errors=True)


def wake_by_signals() -> int:
    """A handle of the stub that has started us, -1 = none has: elsewhere it becomes us, here it waits for our end."""
    if "BRAKELINE_STUB" not in os.environ:
        return -1
    basic = (ctypes.c_size_t * 6)()  # PROCESS_BASIC_INFORMATION; its last field is the id of who has started us
    query = ctypes.WinDLL("ntdll").NtQueryInformationProcess
    query.argtypes = [wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.ULONG, ctypes.c_void_p]
    if query(_kernel.GetCurrentProcess(), 0, basic, ctypes.sizeof(basic), None):
        return -1
    return int(_kernel.OpenProcess(SYNCHRONIZE, False, basic[5]) or -1)


def wait_for(_fds: list[int], seconds: float, woken: int) -> None:
    """A little while. The end of the stub is a signal to end: who ends the service must end all of it."""
    time.sleep(min(seconds, POLL_S))
    if woken != -1 and _kernel.WaitForSingleObject(woken, 0) == 0:
        signal.raise_signal(signal.SIGTERM)


def lock(path: Path) -> int | None:
    """As in `supervise`."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOINHERIT, 0o600)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except OSError:
        os.close(handle)
        return None
    return handle


def boot_id() -> str:
    """Kept in a volatile registry key, which by its definition is gone after a boot; "unknown" if it cannot be made."""
    key, made = wintypes.HKEY(), wintypes.DWORD()
    root = wintypes.HKEY(HKEY_LOCAL_MACHINE)
    create = ctypes.WinDLL("advapi32").RegCreateKeyExW
    if create(root, BOOT_KEY, 0, None, VOLATILE, ALL_ACCESS, None, ctypes.byref(key), ctypes.byref(made)):
        return "unknown"
    with contextlib.suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, BOOT_KEY, 0, ALL_ACCESS) as opened:
        with contextlib.suppress(OSError):
            return str(winreg.QueryValueEx(opened, "id")[0])
        fresh = secrets.token_hex(16)
        winreg.SetValueEx(opened, "id", 0, winreg.REG_SZ, fresh)
        return fresh
    return "unknown"
