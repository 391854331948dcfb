"""The agent's children on Windows: `errands.Child` by other means. Imported nowhere else.

Output comes by pipes, each read by a thread into a bounded buffer: a file as standard output is not everywhere taken,
and a pipe cannot be waited for there together with anything else. What a child starts is in jobs of the child's own,
which end with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Final

from brakeline.agent import content
from brakeline.agent.errands import REASON_BYTES_MAX, Ended
from brakeline.agent.limits import ERRAND_OUTPUT_BYTES_MAX

assert sys.platform == "win32"

NO_WINDOW: Final = 0x08000000
PASSED_ON: Final = (
    "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "PATH", "TEMP", "TMP", "PROGRAMDATA", "PROGRAMFILES",
    "PROCESSOR_ARCHITECTURE",
)  # fmt: skip
END_S_MAX: Final = 10.0
KILLED_S_MAX: Final = 1.0  # its output is thrown away, and an agent that is asked to end has little time


class Child:
    """One running child."""

    def __init__(self, command: list[str], _directory: Path, deadline_s: float) -> None:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | content.handed_on()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, creationflags=NO_WINDOW,
        )  # fmt: skip
        self._output, self._words = bytearray(), bytearray()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = (
            _reader(self._process.stdout, self._output, ERRAND_OUTPUT_BYTES_MAX),
            _reader(self._process.stderr, self._words, 64 * 1024),
        )
        self._ended = False
        self.deadline_s = deadline_s

    def over(self) -> bool:
        """Whether there is something to look at: it has ended, or, after that was seen, its output has too."""
        return self._process.poll() is not None and not (self._ended and self._read_on())

    def look(self, now_s: float) -> Ended | None:
        """The end if it has come. Never blocks: what it has left behind may hold its output open, for a while."""
        if len(self._output) > ERRAND_OUTPUT_BYTES_MAX:
            return self.kill("said more than is allowed")
        if self._process.poll() is None:
            return self.kill("took too long") if now_s >= self.deadline_s else None
        if not self._ended:
            self._ended, self.deadline_s = True, now_s + END_S_MAX
        return None if self._read_on() and now_s < self.deadline_s else self._reap()

    def kill(self, problem: str) -> Ended:
        """End it; with it end the jobs of whatever it has started."""
        self._process.kill()
        self._process.wait(END_S_MAX)
        for reader in self._readers:
            reader.join(KILLED_S_MAX)
        return Ended(b"", problem)

    def _reap(self) -> Ended:
        if self._process.returncode == 0:
            return Ended(bytes(self._output), "")
        lines = bytes(self._words)[-REASON_BYTES_MAX:].decode(errors="replace").strip().splitlines()
        last = lines[-1][:300] if lines else "it said nothing"
        return Ended(b"", f"exit code {self._process.returncode}: {last}")

    def _read_on(self) -> bool:
        return any(reader.is_alive() for reader in self._readers)


def _reader(pipe: IO[bytes], into: bytearray, bytes_max: int) -> threading.Thread:
    """Everything is read, so that nobody waits for us; no more than one byte above the bound is kept."""

    def read() -> None:
        with pipe:
            while piece := pipe.read1(65_536):  # type: ignore[attr-defined]
                into.extend(piece[: bytes_max + 1 - len(into)])

    thread = threading.Thread(target=read, name="child", daemon=True)
    thread.start()
    return thread
