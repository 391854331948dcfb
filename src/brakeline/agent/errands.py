"""Short-lived child processes for everything heavy or risky: scans and plans.

The resident agent stays small and cannot be taken down by a scan that crashes, hangs or eats memory: the child puts
itself under `limits.SCAN`, and after SCAN_RUN_S_MAX its whole session is killed. One child at a time.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from brakeline.agent import content
from brakeline.agent.limits import ERRAND_OUTPUT_BYTES_MAX
from brakeline.core.errors import Bug

REASON_BYTES_MAX = 2000
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


@dataclass(frozen=True, slots=True)
class Ended:
    """A child that has ended: `output` is complete when `problem` is empty."""

    output: bytes
    problem: str


class Running(Protocol):
    """One running child, as `Child` is; on Windows `windows_child.Child`."""

    deadline_s: float

    def look(self, now_s: float) -> Ended | None: ...
    def kill(self, problem: str) -> Ended: ...


class Child:
    """One running child. `fileno` becomes readable when there is output or the child has ended."""

    def __init__(self, command: list[str], directory: Path, deadline_s: float) -> None:
        self._stderr = directory / "stderr"
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read_end, False)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, write_end, 1),
            (os.POSIX_SPAWN_OPEN, 2, str(self._stderr), flags, 0o600),
        ]
        try:
            environment = ENVIRONMENT | content.handed_on()
            self.pid = os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)
        except OSError:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._read_end = read_end
        self._output = bytearray()
        self.deadline_s = deadline_s

    def fileno(self) -> int:
        return self._read_end

    def look(self, now_s: float) -> Ended | None:
        """Take in what is there; the end if it has come. Never blocks."""
        over = self._drain()
        if len(self._output) > ERRAND_OUTPUT_BYTES_MAX:
            return self.kill("said more than is allowed")
        if now_s >= self.deadline_s:
            return self.kill("took too long")
        return self._reap() if over else None

    def kill(self, problem: str) -> Ended:
        """End the child and everything it started (its session)."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._read_end)
        return Ended(b"", problem)

    def _drain(self) -> bool:
        """True at the end of output."""
        while len(self._output) <= ERRAND_OUTPUT_BYTES_MAX:
            try:
                piece = os.read(self._read_end, 65536)
            except BlockingIOError:
                return False
            if not piece:
                return True
            self._output += piece
        return False

    def _reap(self) -> Ended:
        _, status = os.waitpid(self.pid, 0)  # its output is closed: it is ending
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # whatever it left behind
        os.close(self._read_end)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return Ended(bytes(self._output), "")
        return Ended(b"", f"{_how(code)}: {self._last_words()}")

    def _last_words(self) -> str:
        try:
            lines = self._stderr.read_bytes()[-REASON_BYTES_MAX:].decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:300] if lines else "it said nothing"


def _how(code: int) -> str:
    if code < 0:
        return f"ended by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"ended by signal {-code}"
    return f"exit code {code}"


def _begun(command: list[str], directory: Path, deadline_s: float) -> Running:
    if sys.platform == "win32":
        from brakeline.agent.windows_child import Child as OnWindows

        return OnWindows(command, directory, deadline_s)
    return Child(command, directory, deadline_s)


class Errands:
    """Starts at most one child at a time."""

    def __init__(self, program: list[str], directory: Path) -> None:
        self._program = program
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.child: Running | None = None

    def start(self, verb: list[str], deadline_s: float) -> None:
        """Begin `agent VERB…`; OSError if the system cannot start a process."""
        if self.child is not None:
            raise Bug("an errand is still under way")
        self.child = _begun([*self._program, *verb], self._directory, deadline_s)

    def look(self, now_s: float) -> Ended | None:
        """The end of the current child, if it has come."""
        ended = self.child.look(now_s) if self.child else None
        if ended is not None:
            self.child = None
        return ended

    def stop(self) -> None:
        if self.child is not None:
            self.child.kill("the agent stops")
            self.child = None
