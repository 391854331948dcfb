"""The durable part of the agent's state on disk. Damaged or missing = begin anew, which is safe.

Safe because the root helper remembers on its own every offer that it began, results are in the spool, and the cell
finds out by sequence and digest that the inventory is to be sent in full.
"""

from __future__ import annotations

from pathlib import Path

from brakeline.agent.files import write_durably
from brakeline.agent.model import Durable
from brakeline.protocol import codec


class Memory:
    """`state`/state.json; written only when something changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved: Durable | None = None

    def load(self) -> Durable:
        try:
            self._saved = codec.decode(Durable, self._path.read_bytes())
        except (OSError, codec.Malformed, UnicodeDecodeError):
            self._saved = None
        return self._saved or Durable()

    def save(self, durable: Durable) -> None:
        """Durable when it returns; OSError if the disk will not."""
        if durable != self._saved:
            write_durably(self._path, codec.encode(durable))
            self._saved = durable
