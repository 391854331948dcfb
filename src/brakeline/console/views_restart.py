"""What the page of due restarts shows."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Link


@dataclass(frozen=True, slots=True)
class RestartForm:
    """As a person filled it in. `any`: also endpoints that have no restart due."""

    filter: str = ""
    any: bool = False
    pace: str = "careful"
    warn: int = 0  # minutes; 0 = people are asked on the terms of each machine's root
    deferrals: int = 0
    defer: int = 0  # minutes
    deadline: int = 0  # hours


@dataclass(frozen=True, slots=True)
class RestartView:
    """Who would be restarted. `expect_count` is what the press carries; `refused` = there is nothing to press."""

    form: RestartForm
    expect_count: int
    endpoints: tuple[Link, ...]
    more: int
    rings: tuple[str, ...]
    command: str
    paces: tuple[str, ...] = ("careful", "fast", "rehearsal")
    refused: str = ""
    may_make: bool = False
    people: str = ""  # how people at the machines are asked, in words
