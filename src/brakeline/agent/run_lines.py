"""What of a transaction's output is kept, and what in it is nobody's business. Pure.

Invariants: no line is longer than RUN_LINE_CHARS_MAX; so many lines a second and so many bytes a transaction and no
more (`Meter`), with room kept for the commands themselves; what is left out is counted by whoever keeps. Secrets are
masked before anything is written: where a line looks like one it is masked rather than shown. Next: `run_record`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from brakeline.core.limits import RUN_BYTES_MAX, RUN_LINE_CHARS_MAX

LINES_S_MAX: Final = 200.0  # dpkg prints about 20; whoever prints more is not read by people as it comes
BURST_LINES: Final = 1000.0
KEPT_FOR_COMMANDS: Final = 128 * 1024  # bytes that output may not take: which commands ran is worth more
ARGV_CHARS_MAX: Final = 8000  # of one command; 300 packages with their versions fit
MASK: Final = "***"
FLAG_CHARS_MAX: Final = 80
# Each begins with something that is rare and repeats nothing without a bound: a line of 1,000 characters that somebody
# has made for it must not cost more than any other.
_WORDS = r"(?:password|passwd|passphrase|secret|token|(?:api|access|private)[-_]?key|credential|authorization)"
_URL = re.compile(r"(?P<scheme>://)[^/\s@]{1,200}@")
_NAMED = re.compile(rf"(?P<name>{_WORDS}[\w.-]{{0,30}}[\"']?\s{{0,4}}[=:]\s{{0,4}})(?P<quote>[\"']?)[^\s\"',;&]+", re.I)
_BEARER = re.compile(r"(?P<how>\b(?:bearer|basic)\s{1,4})[A-Za-z0-9._~+/=-]{8,}", re.I)
_FLAG = re.compile(rf"--?[\w-]{{0,30}}{_WORDS}[\w-]{{0,30}}", re.I)
_KEY_BEGIN, _KEY_END = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"), re.compile(r"-----END [A-Z ]*PRIVATE KEY")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Meter:
    """How much may still be written. Time is in seconds of any steady clock."""

    lines: float = BURST_LINES
    at_s: float = 0.0
    bytes_left: int = RUN_BYTES_MAX

    def spend(self, size: int, now_s: float, *, command: bool = False) -> Meter | None:
        """After an entry of so many bytes; None = it is left out. A command is held back by the size alone."""
        lines = min(BURST_LINES, self.lines + max(0.0, now_s - self.at_s) * LINES_S_MAX)
        kept = 0 if command else KEPT_FOR_COMMANDS
        if self.bytes_left - size < kept or (lines < 1 and not command):
            return None
        return replace(self, lines=lines - (0 if command else 1), at_s=now_s, bytes_left=self.bytes_left - size)


def masked(line: str, inside_key: bool = False) -> tuple[str, bool]:
    """The line without secrets, and whether the next one is inside of a private key."""
    if inside_key or _KEY_BEGIN.search(line):
        return MASK, not _KEY_END.search(line)
    line = _URL.sub(rf"\g<scheme>{MASK}@", line)
    line = _BEARER.sub(rf"\g<how>{MASK}", line)
    if "=" in line or ":" in line:
        line = _NAMED.sub(rf"\g<name>\g<quote>{MASK}", line)
    return line, False


def masked_text(text: str) -> str:
    """The same of several lines; their ends stay."""
    found, inside = [], False
    for line in text.splitlines(keepends=True):
        shown, inside = masked(line, inside)
        found.append(shown if shown.endswith("\n") or not line.endswith("\n") else f"{shown}\n")
    return "".join(found)


def masked_words(argv: Sequence[str]) -> tuple[str, ...]:
    """The words of a command as they were, without secrets; beyond ARGV_CHARS_MAX it is said how many are missing."""
    found, chars, after_flag = list[str](), 0, False
    for i, word in enumerate(argv):
        shown = MASK if after_flag else masked(plain(word))[0]
        after_flag = len(word) < FLAG_CHARS_MAX and _FLAG.fullmatch(word) is not None
        chars += len(shown) + 1
        if chars > ARGV_CHARS_MAX:
            return (*found, f"… and {len(argv) - i} more words")
        found.append(shown)
    return tuple(found)


def plain(text: str) -> str:
    """Without colours, cursor movements and what no terminal shows."""
    return _CONTROL.sub("\ufffd", _ESCAPES.sub("", text).replace("\t", "    "))


def lines_of(data: bytes, rest: bytes = b"") -> tuple[list[str], bytes]:
    """Whole lines, and what has no end yet. A carriage return ends one too: progress is printed over itself."""
    *whole, rest = re.split(rb"\r\n|\n|\r", rest + data)
    if len(rest) > 4 * RUN_LINE_CHARS_MAX:  # a line without end must not grow for ever
        whole, rest = [*whole, rest], b""
    return [cut(plain(line.decode("utf-8", "replace"))) for line in whole if line.strip()], rest


def cut(line: str) -> str:
    if len(line) <= RUN_LINE_CHARS_MAX:
        return line
    mark = f" … ({len(line):,} characters)"
    return line[: RUN_LINE_CHARS_MAX - len(mark)] + mark
