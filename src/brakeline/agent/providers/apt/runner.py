"""Child processes of this endpoint, or of another root file system reached by a prefix (chroot, nsenter).

`query` is for short, read-only calls; `job` is for what may run long and start others: it is owned by `agent.guard`,
so a time-out ends the whole tree. No child ever has a terminal or an open standard input; language and environment
are fixed, so nothing can prompt and output can be read. Nothing here judges what came out.
"""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from brakeline.agent.providers.ended import FLOODED, OUTPUT_BYTES_MAX, OUTPUT_MAX
from brakeline.core.errors import Fault

PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")  # how this endpoint reaches its repositories
BASE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "APT_LISTCHANGES_FRONTEND": "none",
    "APT_LISTBUGS_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",  # restarts are decided after the transaction, not inside it
}
QUERY_S_MAX = 60.0
STOP_GRACE_S = 30.0  # what dpkg, rpm or pacman gets to record the failure of a script that was ended
TEXT_BYTES_MAX = 16 * 1024 * 1024  # of one command, in memory; what brew says of a thousand formulae is 10 MiB
SPARED = "apt-get,dpkg,rpm,pacman,brakeline-dnf"  # they record what became of the scripts that they waited for


@dataclass(frozen=True, slots=True)
class Ran:
    """How a child ended. `rc` is kept for the log; decisions are made on states."""

    rc: int
    text: str  # standard output and error, together
    timed_out: bool = False
    killed: tuple[str, ...] = ()  # names of processes that had to be ended


class AnswerLost(Fault):
    """A tool of the package manager was ended before it had answered."""

    code = "answer-lost"


class Record(Protocol):
    """Who keeps which commands ran; `agent.run_record` does for a transaction. Never raises, never waits."""

    def began(self, argv: Sequence[str]) -> int: ...
    def ended(self, command: int, rc: int, took_s: float, *, timed_out: bool = False) -> None: ...
    def following(self, command: int, out: IO[bytes], begin: int) -> AbstractContextManager[object]: ...


class Runner(Protocol):
    """Where commands run and files are read; the real one is `Machine`."""

    def query(self, *command: str, timeout_s: float = QUERY_S_MAX) -> Ran: ...
    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran: ...
    def path(self, absolute: str) -> Path: ...


