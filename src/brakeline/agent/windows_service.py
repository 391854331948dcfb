"""The verbs that install, start, stop and remove our two services of Windows, and say how they are.

The helper runs as SYSTEM, launcher and agent under an account of their own. Each service runs a copy of this program in
a folder where SYSTEM and administrators alone write; it is made again by `service install`, never by the agent or its
launcher, whose folders the agent's account may write.
*Not run on the real system*: in wine the service manager starts and stops it, with wine's one account.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
import time
from contextlib import contextmanager, suppress
from ctypes import wintypes
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brakeline.agent import access, wiring
from brakeline.agent.config import HELPER_STATE_DIR
from brakeline.agent.files import leads_away, write_durably
from brakeline.core.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

assert sys.platform == "win32"
from brakeline.agent import windows_accounts  # noqa: E402 - Windows alone
from brakeline.agent.windows_hosting import AGENT  # noqa: E402
from brakeline.agent.windows_serving import HELPER, OWN_PROCESS, RUNNING, STOP, STOPPED, NotDone, Status  # noqa: E402
from brakeline.agent.windows_unit import line_of  # noqa: E402

SHOWN: Final = {HELPER: "Brakeline helper", AGENT: "Brakeline agent"}
AUTO_START, NORMAL, ALL, CONNECT_CREATE = 2, 1, 0xF01FF, 0x3
STATES: Final = {1: "stopped", 2: "starting", 3: "stopping", 4: "running"}
EXISTS, NOT_THERE, RUNS_ALREADY, NOT_STARTED = 1073, 1060, 1056, 1062
WAIT_S, AGAIN_S = 60.0, 0.1
FAILURE_ACTIONS, RESTART, RESTART_S, A_DAY_S = 2, 1, 5.0, 86_400
_pointer = ctypes.c_void_p
_api = ctypes.WinDLL("advapi32", use_last_error=True)
_api.OpenSCManagerW.restype = wintypes.HANDLE
_api.OpenServiceW.restype = wintypes.HANDLE
_api.OpenServiceW.argtypes = [wintypes.HANDLE, wintypes.LPCWSTR, wintypes.DWORD]
_api.CreateServiceW.restype = wintypes.HANDLE
_api.CreateServiceW.argtypes = [
    wintypes.HANDLE, wintypes.LPCWSTR, wintypes.LPCWSTR, *[wintypes.DWORD] * 4, wintypes.LPCWSTR, wintypes.LPCWSTR,
    _pointer, wintypes.LPCWSTR, wintypes.LPCWSTR, wintypes.LPCWSTR,
]  # fmt: skip
_api.ChangeServiceConfigW.argtypes = [
    wintypes.HANDLE, *[wintypes.DWORD] * 3, wintypes.LPCWSTR, wintypes.LPCWSTR, _pointer, wintypes.LPCWSTR,
    wintypes.LPCWSTR, wintypes.LPCWSTR, wintypes.LPCWSTR,
]  # fmt: skip
_api.StartServiceW.argtypes = [wintypes.HANDLE, wintypes.DWORD, _pointer]
_api.ControlService.argtypes = [wintypes.HANDLE, wintypes.DWORD, _pointer]
_api.QueryServiceStatus.argtypes = [wintypes.HANDLE, _pointer]
_api.ChangeServiceConfig2W.argtypes = [wintypes.HANDLE, wintypes.DWORD, _pointer]
_api.DeleteService.argtypes = [wintypes.HANDLE]
_api.CloseServiceHandle.argtypes = [wintypes.HANDLE]


class _Action(ctypes.Structure):
    """SC_ACTION."""

    _fields_ = (("kind", wintypes.DWORD), ("delay_ms", wintypes.DWORD))


class _Failure(ctypes.Structure):
    """SERVICE_FAILURE_ACTIONSW."""

    _fields_ = (
        ("reset_s", wintypes.DWORD), ("message", wintypes.LPWSTR), ("command", wintypes.LPWSTR),
        ("count", wintypes.DWORD), ("actions", _pointer),
    )  # fmt: skip


def install(config: Path, state_dir: Path) -> str:
    """The helper is a service afterwards, with this version's program; one that was there is brought up to it."""
    if not config.exists():
        raise Invalid(f"{config} does not exist: enrol this machine first, with --helper-socket and --user")
    config, state_dir = config.absolute(), state_dir.absolute()
    owners = {config.parent, state_dir.parent, HELPER_STATE_DIR.parent}  # the last with the list of programs
    _no_drives(owners)
    for folder in (state_dir, *owners):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in owners:
        for path in (folder, *(p for p in folder.iterdir() if p.is_file() and not p.is_symlink())):
            windows_accounts.protect(path, access.owner_folder())
    windows_accounts.protect_all(state_dir, access.helper_folder())
    words = ["helper", "--service", "--config", str(config), "--helper-state", str(state_dir)]
    return _made(HELPER, None, line_of([*_own_program(state_dir / "program"), *words]))


def _no_drives(folders: Iterable[Path]) -> None:
    for folder in folders:
        if access.is_drive(str(folder)):
            raise Invalid(f"{folder} would be closed to everybody but administrators: name a folder of its own in it")


