"""Puts the agent together: the only place that knows which part gets which."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from brakeline import __version__
from brakeline.agent import content, facts, local_limits, stamp, system_manager
from brakeline.agent.cell import Cell
from brakeline.agent.clock import BUILT_MS, SystemClock, boot_id
from brakeline.agent.config import SHOWN, Config
from brakeline.agent.errands import Errands
from brakeline.agent.harms import HarmsProbe
from brakeline.agent.health import HealthProbe
from brakeline.agent.helper_client import HelperClient
from brakeline.agent.identity import Counter, Identity
from brakeline.agent.launcher_link import LauncherLink
from brakeline.agent.limits import DiskReserve
from brakeline.agent.loop import FOLLOW, Collaborators, Loop
from brakeline.agent.memory import Memory
from brakeline.agent.model import Self, State
from brakeline.agent.providers.model import Known, Provider, Refused
from brakeline.agent.proxy_file import ProxyFile
from brakeline.agent.reboots import restarts_a_day
from brakeline.agent.run_spool import RunSpool
from brakeline.agent.spool import Spool
from brakeline.agent.starting import StartProbe
from brakeline.agent.status import StatusFile
from brakeline.agent.system_manager import Unknown
from brakeline.agent.transport import Transport
from brakeline.protocol.content import Rules

if TYPE_CHECKING:
    from brakeline.agent.scan import Beside
    from brakeline.protocol.messages import Transaction

COMES_BACK = ("reboot.target", "kexec.target", "soft-reboot.target")  # jobs of a machine that goes down to come up
PACKAGE_RECORDS = {
    "apt": ("/var/lib/dpkg/status", "/var/lib/apt/periodic/update-success-stamp"),
    "dnf": ("/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages"),
    "zypper": ("/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/Packages.db", "/var/lib/rpm/rpmdb.sqlite"),
    "pacman": ("/var/lib/pacman/local",),
}  # of a manager of the system, in the places that distributions have them


def program() -> list[str]:
    """How to start this very program again: a program of its own, the zipapp it runs from, or the package."""
    if getattr(sys, "frozen", False) and Path(sys.argv[0]).resolve() == Path(sys.executable).resolve():
        return [sys.executable]  # a frozen Python may also run the zipapp: then argv names that
    archive = Path(sys.argv[0]).resolve()
    if archive.suffix == ".pyz":
        return [sys.executable, "-I", str(archive)]
    return [sys.executable, "-m", "brakeline.agent"]


def provider(rules: Rules | None = None, known: Known = tuple) -> Provider:
    """The package managers of this machine, under these rules, else those of the content that this process was given.

    `known`: packages as the cell has them, for what cannot be looked at now.
    """
    from brakeline.agent.providers.detect import managers  # late: the resident agent never needs it

    return managers(SystemClock(), content.load().rules if rules is None else rules, known=known)


def prepare(transaction: Transaction, state_dir: Path) -> Refused | None:
    """Of own packages, keep what the transaction will need of this process's content; None = it may begin."""
    from brakeline.protocol.software import LABEL  # late: the resident agent never needs it

    if not any(a.architecture == LABEL for a in transaction.actions):
        return None
    from brakeline.agent.providers.own import OwnProvider

    own = OwnProvider(SystemClock(), content=content.folder(), store_dir=str(state_dir / "own"))
    return own.prepare(transaction)


def software(work: Path) -> Beside | None:
    """The search for what no package manager has installed; None = not on this system."""
    if sys.platform == "win32":
        return None
    from brakeline.agent.software.look import look  # late: the resident agent never needs it

    return partial(look, work)


def system() -> str | Unknown:
    """The system's own package manager, or why this system cannot be looked at."""
    if sys.platform == "win32":
        return system_manager.WINDOWS
    return system_manager.here(facts.os_release())


def system_name() -> str:
    """The system's own package manager, "" = none that could be driven."""
    found = system()
    return found if isinstance(found, str) else ""


def manager_version() -> str:
    """Which version the system's own package manager says to be, "" = it says none."""
    if sys.platform == "win32":  # the registry answers there, and it has no version
        return ""
    from brakeline.agent.providers.version import version_of  # late: only a full look asks

    return version_of(system_name())


def end_with_launcher() -> None:
    """Where no signal tells a process to end, the launcher closes its standard input."""
    if sys.platform == "win32" and LauncherLink.there():
        from brakeline.agent import windows

        windows.end_with_launcher()


