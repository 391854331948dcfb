"""What the service manager of Windows starts, asks to stop, and hears of: the helper as a service. Only imported there.

Started by hand instead, it ends with its standard input. Stopping is no more than ending: what is under way is a
process of its own, and what was asked and not answered is asked again. The verbs for people: `windows_service`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import traceback
from contextlib import suppress
from ctypes import wintypes
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brakeline.core.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

assert sys.platform == "win32"

HELPER: Final = "BrakelineHelper"
OWN_PROCESS: Final = 0x10
STOPPED, STOP_PENDING, RUNNING = 1, 3, 4
STOP, SHUTDOWN = 1, 5
ACCEPTS: Final = 0x1 | 0x4  # stop and shutdown
STOP_S: Final = 30.0
LOG_BYTES_MAX: Final = 1024 * 1024  # then a new one begins, and one old one is kept
_pointer = ctypes.c_void_p
_api = ctypes.WinDLL("advapi32", use_last_error=True)
_api.RegisterServiceCtrlHandlerExW.restype = wintypes.HANDLE
_api.RegisterServiceCtrlHandlerExW.argtypes = [wintypes.LPCWSTR, _pointer, _pointer]
_api.SetServiceStatus.argtypes = [wintypes.HANDLE, _pointer]
_Main = ctypes.WINFUNCTYPE(None, wintypes.DWORD, _pointer)
_Handler = ctypes.WINFUNCTYPE(wintypes.DWORD, wintypes.DWORD, wintypes.DWORD, _pointer, _pointer)


class Status(ctypes.Structure):
    """SERVICE_STATUS."""

    _fields_ = tuple((name, wintypes.DWORD) for name in ("kind", "state", "accepts", "code", "own", "point", "wait"))


class _Entry(ctypes.Structure):
    """SERVICE_TABLE_ENTRYW."""

    _fields_ = (("name", wintypes.LPWSTR), ("main", _Main))


class NotDone(Fault):
    """The service manager does not do it."""

    code = "service"


def helper(config: Path, state_dir: Path, pipe: str, service: bool) -> int:
    """The helper, under the service manager or by hand; its exit code."""
    from brakeline.agent import helper_windows

    over = threading.Event()
    if service:
        work = partial(helper_windows.serve, config, state_dir, pipe, over.is_set)
        return under_manager(HELPER, over, state_dir / "log", work)

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        over.set()

    threading.Thread(target=watch, name="input", daemon=True).start()
    return helper_windows.serve(config, state_dir, pipe, over.is_set)


def turn(log: Path) -> None:
    """A log that has become long makes place for a new one."""
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        os.replace(log, log.with_suffix(".old"))


def under_manager(name: str, over: threading.Event, log: Path, work: Callable[[], int]) -> int:
    """Work, tell the service manager how it goes, and set `over` when it says stop; 0 = ended in order."""
    codes = [1]

    def told(handle: int, state: int, code: int = 0) -> None:
        wait_ms = 0 if state in (RUNNING, STOPPED) else int(STOP_S * 1000)
        status = Status(OWN_PROCESS, state, ACCEPTS if state == RUNNING else 0, code, 0, 0, wait_ms)
        _api.SetServiceStatus(handle, ctypes.byref(status))

    def control(what: int, _event: int, _data: object, _context: object) -> int:
        if what in (STOP, SHUTDOWN):
            over.set()
            told(handles[0], STOP_PENDING)
        return 0

    def main(_count: int, _words: object) -> None:
        handles.append(_api.RegisterServiceCtrlHandlerExW(name, ctypes.cast(handler, _pointer), None))
        told(handles[0], RUNNING)
        try:
            codes[0] = work()
        except (Fault, OSError) as e:
            print(f"{name}: {e}", flush=True)
        except Exception:  # noqa: BLE001 - whatever it is, we end by it, and are started again
            traceback.print_exc()
        if codes[0] and not over.is_set():
            os._exit(codes[0])  # untold: the manager starts nothing again that has told it of its end
        told(handles[0], STOPPED, codes[0])

    handles: list[int] = []
    handler = _Handler(control)
    with suppress(OSError):
        turn(log)  # whoever ends by a fault is started again for ever, and says so each time
    sys.stdout = sys.stderr = open(log, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - to the end
    table = (_Entry * 2)(_Entry(name, _Main(main)), _Entry(None, _Main()))
    if not _api.StartServiceCtrlDispatcherW(table):
        raise NotDone("the service manager has not started this: use `brakeline-agent service start`")
    return codes[0]
