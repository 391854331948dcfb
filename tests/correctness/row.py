"""One row of the table of correctness: what is true on a real endpoint, and what we say about it.

A manager's module has `SITUATIONS`, functions without parameters that provoke one situation each on the real manager
and return its row. `truth` is read from the manager's own records and tools, `ours` from the provider.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    manager: str
    situation: str
    truth: str
    ours: str

    @property
    def right(self) -> bool:
        return self.truth == self.ours
