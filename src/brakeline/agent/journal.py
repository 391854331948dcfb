"""How many errors this machine's journal took in the last ten minutes, counted by the root helper. It reads only.

The journal is root's: an agent that may read it could read everybody's log, so it is told a number and two names. This
is the one look of the helper for which it starts a program, `journalctl`, which survives files that are damaged or
written to meanwhile; it has a second of processor time and 1.5 s in all, and what it printed by then counts: a flood
need not be counted to its end. None = there is no journal here, or it cannot be read, which is not zero.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import subprocess

SOCKET: Final = "run/systemd/journal/socket"  # there is a journal that is written
PROGRAM: Final = "/usr/bin/journalctl"
WINDOW: Final = "-10min"
LINES_MAX: Final = 5000  # of one look; more is a flood like these
BYTES_MAX: Final = 4 * 1024 * 1024
WITHIN_S: Final = 1.5
CPU_S_MAX: Final = 1
NAMED_LINES: Final = 500  # of the newest it is told who wrote them
NAMED_MAX: Final = 2
NAME_CHARS: Final = 60
FIELDS: Final = ("_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER")
WORDS: Final = (
    "--quiet", "--no-pager", "--priority=err", f"--since={WINDOW}", f"--lines={LINES_MAX}", "--output=json",
    f"--output-fields={','.join(FIELDS)}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Errors:
    """`named`: who wrote most of them, "errors: nginx.service (412)"."""

    errors: int | None
    named: tuple[str, ...] = ()


def count(root: Path = Path("/"), program: str = PROGRAM, seconds: Callable[[], float] = time.monotonic) -> Errors:
    """Of the last ten minutes, whichever boot they are from."""
    if not (root / SOCKET).exists():
        return Errors(None)
    try:
        raw, whole = _read(program, seconds)
    except OSError:
        return Errors(None)
    lines = raw.split(b"\n")[:-1]
    return Errors(len(lines), _named(lines)) if lines or whole else Errors(None)


def _read(program: str, seconds: Callable[[], float]) -> tuple[bytes, bool]:
    """What it printed in time, and whether it ended well by itself."""
    import resource  # late: one look in ten minutes needs these
    import subprocess

    child = subprocess.Popen([program, *WORDS], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, cwd="/", env={"LC_ALL": "C"})  # fmt: skip
    try:
        with suppress(OSError, ValueError):  # it has ended already, or may not be bounded: time bounds it as well
            resource.prlimit(child.pid, resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
        data, ended = _drain(child, seconds() + WITHIN_S, seconds)
        return data, ended and child.wait(WITHIN_S) == 0
    except subprocess.TimeoutExpired:
        return b"", False
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _drain(child: subprocess.Popen[bytes], until_s: float, seconds: Callable[[], float]) -> tuple[bytes, bool]:
    assert child.stdout is not None
    found = bytearray()
    while len(found) < BYTES_MAX and (left_s := until_s - seconds()) > 0:
        if not select.select([child.stdout], [], [], left_s)[0]:
            break
        piece = os.read(child.stdout.fileno(), 64 * 1024)
        if not piece:
            return bytes(found), True
        found += piece
    return bytes(found), False


def _named(lines: list[bytes]) -> tuple[str, ...]:
    """Who wrote most of the newest."""
    who = Counter(filter(None, map(_writer, lines[-NAMED_LINES:])))
    return tuple(f"errors: {name} ({n})" for name, n in who.most_common(NAMED_MAX))


def _writer(line: bytes) -> str:
    try:
        said = json.loads(line)
        found = next((said[f] for f in FIELDS if isinstance(said.get(f), str)), "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return "".join(c for c in found if c.isprintable())[:NAME_CHARS]
