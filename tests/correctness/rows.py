"""A row of the correctness table: what is true in a situation, what we say, and whether that is right."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`truth` is read by other means than the provider's own; `ours` is what people would read."""

    manager: str
    situation: str
    truth: str
    ours: str
    right: bool
