"""A run log's file: its name in a transaction's directory, and one line of it back as an entry.

Apart from `run_record`, which writes it: the resident agent only reads, and loads nothing else for that.
"""

from __future__ import annotations

from brakeline.protocol import codec
from brakeline.protocol.messages import RunEntry

RUN = "run"


def entry_of(line: bytes) -> RunEntry | None:
    """An entry from a line of the file; None for a torn one."""
    try:
        return codec.decode(RunEntry, line)
    except (codec.Malformed, UnicodeDecodeError):
        return None
