"""One real endpoint to break: the real launcher, a real little release and a real HTTPS cell, in a PID namespace.

The namespace is the host: killing everything in it but its first process is what a service manager does to a unit,
killing the first one is a power cut (the launcher then sees another boot). A shim in the place of the interpreter puts
strace around one process of one kind, once (`env` is between: strace cannot break the first exec that it sees). Needs
root. Next: `real` (faults), `block` (power cuts).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support_launcher import GOOD, KNOBS, PYTHON, RAN, SAY, Cell, Endpoint, release_bytes
from tests.support_trust import Repository
from tools.crashtest import calls
from tools.crashtest.calls import PROCESSES, TRACED, has_fired

from brakeline.core.errors import Fault
from brakeline.launcher.model import TRIES
from brakeline.platform.clock import SystemClock
from brakeline.platform.tls import ensure_tls
from brakeline.protocol.messages import LauncherReport

FAST = KNOBS | {
    "tick_s": 0.03, "check_every_s": 0.4, "ready_s": 6, "probation_s": 0.01, "healthy_s": 8, "restart_s": [0.03],
    "lonely_check_s": 0.2, "stop_s": 0.3, "again_s": 1, "guard_wait_s": 0.5, "guard_delays_s": [0.5, 0.5, 0.5],
    "survive_s": 1.5,
}  # fmt: skip
ENDS_ITSELF_S = 12.0  # without being started again; then it is
ENDS_S = 40.0  # and after that: a machine may be busy
KEY, STATE = b"k" * 32, b'{"sessions": []}'
DESTROYS = (
    SAY + RAN + 'home = os.environ["HOME"]\n'
    'open(home + "/key", "w").write("")\nopen(home + "/state.json", "w").write("rubbish")\n'
    'os.makedirs(home + "/staging", exist_ok=True)\nsys.exit(1)\n'
)
PROGRAMS = {"good": GOOD, "crash": SAY + RAN + 'sys.exit("it crashed")\n', "destroys": DESTROYS}
SHIM = f"""#!/bin/sh
here=${{0%/*}}
case "$*" in
*" check --root "*) who=look ;;
*agent.pyz*) who=release ;;
*os.replace*) who=giver ;;
*) who=keeper ;;
esac
if mv "$here/plan/$who" "$here/plan/$who.used" 2>/dev/null; then
    set -- strace -qq -yy -o "$here/plan/$who.log" $(cat "$here/plan/$who.used") /usr/bin/env {PYTHON} "$@"
    [ -e "$here/plan/cut" ] || exec "$@"
    "$@"
    kill -9 -1
fi
exec {PYTHON} "$@"
"""
CUT = ("sh", "-c", '"$@"; kill -9 -1', "sh")  # whatever ends it, everything ends with it


@dataclass
class Machine(Endpoint):
    """An endpoint whose processes live in a PID namespace of their own."""

    character: str = "good"
    baseline: str = ""
    update: str = ""
    tracing: tuple[str, ...] = ()  # strace and its arguments around the launcher itself
    cut: bool = False  # when strace has killed one process, all others are killed at once
    host: subprocess.Popen[bytes] | None = None
    first: int = 0  # pid of the namespace's first process

    @property
    def plan(self) -> Path:
        return self.base / "plan"

    # --- the host ------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        command = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sleep", "1000"]
        self.host = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        children = Path(f"/proc/{self.host.pid}/task/{self.host.pid}/children")
        self.until(lambda: self._is_up(children), 20, "the host is up")

    def _is_up(self, children: Path) -> bool:
        with contextlib.suppress(OSError, IndexError):
            self.first = int(children.read_text().split()[0])
            return Path(f"/proc/{self.first}/comm").read_text() == "sleep\n"
        return False

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self.first), "--pid", "--mount", "--", *command]

    def power_cut(self) -> None:
        """Every process is gone at once; what is on the disk stays."""
        if self.host is not None:
            if self.first:  # 0 would be our own process group
                with contextlib.suppress(OSError):
                    os.kill(self.first, signal.SIGKILL)
            self.host.kill()
            self.host.wait(20)
            self.host, self.first = None, 0
        if self.process is not None:
            self.process.wait(20)
            self.process = None

    # --- the launcher --------------------------------------------------------------------------------------------

    def start(self) -> None:
        places = ["--root", str(self.root), "--etc", str(self.etc), "--home", str(self.home)]
        program = ["-I", str(self.program), "run", *places]
        if self.tracing:
            command = [*self.tracing, PYTHON, *program]
        else:  # under the shim's name, so that what the launcher starts goes through the shim
            command = ["bash", "-c", f'exec -a "$0" {PYTHON} "$@"', str(self.base / "python"), *program]
        with (self.base / "log").open("ab") as out:
            self.process = subprocess.Popen(
                self.inside(*command), stdout=out, stderr=out, start_new_session=True, close_fds=True
            )

    def end_unit(self) -> None:
        """As a service manager ends what is left of a unit."""
        subprocess.run(self.inside("sh", "-c", "kill -9 -1"), check=False, capture_output=True)
        assert self.process is not None
        self.process.wait(20)
        self.process = None

    def report(self) -> LauncherReport:
        """Nothing yet, if it was cut off in the middle."""
        with contextlib.suppress(Fault):
            return super().report()
        return LauncherReport()

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    # --- faults --------------------------------------------------------------------------------------------------

    def plant(self, fault: calls.Fault) -> None:
        """strace around the process, before the launcher is started."""
        if self.cut:
            (self.plan / "cut").touch()
        if fault.call.process == "launcher":
            log = str(self.plan / "launcher.log")
            strace = ("strace", "-f", "-b", "execve", "-qq", "-o", log, *fault.arguments)
            self.tracing = (*CUT, *strace) if self.cut else strace
        else:
            (self.plan / fault.call.process).write_text(" ".join(fault.arguments))

    def record_calls(self, process: str) -> None:
        what = f"trace={','.join(TRACED)}"
        if process == "launcher":
            log = str(self.plan / "launcher.log")
            self.tracing = ("strace", "-f", "-b", "execve", "-qq", "-yy", "-o", log, "-e", what)
        else:
            (self.plan / process).write_text(f"-e {what}")

    def traced(self, process: str) -> str:
        with contextlib.suppress(OSError):
            return (self.plan / f"{process}.log").read_text(errors="replace")
        return ""

    def has_fired(self, fault: calls.Fault) -> bool:
        return has_fired(self.traced(fault.call.process))

    # --- promises ------------------------------------------------------------------------------------------------

    def is_well(self) -> bool:
        """The good update is confirmed and runs; or the bad one is quarantined and the last good one runs."""
        report = self.report()
        if self.character == "good":
            return report.confirmed == report.running == self.update and self.record().current == self.update
        kept = [(self.home / name).read_bytes() for name in ("key", "state.json")]
        given = self.character != "destroys" or kept == [KEY, STATE]
        well = report.running == report.confirmed == self.baseline and self.update in self.record().quarantined
        return well and given

    def ran_too_often(self) -> bool:
        return self.character != "good" and self.runs("2.0.0") > TRIES


@dataclass
class Rig:
    """Makes machines that differ in nothing but their directory."""

    place: Path
    user: str
    character: str
    knobs: dict[str, object] = field(default_factory=lambda: dict(FAST))

    def __post_init__(self) -> None:
        self.folder = self.place / self.character
        self.folder.mkdir(parents=True)
        tls = ensure_tls(self.place / "tls", (), SystemClock())
        self.cell = Cell(Repository(now_ms=time.time_ns() // 1_000_000), tls)
        self.template = self._machine(self.folder / "template")
        base = self.template.base
        base.mkdir()
        self.template.baseline = self.template.prepare(release_bytes("1.0.0"))
        update = release_bytes("2.0.0", PROGRAMS[self.character], 2)
        self.template.update = self.cell.repository.publish("2.0.0", update, 2)
        self.cell.repository.offer(self.template.update)
        for name, data in (("key", KEY), ("state.json", STATE), ("counter", b"513"), ("runs", b"")):
            path = self.template.home / name
            path.write_bytes(data)
            path.chmod(0o600)
            shutil.chown(path, self.user, self.user)
        (base / "python").write_text(SHIM)
        (base / "python").chmod(0o755)
        (base / "plan").mkdir()
        self.made = 0

    def _machine(self, base: Path) -> Machine:
        return Machine(base, self.user, self.cell, knobs=dict(self.knobs), character=self.character)

    @contextlib.contextmanager
    def machine(self, name: str) -> Iterator[Machine]:
        """A copy of the template: configured, with the baseline installed, not booted."""
        base = self.folder / name
        subprocess.run(["cp", "-a", str(self.template.base), str(base)], check=True)
        (base / "plan").chmod(0o777)  # the release's user moves and writes in there too
        for process in PROCESSES:
            (base / "plan" / f"{process}.log").touch()
            (base / "plan" / f"{process}.log").chmod(0o666)
        made = self._machine(base)
        made.baseline, made.update = self.template.baseline, self.template.update
        try:
            yield made
        finally:
            made.power_cut()
            shutil.rmtree(base, ignore_errors=True)

    def close(self) -> None:
        self.cell.close()


def wait(true: Callable[[], bool], seconds: float) -> bool:
    """Whether it became true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.01)
    return bool(true())


def lacks() -> str:
    """What is missing to run this here, "" = nothing."""
    if os.geteuid() != 0:
        return "root (namespaces, a user for releases)"
    missing = [name for name in ("strace", "unshare", "nsenter", "useradd", "bash") if not shutil.which(name)]
    return f"programs: {', '.join(missing)}" if missing else ""


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A directory through which the releases' user may walk, in memory if there is some."""
    memory = Path("/dev/shm")
    fast = str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else None
    made = Path(tempfile.mkdtemp(prefix="brakeline-crash-", dir=fast))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
