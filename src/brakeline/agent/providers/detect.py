"""Which package managers this endpoint has, cheaply, and the provider of each, imported only when it is made.

A handful of directory reads decide (`python_sites`, `npm_sites`): no manager is started to find out whether it is
there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from brakeline.agent.npm_sites import npm_folders
from brakeline.agent.providers.host import Manager, Managers
from brakeline.agent.providers.model import Known
from brakeline.agent.python_sites import python_sites
from brakeline.core.clock import Clock
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.managers import SYSTEM

FLATPAK = "/var/lib/flatpak/repo/config"  # there once anything has been added to the system-wide installation


def managers(
    clock: Clock,
    rules: Rules = BUILT_IN,
    state_dir: Path = Path("/var/lib/brakeline-helper"),
    stopping: Callable[[], bool] = bool,
    known: Known = tuple,
) -> Managers:
    """Every manager of this endpoint, the system's first. `state_dir` is root's."""
    from brakeline.agent.providers.apt import AptProvider

    work, back = str(state_dir / "tx"), str(state_dir / "back")
    found = [Manager(SYSTEM, AptProvider(clock, work_dir=work, stopping=stopping, rules=rules, back_dir=back))]
    if next(python_sites(Path("/")), None) is not None:
        from brakeline.agent.providers.pip import PipProvider

        pip = PipProvider(clock, work_dir=work, stopping=stopping, rules=rules, back_dir=f"{back}-pip")
        found.append(Manager("pypi", pip))
    if next(npm_folders(Path("/")), None) is not None:
        from brakeline.agent.providers.npm import NpmProvider

        npm = NpmProvider(clock, work_dir=work, stopping=stopping, rules=rules, back_dir=f"{back}-npm")
        found.append(Manager("npm", npm))
    if Path(FLATPAK).exists():
        from brakeline.agent.providers.flatpak import FlatpakProvider

        flatpak = FlatpakProvider(clock, work_dir=work, stopping=stopping, rules=rules, back_dir=f"{back}-flatpak")
        found.append(Manager("flatpak", flatpak))
    return Managers(tuple(found), known)