def install_agent(account: str, command: list[str], home: Path, may_write: list[str]) -> str:
    """What starts launcher and agent, as a service under that account, which owns their folders and no program."""
    sid = windows_accounts.sid_of(account)
    if not account or not sid or sid in access.OURS:
        raise Invalid(
            f"{account or 'no account'} is not an account for it: name one without rights, NT SERVICE\\{AGENT}"
        )
    if not command:
        raise Invalid("say after -- what starts the launcher: python -I C:\\…\\stub.py run")
    home, *others = (path.absolute() for path in (home, *map(Path, may_write)))
    _no_drives((home, *others))
    for folder in (home, *others):
        folder.mkdir(parents=True, exist_ok=True)
        windows_accounts.hand_over(folder, account)
    programs = home.parent / "program"
    programs.mkdir(parents=True, exist_ok=True)
    windows_accounts.protect_all(programs, access.program_folder(sid))
    words = ["host", "--state", str(home), "--", *command]
    return _made(AGENT, account, line_of([*_own_program(programs), *words]))


def _made(name: str, account: str | None, line: str) -> str:
    with _opened(_api.OpenSCManagerW(None, None, CONNECT_CREATE)) as manager:
        made = _api.CreateServiceW(
            manager, name, SHOWN[name], ALL, OWN_PROCESS, AUTO_START, NORMAL, line, None, None, None, account, None
        )
        if made:
            with _opened(made) as service:
                _come_back(service)
            return f"service {name} is installed, and starts with the machine"
        if ctypes.get_last_error() != EXISTS:
            raise _problem()
        with _opened(_api.OpenServiceW(manager, name, ALL)) as there:
            rest = (None, None, None, account, None, None)
            _do(_api.ChangeServiceConfigW(there, OWN_PROCESS, AUTO_START, NORMAL, line, *rest))
            _come_back(there)
    return f"service {name} was there, and has this version's program from its next start on"


def _come_back(service: int) -> None:
    """What ends by itself is started again, each time; what says that it has stopped is not (`windows_serving`)."""
    actions = (_Action * 1)(_Action(RESTART, int(RESTART_S * 1000)))
    wish = _Failure(A_DAY_S, None, None, 1, ctypes.cast(actions, _pointer))
    _do(_api.ChangeServiceConfig2W(service, FAILURE_ACTIONS, ctypes.byref(wish)))


def _own_program(folder: Path) -> list[str]:
    """A copy of this program where only SYSTEM and administrators write. The interpreter stays where it is."""
    program = wiring.program()
    archive = Path(program[-1])
    if archive.suffix != ".pyz":
        raise Invalid("a service is made of agent.pyz, not of a checkout")
    data = archive.read_bytes()
    copy = folder / f"agent-{hashlib.sha256(data).hexdigest()[:16]}.pyz"  # what runs keeps its own
    folder.mkdir(exist_ok=True)
    if leads_away(folder):  # laid before we were installed: what lies behind it is somebody else's
        raise Invalid(f"{folder} is a link: remove it, then run the same again")
    write_durably(copy, data)
    return [*program[:-1], str(copy)]


def start(name: str) -> str:
    with _service(name) as service:
        if not _api.StartServiceW(service, 0, None) and ctypes.get_last_error() != RUNS_ALREADY:
            raise _problem()
        return _until(name, service, RUNNING)


def stop(name: str) -> str:
    """A transaction that runs goes on; the next start hears of its end."""
    with _service(name) as service:
        status = Status()
        if not _api.ControlService(service, STOP, ctypes.byref(status)) and ctypes.get_last_error() != NOT_STARTED:
            raise _problem()
        return _until(name, service, STOPPED)


def remove(name: str) -> str:
    """What the helper has kept stays: its record of orders that were carried out, and the ways back."""
    with suppress(NotDone):
        stop(name)
    with _service(name) as service:
        _do(_api.DeleteService(service))
    return f"service {name} is removed; what it has kept stays"


def status(name: str) -> str:
    with _service(name) as service:
        return f"service {name} is {_state(service)}"


def _until(name: str, service: int, wanted: int) -> str:
    until_s = time.monotonic() + WAIT_S
    while (state := _state(service)) != STATES[wanted]:
        if time.monotonic() >= until_s:
            raise NotDone(f"service {name} is {state} and not {STATES[wanted]} after {WAIT_S:.0f} s; look at its log")
        time.sleep(AGAIN_S)
    return f"service {name} is {state}"


def _state(service: int) -> str:
    found = Status()
    _do(_api.QueryServiceStatus(service, ctypes.byref(found)))
    return STATES.get(found.state, str(found.state))


@contextmanager
def _service(name: str) -> Iterator[int]:
    with _opened(_api.OpenSCManagerW(None, None, CONNECT_CREATE)) as manager:
        handle = _api.OpenServiceW(manager, name, ALL)
        if not handle and ctypes.get_last_error() == NOT_THERE:
            raise NotDone(f"there is no service {name}: `brakeline-agent service install` makes it")
        with _opened(handle) as service:
            yield service


@contextmanager
def _opened(handle: int) -> Iterator[int]:
    if not handle:
        raise _problem()
    try:
        yield handle
    finally:
        _api.CloseServiceHandle(handle)


def _do(done: int) -> None:
    if not done:
        raise _problem()


def _problem() -> NotDone:
    error = ctypes.WinError(ctypes.get_last_error())
    hint = "; an administrator may" if error.winerror == 5 else ""
    return NotDone(f"the service manager refuses: {error.strerror}{hint}")
