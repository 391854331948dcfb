"""Where a package transaction runs: never in the agent's or the helper's unit, never under their limits.

With systemd a transient unit: its own cgroup, KillMode=mixed (stop asks the runner first, which finishes what dpkg
has begun), no Protect*, generous limits. Without systemd a process in a session and a cgroup of its own. Either
survives stop, crash and update of agent and helper, and is found again by the transaction's id. Its program is a copy
of its own: the launcher may remove the release that it was started from while it runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from brakeline.core.errors import Fault

STOP_S_MAX = 900  # a stop (shutdown) waits this long for dpkg to finish what it has begun
RUN_S_MAX = 6 * 3600  # far above Bounds.run_s_max, which the runner keeps by itself: only a net
SYSTEMCTL_S_MAX = 10
MANIFEST = "MANIFEST"  # in the folder of every release that a launcher has put in place
CGROUP_ROOT = Path("/sys/fs/cgroup")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}


class CannotStart(Fault):
    """The package transaction could not be started."""

    code = "cannot_start"


def starter(program: list[str], state_dir: Path) -> SystemdStarter | SessionStarter:
    """The right one for this machine (sd_booted(3))."""
    if Path("/run/systemd/system").is_dir():
        return SystemdStarter(program, state_dir)
    return SessionStarter(program, state_dir)


def own_copy(program: list[str], directory: Path) -> list[str]:
    """The same command with what it runs copied to `directory`: a zipapp, or a program with the folder it lies in.

    Raises `OSError`; what is no release (a checkout) is left where it is.
    """
    source = Path(program[-1])
    if source.suffix == ".pyz":
        python = [_own_python(program[0], directory)] if getattr(sys, "frozen", False) else program[:1]
        return [*python, *program[1:-1], shutil.copyfile(source, directory / source.name).as_posix()]
    if len(program) == 1 and (source.parent / MANIFEST).exists():
        shutil.copytree(source.parent, directory / "program", dirs_exist_ok=True)
        return [str(directory / "program" / source.name)]
    return program


def _own_python(python: str, directory: Path) -> str:
    """A copy of the interpreter that our package brought: the transaction may replace that package."""
    copied = shutil.copytree(Path(python).parent, directory / "python", dirs_exist_ok=True)
    return str(copied / Path(python).name)


def unit_name(transaction_id: str) -> str:
    return f"brakeline-{transaction_id}.service"


class SystemdStarter:
    """Transient units by systemd-run."""

    def __init__(self, program: list[str], state_dir: Path) -> None:
        self._program = program
        self._state_dir = state_dir

    def command(self, transaction_id: str, program: list[str]) -> list[str]:
        """The whole systemd-run call."""
        properties = (
            "Type=exec", "KillMode=mixed", f"TimeoutStopSec={STOP_S_MAX}", f"RuntimeMaxSec={RUN_S_MAX}",
            "OOMScoreAdjust=-500", "TasksMax=infinity", "StandardOutput=journal",
        )  # fmt: skip
        return [
            "systemd-run", "--quiet", "--collect", "--no-ask-password", f"--unit={unit_name(transaction_id)}",
            f"--description=Brakeline package transaction {transaction_id}",
            *(f"--property={p}" for p in properties),
            "--", *program, "transaction", transaction_id, "--helper-state", str(self._state_dir),
        ]  # fmt: skip

    def start(self, transaction_id: str) -> None:
        try:
            command = self.command(transaction_id, own_copy(self._program, self._state_dir / "tx" / transaction_id))
            done = subprocess.run(command, capture_output=True, text=True, timeout=SYSTEMCTL_S_MAX, check=False)
        except (OSError, subprocess.SubprocessError) as e:
            raise CannotStart(f"systemd-run: {e}") from e
        if done.returncode:
            raise CannotStart(f"systemd-run: {done.stderr.strip()[:300]}")

    def alive(self, transaction_id: str) -> bool:
        """Also while systemd cannot be asked: starting a second runner would be worse than waiting."""
        command = ["systemctl", "show", "--property=ActiveState", "--value", unit_name(transaction_id)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SYSTEMCTL_S_MAX, check=False)
        except (OSError, subprocess.SubprocessError):
            return True
        return done.returncode != 0 or done.stdout.strip() in ("active", "activating", "deactivating", "reloading")


class SessionStarter:
    """A process in its own session and, where cgroups can be written, in its own cgroup of each hierarchy."""

    def __init__(self, program: list[str], state_dir: Path, cgroup_root: Path = CGROUP_ROOT) -> None:
        self._program = program
        self._state_dir = state_dir
        self._cgroup_root = cgroup_root

    def start(self, transaction_id: str) -> None:
        directory = self._state_dir / "tx" / transaction_id
        try:
            program = own_copy(self._program, directory)
        except OSError as e:
            raise CannotStart(f"{directory}: {e.strerror}") from e
        command = [*program, "transaction", transaction_id, "--helper-state", str(self._state_dir)]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(directory / "output"), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        try:
            pid = os.posix_spawn(command[0], command, ENVIRONMENT, file_actions=actions, setsid=True)
        except OSError as e:
            raise CannotStart(f"{command[0]}: {e.strerror}") from e
        self._own_cgroup(transaction_id, pid)
        (directory / "pid").write_text(f"{pid} {_started(pid)}", encoding="ascii")

    def alive(self, transaction_id: str) -> bool:
        """By pid and start time, so that a pid that was given to somebody else is not mistaken for ours."""
        try:
            text = (self._state_dir / "tx" / transaction_id / "pid").read_text(encoding="ascii")
            pid, started = text.split()
        except (OSError, ValueError):
            return False
        with suppress(ChildProcessError):
            os.waitpid(int(pid), os.WNOHANG)  # ours, if it was started by this very helper
        return _started(int(pid)) == started

    def _own_cgroup(self, transaction_id: str, pid: int) -> None:
        """Out of the agent's limits, in every hierarchy that there is (version 2 alone, or version 1)."""
        for hierarchy in (self._cgroup_root, *sorted(self._cgroup_root.glob("*"))):
            if not (hierarchy / "cgroup.procs").exists():
                continue
            group = hierarchy / f"brakeline-{transaction_id}"
            with suppress(OSError):  # read-only in most containers; the session of its own still stands
                group.mkdir(exist_ok=True)
                (group / "cgroup.procs").write_text(str(pid), encoding="ascii")


def _started(pid: int) -> str:
    """Start time in clock ticks since boot, field 22 of proc(5) stat; "" when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
