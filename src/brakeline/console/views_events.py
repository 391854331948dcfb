"""View-models of receivers of events, ready for a template; see `views` for what holds of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge


@dataclass(frozen=True, slots=True)
class SinkRow:
    id: str
    name: str
    address: str
    kinds: str
    state: Badge
    note: str
    behind: int
    dead: int
    added: str


@dataclass(frozen=True, slots=True)
class EventsView:
    """`fresh_key`: of a webhook that was added just now; shown once."""

    rows: tuple[SinkRow, ...]
    may_write: bool = False
    fresh_key: str = ""
    error: str = ""
    name: str = ""
    address: str = ""
    kinds: str = ""
