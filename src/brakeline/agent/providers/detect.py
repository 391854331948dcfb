"""Which package managers this endpoint has, cheaply, and the provider of each, imported only when it is made.

A handful of names and directory reads decide (`system_manager`, `python_sites`, `npm_sites`): no manager is started to
find out whether it is there. Every import is late: the agent loads the managers that this system has.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from brakeline.agent import content, facts, system_manager
from brakeline.agent.npm_sites import npm_folders
from brakeline.agent.providers.apt.runner import Machine, Record
from brakeline.agent.providers.host import Manager, Managers
from brakeline.agent.providers.model import Known, Provider
from brakeline.agent.python_sites import python_sites
from brakeline.core.clock import Clock
from brakeline.core.errors import Fault
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.managers import SYSTEM
from brakeline.protocol.software import FOLDER

FLATPAK = "/var/lib/flatpak/repo/config"  # there once anything has been added to the system-wide installation
SNAPD = "/run/snapd.socket"
CELLARS = ("/opt/homebrew/Cellar", "/usr/local/Cellar", "/home/linuxbrew/.linuxbrew/Cellar")  # of Homebrew
FWUPD = ("/usr/bin/fwupdmgr", "/run/dbus/system_bus_socket")  # both, or nobody could be asked
RECORDS = "/var/lib/brakeline-own"  # of own packages that were installed here (`own.looking`)


class NoManager(Fault):
    """This system's packages cannot be looked at."""

    code = "no-manager"


def system_name(root: Path = Path("/")) -> str:
    """The system's manager; `NoManager` says why there is none that could be driven."""
    found = system_manager.here(facts.os_release(root), root)
    if isinstance(found, system_manager.Unknown):
        raise NoManager(found.reason)
    return found


def managers(
    clock: Clock,
    rules: Rules = BUILT_IN,
    state_dir: Path = Path("/var/lib/brakeline-helper"),
    stopping: Callable[[], bool] = bool,
    known: Known = tuple,
    record: Record | None = None,
) -> Managers:
    """Every manager of this endpoint, the system's first. `state_dir` is root's; `record`: who keeps what ran."""
    if sys.platform == "win32":
        from brakeline.agent.providers.windows.detect import managers as of_windows

        return of_windows(clock, rules, stopping, known)
    work, back, runner = str(state_dir / "tx"), str(state_dir / "back"), Machine(record=record)
    found = [Manager(SYSTEM, _system(system_name(), clock, runner, work, stopping, rules, back))]
    if next(python_sites(Path("/")), None) is not None:
        from brakeline.agent.providers.pip import PipProvider

        pip = PipProvider(clock, runner, work_dir=work, stopping=stopping, rules=rules, back_dir=f"{back}-pip")
        found.append(Manager("pypi", pip))
    if next(npm_folders(Path("/")), None) is not None:
        from brakeline.agent.providers.npm import NpmProvider

        npm = NpmProvider(clock, runner, work_dir=work, stopping=stopping, rules=rules, back_dir=f"{back}-npm")
        found.append(Manager("npm", npm))
    if Path(FLATPAK).exists():
        from brakeline.agent.providers.flatpak import FlatpakProvider

        own_back = f"{back}-flatpak"
        flatpak = FlatpakProvider(clock, runner, work_dir=work, stopping=stopping, rules=rules, back_dir=own_back)
        found.append(Manager("flatpak", flatpak))
    if os.path.exists(SNAPD):
        from brakeline.agent.providers.snap import SnapProvider

        own_back = f"{back}-snap"
        snap = SnapProvider(clock, runner, work_dir=work, stopping=stopping, rules=rules, back_dir=own_back)
        found.append(Manager("snap", snap))
    if any(map(os.path.isdir, CELLARS)):
        from brakeline.agent.providers.brew import BrewProvider

        found.append(Manager("brew", BrewProvider(clock, runner, work_dir=work, stopping=stopping, rules=rules)))
    if all(map(os.path.exists, FWUPD)):
        from brakeline.agent.providers.fwupd import FwupdProvider

        own_back = f"{back}-fwupd"
        fwupd = FwupdProvider(clock, runner, work_dir=work, stopping=stopping, rules=rules, back_dir=own_back)
        found.append(Manager("fwupd", fwupd))
    given = content.folder()
    if (given is not None and (given / FOLDER).is_dir()) or os.path.isdir(RECORDS) or os.path.isdir(state_dir / "own"):
        from brakeline.agent.providers.own import OwnProvider

        own = OwnProvider(
            clock, content=given, work_dir=work, store_dir=str(state_dir / "own"), back_dir=f"{back}-own",
            stopping=stopping, rules=rules,
        )  # fmt: skip
        found.append(Manager("own", own))
    return Managers(tuple(found), known)


def _system(
    name: str, clock: Clock, runner: Machine, work: str, stopping: Callable[[], bool], rules: Rules, back: str
) -> Provider:
    if name == "dnf":
        from brakeline.agent.providers.dnf import DnfProvider

        return DnfProvider(clock, runner, work_dir=work, stopping=stopping, rules=rules, back_dir=back)
    if name == "zypper":
        from brakeline.agent.providers.zypper import ZypperProvider

        return ZypperProvider(clock, runner, work_dir=work, stopping=stopping, rules=rules, back_dir=back)
    if name == "pacman":
        from brakeline.agent.providers.pacman import PacmanProvider

        return PacmanProvider(clock, runner, work_dir=work, stopping=stopping, rules=rules, back_dir=back)
    from brakeline.agent.providers.apt import AptProvider

    return AptProvider(clock, runner, work_dir=work, stopping=stopping, rules=rules, back_dir=back)
