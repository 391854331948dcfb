"""Pure: why a command that was ended was ended, in the words of every provider; how much one may print."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

OUTPUT_BYTES_MAX: Final = 128 * 1024 * 1024  # of one command, on the disk; a whole distribution's upgrade prints 10 MiB
OUTPUT_MAX: Final = (
    "BRAKELINE_OUTPUT_MAX"  # as `agent.guard` has it, which is a program and too much to import for this
)
FLOODED: Final = "brakeline: ended, because too much was printed"


def why_ended(text: str, killed: Iterable[str], limit_s: float) -> str:
    """A sentence for what the guard has ended. `text`: what the command had printed."""
    hung = ", ".join(dict.fromkeys(killed)) or "nothing of it"
    if text.rstrip().endswith(FLOODED):
        return f"More was printed than {OUTPUT_BYTES_MAX >> 20} MiB; ended were: {hung}."
    return f"Not finished after {limit_s:.0f} s; ended were: {hung}."