@dataclass(frozen=True, slots=True)
class Machine:
    """This endpoint (no prefix, root `/`), or a root file system: `prefix` enters it, `root` is where it is seen."""

    prefix: tuple[str, ...] = ()
    root: Path = Path("/")
    python: str = field(default=sys.executable or "/usr/bin/python3")
    stop_grace_s: float = STOP_GRACE_S
    record: Record | None = None  # of a transaction: every command, and what jobs print

    def path(self, absolute: str) -> Path:
        """Where an absolute path of the endpoint is for us."""
        return self.root / absolute.lstrip("/")

    def query(self, *command: str, timeout_s: float = QUERY_S_MAX) -> Ran:
        """Run a short command; on time-out its process group is killed."""
        if self.record is None:
            return self._query(command, timeout_s)
        number, began_s = self.record.began(command), time.monotonic()
        ran = self._query(command, timeout_s)
        self.record.ended(number, ran.rc, time.monotonic() - began_s, timed_out=ran.timed_out)
        return ran

    def _query(self, command: tuple[str, ...], timeout_s: float) -> Ran:
        with subprocess.Popen(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment_of(None),
            cwd="/",
            start_new_session=True,
        ) as child:
            try:
                out, _ = child.communicate(timeout=timeout_s)
                return Ran(child.returncode, out.decode("utf-8", "replace"))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                out, _ = child.communicate()
                return Ran(child.returncode, out.decode("utf-8", "replace"), timed_out=True)

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run a command that may take long, its whole tree owned by the guard; output is appended to `log`.

        Output goes to a file and never through a pipe: a daemon that a package starts may keep it open for ever.
        """
        with tempfile.TemporaryFile() as scratch:
            out = log or scratch
            begin = out.seek(0, os.SEEK_END)
            bounded = {OUTPUT_MAX: str(OUTPUT_BYTES_MAX), **(environment or {})}
            report = self._recorded(command, timeout_s, out, begin, environment_of(bounded))
            text = told(out, begin) + (f"\n{FLOODED}\n" if report.get("flooded") else "")
        return Ran(int(report.get("rc", -1)), text, bool(report.get("timed_out")), tuple(report.get("killed", ())))

    def _recorded(
        self, command: tuple[str, ...], timeout_s: float, out: IO[bytes], begin: int, environment: dict[str, str]
    ) -> dict[str, Any]:
        """Output goes into its file as without a record, which reads behind it."""
        if self.record is None:
            return self._guarded(command, timeout_s, out, environment)
        number, began_s = self.record.began(command), time.monotonic()
        with self.record.following(number, out, begin):
            report = self._guarded(command, timeout_s, out, environment)
        took_s, timed_out = time.monotonic() - began_s, bool(report.get("timed_out"))
        self.record.ended(number, int(report.get("rc", -1)), took_s, timed_out=timed_out)
        return report

    def _guarded(
        self, command: tuple[str, ...], timeout_s: float, out: IO[bytes], environment: dict[str, str]
    ) -> dict[str, Any]:
        receive, send = os.pipe()
        source = (pkgutil.get_data("brakeline.agent", "guard.py") or b"").decode()
        arguments = [str(send), str(timeout_s), str(self.stop_grace_s), SPARED, "--", *command]
        try:
            child = subprocess.Popen(
                [*self.prefix, self.python, "-I", "-S", "-c", source, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                cwd="/",
                pass_fds=(send,),
                start_new_session=True,
            )
        finally:
            os.close(send)
        with open(receive, "rb") as pipe:
            data = pipe.read()
        child.wait()
        report: dict[str, Any] = json.loads(data) if data else {}
        return report


@dataclass(frozen=True, slots=True)
class Attentive:
    """A runner whose queries fail loudly when a child was ended before it had answered."""

    inner: Runner

    def query(self, *command: str, timeout_s: float = QUERY_S_MAX) -> Ran:
        ran = self.inner.query(*command, timeout_s=timeout_s)
        if ran.timed_out or ran.rc < 0:
            how = f"took longer than {timeout_s:.0f} s" if ran.timed_out else f"was ended by signal {-ran.rc}"
            raise AnswerLost(f"{command[0]} {how}; nothing is concluded from a part of its answer.")
        return ran

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        return self.inner.job(*command, timeout_s=timeout_s, log=log, environment=environment)

    def path(self, absolute: str) -> Path:
        return self.inner.path(absolute)


def told(out: IO[bytes], begin: int) -> str:
    """What lies in a file from `begin` on; of more than is read at once the first and the last of it."""
    size = out.seek(0, os.SEEK_END) - begin
    out.seek(begin)
    if size <= TEXT_BYTES_MAX:
        return out.read(max(0, size)).decode("utf-8", "replace")
    half = TEXT_BYTES_MAX // 2
    first = out.read(half)
    out.seek(-half, os.SEEK_END)
    left_out = f"\n[{size - 2 * half} bytes left out]\n"
    return first.decode("utf-8", "replace") + left_out + out.read(half).decode("utf-8", "replace")


def environment_of(extra: Mapping[str, str] | None) -> dict[str, str]:
    """The fixed environment of every child, the proxies of this process, and what one call adds."""
    proxies = {k: v for k, v in os.environ.items() if k.lower() in PASSED_ON}
    # dpkg warns, into the answer that we read, when it may not look for ~/.dpkg.cfg
    home = "/root" if os.geteuid() == 0 else "/"
    return {**BASE_ENVIRONMENT, "HOME": home, **proxies, **(extra or {})}
