"""winget's command line: what it is asked, and its answers as rows, by their columns: their words are translated.

Nothing is asked of a person: terms are agreed to by order of whoever deploys, nothing is shown, nothing is guessed (an
exact Id from a named source). Only what is installed for the machine is looked at: an agent has no user of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.providers.model import Refused
from brakeline.agent.providers.windows import winget_exits
from brakeline.agent.providers.windows.box import Box, Ended
from brakeline.agent.providers.windows.winget import DASHES, Row, rows
from brakeline.agent.providers.windows.wua_answers import quoted

QUIETLY: Final = "--accept-source-agreements --disable-interactivity"
ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_\-]{0,127}")
VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_\-]{0,127}")
SOURCES: Final = ("winget", "msstore")
LOOK_S_MAX: Final = 45.0  # of one answer; a survey asks three times
SOURCE_S_MAX: Final = 300.0
SENTENCE_MAX: Final = 2_000
NONE: Final = (0, 0x8A150014, 0x8A15002B)  # an answer, if it is only that there is nothing


@dataclass(frozen=True, slots=True)
class Winget:
    """`program`: where winget.exe lies."""

    box: Box
    program: str

    def installed(self) -> tuple[Row, ...] | Refused:
        """Programs of this machine that winget knows in one of its sources."""
        found = self._rows(f"list {QUIETLY} --scope machine", some=True)
        return found if isinstance(found, Refused) else tuple(r for r in found if r.source in SOURCES)

    def newer(self) -> tuple[Row, ...] | Refused:
        return self._rows(f"upgrade {QUIETLY} --scope machine")

    def pinned(self) -> frozenset[str] | Refused:
        """Ids that this endpoint's owner has pinned, in whichever way."""
        found = self._rows("pin list --disable-interactivity")
        return found if isinstance(found, Refused) else frozenset(r.id for r in found)

    def versions(self, id_: str) -> tuple[str, ...] | Refused:
        """Every version that the source has of it."""
        ended = self._run(f'show --id "{id_}" --exact --source winget --versions {QUIETLY}')
        if isinstance(ended, Refused):
            return ended
        lines = [line.strip() for line in text_of(ended.output).splitlines()]
        start = next((i for i, line in enumerate(lines) if re.fullmatch(r"-{3,}", line)), len(lines))
        return tuple(line for line in lines[start + 1 :] if VERSION.fullmatch(line))

    def update_source(self) -> Refused | None:
        ended = self._run("source update --name winget --disable-interactivity", SOURCE_S_MAX)
        return ended if isinstance(ended, Refused) else None

    def line(self, verb: str, id_: str, version: str, log: Path) -> str:
        """The exact command line of a change."""
        return (
            f'"{self.program}" {verb} --id "{id_}" --exact --version "{version}" --source winget --scope machine '
            f'--silent --accept-package-agreements {QUIETLY} --log "{self.box.native(log)}"'
        )

    def _rows(self, words: str, *, some: bool = False) -> tuple[Row, ...] | Refused:
        """The rows of its table. `some`: without one it is no answer; else a sentence may say that there is none."""
        ended = self._run(words)
        if isinstance(ended, Refused):
            return ended
        text = text_of(ended.output)
        found = rows(text)
        if not found and ended.code == 0 and (some or not _sentence(text)):
            return Refused("no_answer", f"winget's answer has no table that could be read{quoted(ended.output)}.")
        return found

    def _run(self, words: str, limit_s: float = LOOK_S_MAX) -> Ended | Refused:
        try:
            ended = self.box.run(f'"{self.program}" {words}', limit_s)
        except OSError as e:
            return Refused("no_answer", f"winget could not be started: {e.strerror or e}.")
        if ended.timed_out:
            return Refused("timeout", f"winget gave no answer in {limit_s:.0f} s, and was ended.")
        if ended.code not in NONE:
            trouble, _ = winget_exits.judged(ended.code, text_of(ended.output))
            return trouble or Refused("failed", "winget failed.")
        return ended


def text_of(output: bytes) -> str:
    """As text: UTF-8, or UTF-16 where a wrapper has made it that; what is neither keeps its Ids, which are ASCII."""
    if output[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return output.decode("utf-16", "replace")
    return output.decode("utf-8-sig", "replace")


def _sentence(text: str) -> bool:
    """Whether it may be winget's word that there is nothing: short, readable, and no table."""
    lines = [line.strip() for line in text.splitlines()]
    return len(text) <= SENTENCE_MAX and "\ufffd" not in text and not any(DASHES.fullmatch(x) for x in lines)


def twice(found: tuple[Row, ...]) -> frozenset[str]:
    """Ids under which more than one program is installed."""
    return frozenset(id_ for id_, n in Counter(r.id for r in found).items() if n > 1)