def log(line: str) -> None:
    """To stdout, where systemd's journal picks it up with the time."""
    print(line, flush=True)


def package_stamp(manager: str) -> int:
    """Changes when the system's package manager's records do; a few calls of stat, so it is looked at often."""
    stamp = 0
    for path in PACKAGE_RECORDS.get(manager, ()):
        try:
            stamp = stamp * 31 + os.stat(path).st_mtime_ns
        except OSError:
            continue
    return stamp


def stop_reason() -> str:
    """shutdown when the whole system goes down, restart when it comes up again, else agent_stop. Asks systemd once, at
    the very end.
    """
    if sys.platform == "win32":  # only a service is told which of the two it is
        return "agent_stop"
    import subprocess

    def ask(*words: str) -> str:
        try:
            done = subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=2, check=False)
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout.strip()

    if ask("is-system-running") != "stopping":
        return "agent_stop"
    jobs = ask("list-jobs", "--plain", "--no-legend", "--no-pager")
    return "restart" if any(target in jobs for target in COMES_BACK) else "shutdown"


def open_cell(config: Config, config_path: Path, state_dir: Path, identity: Identity) -> Cell:
    """The connection, under the endpoint's identity; its id is "" while enrolling."""
    transport = Transport(config.server_url, config.ca_pem, BUILT_MS, ProxyFile(config_path))
    return Cell(transport, identity, Counter(state_dir), boot_id(), config.endpoint_id)


def build(config: Config, config_path: Path, state_dir: Path) -> Loop:
    """The whole resident agent; faults of `config`, `content`, `identity` and `transport`."""
    given = content.load()
    clock = SystemClock()
    reserve = DiskReserve(state_dir / "reserve")
    reserve.keep()
    identity = Identity.load(state_dir)
    memory = Memory(state_dir / "state.json")
    launcher, manager = LauncherLink(), system()
    me = Self(
        endpoint_id=config.endpoint_id,
        cell_key=config.cell_key,
        agent_version=__version__,
        boot_id=boot_id(),
        can_patch=helper_is_there(config),
        release_id=launcher.release_id,
        content=given.release_id,
        content_problems=given.problems,
        restarts_a_day=restarts_a_day(config_path),
        local=local_limits.load(config_path),
    )
    return Loop(
        State(me, memory.load(), follow=_follow(state_dir / FOLLOW), warned=_warned(config)),
        Collaborators(
            clock=clock,
            cell=open_cell(config, config_path, state_dir, identity),
            spool=Spool(state_dir / "spool", reserve),
            runs=RunSpool(state_dir / "runs"),
            memory=memory,
            errands=Errands(program(), state_dir / "work"),
            helper=HelperClient(config.helper_socket),
            launcher=launcher,
            health=HealthProbe(),
            status=StatusFile(state_dir / "status.json"),
            state_dir=state_dir,
            child_options=("--state", str(state_dir), "--config", str(config_path)),
            package_stamp=partial(package_stamp, str(manager)),
            stamp=lambda: stamp.take(given.looker(__version__)),
            stop_reason=stop_reason,
            log=log,
            not_assessed=manager.reason if isinstance(manager, Unknown) else "",
            harms=_harms_probe(state_dir, config, clock),
        ),
    )


def helper_is_there(config: Config) -> bool:
    """Elsewhere its socket is there before the helper; on Windows a pipe comes and goes with a service that may start
    after us, so there the configuration counts, and a helper that does not answer starts nothing."""
    if sys.platform == "win32":
        return bool(config.helper_socket)
    return bool(config.helper_socket) and os.path.exists(config.helper_socket)


def _harms_probe(state_dir: Path, config: Config, clock: SystemClock) -> HarmsProbe | None:
    """Windows has neither the files nor a helper."""
    if sys.platform == "win32":
        return None
    helper = HelperClient(config.helper_socket)
    return HarmsProbe(state_dir, helper.harms, clock.monotonic_s, start_s=StartProbe().seconds)


def _warned(config: Config) -> bool:
    """Whether people were told of a restart by an earlier process of ours (`desk.SHOWN`)."""
    return bool(config.helper_socket) and os.path.exists(os.path.join(os.path.dirname(config.helper_socket), SHOWN))


def _follow(path: Path) -> str:
    """The order for the launcher that was kept, "" = none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
