"""Who speaks with Windows Update: a port, the real one over PowerShell, and one that answers from recordings.

A driver gives the bytes of an answer and what was printed beside it; nothing is judged here. The recorded one ships: it
serves tests and drills, and remembers what it was asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from brakeline.agent.files import write_durably
from brakeline.agent.providers.windows.box import Box
from brakeline.agent.providers.windows.wua_answers import ANSWER_BYTES_MAX
from brakeline.agent.providers.windows.wua_script import SCRIPT

POWERSHELL: Final = r"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe"
WORDS: Final = "-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass"
NAMES: Final = ("wua.ps1", "request.json", "answer.json")


@dataclass(frozen=True, slots=True)
class Said:
    """What came back. `data` b"" = no answer was written; `printed`: what its process said beside it."""

    data: bytes
    printed: bytes = b""
    timed_out: bool = False


class Driver(Protocol):
    """Windows Update of one endpoint."""

    def ask(self, verb: str, request: dict[str, Any], timeout_s: float) -> Said: ...


@dataclass(frozen=True, slots=True)
class PowerShell:
    """The script of `wua_script`, written anew for each run where administrators alone write. `system`: SystemRoot."""

    box: Box
    place: Path
    system: str

    def ask(self, verb: str, request: dict[str, Any], timeout_s: float) -> Said:
        """OSError if it cannot be started."""
        self.place.mkdir(parents=True, exist_ok=True, mode=0o700)
        script, asked, answer = (self.place / name for name in NAMES)
        write_durably(script, b"\xef\xbb\xbf" + SCRIPT.encode())
        write_durably(asked, json.dumps(request).encode())
        answer.unlink(missing_ok=True)
        ended = self.box.run(self.line(verb, script, asked, answer), timeout_s)
        return Said(_read(answer), ended.output, ended.timed_out)

    def line(self, verb: str, script: Path, asked: Path, answer: Path) -> str:
        """The exact command line."""
        program = POWERSHELL.replace("%SystemRoot%", self.system)
        native = self.box.native
        return f'"{program}" {WORDS} -File "{native(script)}" {verb} "{native(asked)}" "{native(answer)}"'


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as f:
            return f.read(ANSWER_BYTES_MAX + 1)
    except OSError:
        return b""


@dataclass
class Recorded:
    """Answers by verb, one after the other, the last one again and again; `asked` is what was asked for."""

    answers: dict[str, Sequence[Said]]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def ask(self, verb: str, request: dict[str, Any], timeout_s: float) -> Said:  # noqa: ARG002 - it takes no time
        told = self.answers.get(verb, ())
        before = sum(v == verb for v, _ in self.asked)
        self.asked.append((verb, request))
        return told[min(before, len(told) - 1)] if told else Said(b"")
