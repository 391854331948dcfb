"""The managers of a Windows: its programs first, Windows Update and, where it is, winget beside them.

Programs are the system's own because the registry always answers and nobody need be started for it; what cannot be
asked of the others is told, and keeps their packages as last known (`providers.host`). Imported on Windows alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.host import Manager, Managers
from brakeline.agent.providers.model import Known
from brakeline.agent.providers.windows.provider import HOME, ProgramsProvider
from brakeline.agent.providers.windows.winget_cli import Winget
from brakeline.agent.providers.windows.winget_provider import WingetProvider
from brakeline.agent.providers.windows.wua_driver import POWERSHELL, PowerShell
from brakeline.agent.providers.windows.wua_provider import WuaProvider
from brakeline.core.clock import Clock
from brakeline.protocol.content import Rules
from brakeline.protocol.managers import SYSTEM

assert sys.platform == "win32"
from brakeline.agent.providers.windows import registry  # noqa: E402 - Windows alone
from brakeline.agent.providers.windows.real import RealBox  # noqa: E402

INSTALLER: Final = "Microsoft.DesktopAppInstaller_*__8wekyb3d8bbwe"  # winget's own package, by its maker's key


def managers(clock: Clock, rules: Rules, stopping: Callable[[], bool], known: Known) -> Managers:
    """Every manager of this endpoint."""
    system = os.environ.get("SYSTEMROOT", "C:\\Windows")
    runner, box = Machine(root=Path(f"{system[:2]}\\")), RealBox()
    found = [Manager(SYSTEM, ProgramsProvider(clock, runner, stopping=stopping, rules=rules, box=box))]
    if Path(POWERSHELL.replace("%SystemRoot%", system)).exists():
        driver = PowerShell(box, runner.path(f"{HOME}/helper/wua"), system)
        wua = WuaProvider(clock, runner, stopping=stopping, rules=rules, driver=driver)
        found.append(Manager("wua", wua))
    if program := winget():
        mine = WingetProvider(clock, runner, stopping=stopping, rules=rules, winget=Winget(box, program))
        found.append(Manager("winget", mine))
    return Managers(tuple(found), known)


def winget() -> str:
    """The newest winget of this machine, "" = there is none. No user's alias of it is trusted."""
    folder = Path(registry.program_files()) / "WindowsApps"
    try:
        there = sorted(folder.glob(f"{INSTALLER}/winget.exe"), key=lambda p: _version(p.parent.name))
    except OSError:  # a folder that not everybody may list
        return ""
    return str(there[-1]) if there else ""


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(n) for n in name.split("_")[1].split(".") if n.isdigit())
