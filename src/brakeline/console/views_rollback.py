"""What the page of a way back shows."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Link


@dataclass(frozen=True, slots=True)
class BackRow:
    """One endpoint that the update has reached. `note`: its harm, or why it has no way back."""

    endpoint: Link
    note: str


@dataclass(frozen=True, slots=True)
class RollbackView:
    """What a rollback would do. `expect_count` is what the press carries; `refused` = there is nothing to press."""

    rollout: Link
    updates: tuple[str, ...]
    expect_count: int
    first: tuple[BackRow, ...]
    then: tuple[BackRow, ...]
    left_out: tuple[BackRow, ...]
    more_first: int
    more_then: int
    more_left_out: int
    unchanged: str
    rings: tuple[str, ...]
    action: str
    command: str
    refused: str = ""
    may_make: bool = False
