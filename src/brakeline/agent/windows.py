"""What the agent needs of Windows: files, boots, facts, memory, waiting, being told to end. Imported nowhere else.

Same meanings as on other systems, by other means: a file that somebody holds open cannot be replaced, so that is tried
again for a bounded time; directories cannot be flushed, so renames are written through; a read of a socket cannot be
broken off by a signal, so it is done in slices; the launcher asks us to end by the end of our standard input.
What of this was seen on a real Windows, and what was not: docs/explanation/windows.md.
"""

from __future__ import annotations

import ctypes
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from ctypes import wintypes
from pathlib import Path
from typing import Final

assert sys.platform == "win32"
import _thread  # noqa: E402 - must come after the assertion, which tells type checkers what this file is for
import winreg  # noqa: E402

BOOT_KEY: Final = "SOFTWARE\\Brakeline\\Boot"  # volatile; the launcher makes it (`launcher.windows`)
SYSTEM_KEY: Final = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
HELD_S_MAX: Final = 2.0  # a virus scanner or an indexer lets a small file go within milliseconds
HELD_AGAIN_S: Final = 0.05
SLICE_S: Final = 0.5  # how late the agent hears that it is to end
REPLACE_EXISTING, WRITE_THROUGH = 0x1, 0x8
BELOW_NORMAL, BACKGROUND = 0x4000, 0x00100000
NO_BATTERY: Final = 0x80
_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.MoveFileExW.argtypes = [wintypes.LPCWSTR, wintypes.LPCWSTR, wintypes.DWORD]
_kernel.GetCurrentProcess.restype = wintypes.HANDLE
_kernel.SetPriorityClass.argtypes = [wintypes.HANDLE, wintypes.DWORD]


class _Memory(ctypes.Structure):
    """MEMORYSTATUSEX."""

    _fields_ = (("size", wintypes.DWORD), ("load", wintypes.DWORD), ("physical", ctypes.c_uint64),
                ("available", ctypes.c_uint64), ("rest", ctypes.c_uint64 * 5))  # fmt: skip


class _Power(ctypes.Structure):
    """SYSTEM_POWER_STATUS."""

    _fields_ = (("mains", ctypes.c_ubyte), ("battery", ctypes.c_ubyte), ("rest", ctypes.c_ubyte * 10))


# --- files ---------------------------------------------------------------------------------------------------------


def patiently(act: Callable[[], None], path: Path) -> None:
    """Do it as soon as nobody holds the file open; after HELD_S_MAX an OSError that says that somebody does."""
    until_s = time.monotonic() + HELD_S_MAX
    while True:
        try:
            return act()
        except PermissionError as e:
            if time.monotonic() >= until_s:
                why = f"{path.name} is held open by another program, for {HELD_S_MAX:.0f} s at least"
                raise PermissionError(e.errno, why, str(path)) from e
        time.sleep(HELD_AGAIN_S)


def replace(aside: Path, path: Path) -> None:
    """`path` is what `aside` was, and on the disk, when this returns. OSError with the reason if it cannot be."""

    def move() -> None:
        if not _kernel.MoveFileExW(str(aside), str(path), REPLACE_EXISTING | WRITE_THROUGH):
            raise ctypes.WinError(ctypes.get_last_error())

    patiently(move, path)


def move_folder(folder: Path, to: Path) -> None:
    """The whole of it, as soon as nobody holds a file in it open; after HELD_S_MAX an OSError, and nothing moved."""
    patiently(lambda: os.rename(folder, to), folder)


def remove(path: Path) -> None:
    """The file is gone when this returns. OSError with the reason if it cannot be."""
    patiently(lambda: path.unlink(missing_ok=True), path)


# --- the machine ---------------------------------------------------------------------------------------------------


def boot_id() -> str:
    """Kept in a volatile registry key, which is gone after a boot. Without one each process counts as a boot.

    That errs to the safe side: nothing is believed that another process of the same boot has written down.
    """
    with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, BOOT_KEY) as key:
        return str(winreg.QueryValueEx(key, "id")[0])
    return os.urandom(16).hex()


def system() -> dict[str, str]:
    """What the registry says about the system: ProductName, CurrentBuildNumber, UBR, InstallationType, …"""
    found: dict[str, str] = {}
    with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, SYSTEM_KEY) as key:
        for name in ("ProductName", "DisplayVersion", "CurrentBuildNumber", "UBR", "InstallationType"):
            with suppress(OSError):
                found[name] = str(winreg.QueryValueEx(key, name)[0])
    major, minor, build = sys.getwindowsversion()[:3]
    return {"CurrentBuildNumber": str(build), **found, "Version": f"{major}.{minor}"}


def has_battery() -> bool:
    """Whether the machine can run without mains: then it is a laptop, as far as that can be told."""
    power = _Power()
    known = _kernel.GetSystemPowerStatus(ctypes.byref(power))
    return bool(known) and not power.battery & NO_BATTERY  # 255 = not known


def disk_free_bytes() -> int:
    """On the system's drive."""
    import shutil

    return shutil.disk_usage(os.environ.get("SYSTEMDRIVE", "C:") + "\\").free


def memory_available_bytes() -> int:
    """0 = not known."""
    memory = _Memory(size=ctypes.sizeof(_Memory))
    return int(memory.available) if _kernel.GlobalMemoryStatusEx(ctypes.byref(memory)) else 0


def be_modest(*, background: bool = False) -> None:
    """Low CPU priority; `background`: of disk and memory too. Best effort."""
    _kernel.SetPriorityClass(_kernel.GetCurrentProcess(), BACKGROUND if background else BELOW_NORMAL)


# --- waiting, and its end ------------------------------------------------------------------------------------------


def over_or_slept(watched: Iterable[object], seconds: float) -> bool:
    """Whether one of these children has ended within that time; looked at between slices."""
    children = [w.over for w in watched if hasattr(w, "over")]
    until_s = time.monotonic() + seconds
    while not any(over() for over in children):
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(left_s, SLICE_S))
    return True


class PatientSocket(ssl.SSLSocket):
    """Reads in slices, between which a signal's handler may raise. Its time-out holds for the whole read."""

    def recv_into(self, *what: object) -> int:
        patience_s = self.gettimeout()
        until_s = time.monotonic() + (patience_s if patience_s is not None else float("inf"))
        try:
            while True:
                self.settimeout(max(0.01, min(SLICE_S, until_s - time.monotonic())))
                try:
                    return super().recv_into(*what)  # type: ignore[arg-type]
                except TimeoutError:
                    if time.monotonic() >= until_s:
                        raise
        finally:
            with suppress(OSError):
                self.settimeout(patience_s)


def end_with_launcher() -> None:
    """SIGINT to this process when its standard input ends: so a launcher asks a release to end."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        _thread.interrupt_main()

    threading.Thread(target=watch, name="launcher", daemon=True).start()
