"""Reads from Windows' registry what the pure readers judge. Imported on Windows only.

Both views are read: a 32-bit program may be in either. Each user's hive that is loaded is read; the others are not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress

from brakeline.agent.providers.windows.pending import Hive
from brakeline.agent.providers.windows.programs import Entry, upgrade_codes

assert sys.platform == "win32"
import winreg  # noqa: E402 - must come after the assertion, which tells type checkers what this file is for

UNINSTALL = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall"
UPGRADES = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Installer\\UpgradeCodes"
CURRENT = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion"
IN_PROGRESS = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Installer\\InProgress"
RESTARTS = (
    "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing", "SOFTWARE\\Microsoft\\Updates",
    "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate", "SOFTWARE\\Microsoft\\ServerManager",
    "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\RunOnce", "SYSTEM\\CurrentControlSet\\Services\\Netlogon",
    "SYSTEM\\CurrentControlSet\\Control\\ComputerName", "SYSTEM\\CurrentControlSet\\Control\\Session Manager",
)  # fmt: skip
DEPTH_MAX = 3
VIEWS = ((64, winreg.KEY_WOW64_64KEY), (32, winreg.KEY_WOW64_32KEY))


def entries() -> tuple[Entry, ...]:
    """Everything below `Uninstall`, of the machine in both views and of each user whose hive is loaded."""
    found = [
        Entry(key, values, view)
        for view, flag in VIEWS
        for key, values in _below(winreg.HKEY_LOCAL_MACHINE, UNINSTALL, flag)
    ]
    users = [name for name in _names(winreg.HKEY_USERS, "", 0) if name.startswith("S-1-5-21-") and "_" not in name]
    found += [Entry(key, values, 64, user) for user in users
              for key, values in _below(winreg.HKEY_USERS, f"{user}\\{UNINSTALL}", 0)]  # fmt: skip
    return tuple(found)


def upgrades() -> dict[str, str]:
    """Upgrade code by product code."""
    machine = winreg.HKEY_LOCAL_MACHINE
    keys = {key: list(values) for _, flag in VIEWS for key, values in _below(machine, UPGRADES, flag)}
    return upgrade_codes(keys)


def restarts() -> Hive:
    """The keys in which it may stand that a restart is due, with what is below them."""
    return {path.lower(): values for root in RESTARTS for path, values in _tree(root, 0)}


def in_progress() -> str:
    """What Windows Installer is at, as it says itself; "" = nothing, or it says nothing."""
    values = _values(winreg.HKEY_LOCAL_MACHINE, IN_PROGRESS, winreg.KEY_WOW64_64KEY) or {}
    return str(values.get("", ""))[:200]


def stamp() -> list[str]:
    """Changes when a program is installed, changed or taken away: when each key below `Uninstall` was written."""
    users = [name for name in _names(winreg.HKEY_USERS, "", 0) if name.startswith("S-1-5-21-")]
    places = [(winreg.HKEY_LOCAL_MACHINE, UNINSTALL, flag) for _, flag in VIEWS]
    places += [(winreg.HKEY_USERS, f"{user}\\{UNINSTALL}", 0) for user in users]
    return [f"{name} {_written(root, f'{path}{chr(92)}{name}', flag)}"
            for root, path, flag in places for name in _names(root, path, flag)]  # fmt: skip


def program_files() -> str:
    """Where programs are installed."""
    values = _values(winreg.HKEY_LOCAL_MACHINE, CURRENT, winreg.KEY_WOW64_64KEY) or {}
    return str(values.get("ProgramFilesDir") or "C:\\Program Files")


def _written(root: int, path: str, flag: int) -> int:
    with suppress(OSError), winreg.OpenKey(root, path, 0, winreg.KEY_READ | flag) as key:
        return winreg.QueryInfoKey(key)[2]
    return 0


def _tree(path: str, depth: int) -> Iterator[tuple[str, dict[str, object]]]:
    values = _values(winreg.HKEY_LOCAL_MACHINE, path, winreg.KEY_WOW64_64KEY)
    if values is not None:
        yield path, {name.lower(): value for name, value in values.items()}
        for name in _names(winreg.HKEY_LOCAL_MACHINE, path, winreg.KEY_WOW64_64KEY) if depth < DEPTH_MAX else ():
            yield from _tree(f"{path}\\{name}", depth + 1)


def _below(root: int, path: str, flag: int) -> Iterator[tuple[str, dict[str, object]]]:
    for name in _names(root, path, flag):
        values = _values(root, f"{path}\\{name}", flag)
        if values is not None:
            yield name, values


def _names(root: int, path: str, flag: int) -> list[str]:
    found: list[str] = []
    with suppress(OSError), winreg.OpenKey(root, path, 0, winreg.KEY_READ | flag) as key:
        for i in range(winreg.QueryInfoKey(key)[0]):
            found.append(winreg.EnumKey(key, i))
    return found


def _values(root: int, path: str, flag: int) -> dict[str, object] | None:
    """None = there is no such key, or it may not be read."""
    found: dict[str, object] = {}
    try:
        with winreg.OpenKey(root, path, 0, winreg.KEY_READ | flag) as key:
            for i in range(winreg.QueryInfoKey(key)[1]):
                name, value, _ = winreg.EnumValue(key, i)
                found[name] = value
    except OSError:
        return None
    return found
