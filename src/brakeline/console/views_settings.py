"""What the page of policies says of settings: which are everywhere, which are rolling out, what waits. Frozen words."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Link


@dataclass(frozen=True, slots=True)
class Wider:
    """One thing that policies add, and on how many endpoints."""

    setting: str
    before: str
    after: str
    endpoints: int


@dataclass(frozen=True, slots=True)
class SettingsView:
    """`digest` and `waiting` travel on with the form that starts the rollout; "" = there is nothing to start."""

    sentence: str
    rollout: Link | None = None
    waiting: int = 0
    wider: tuple[Wider, ...] = ()
    rings: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One setting of one endpoint. `waits`: what policies wish beyond it, "" = nothing."""

    label: str
    value: str
    by: str
    since: str
    waits: str = ""


@dataclass(frozen=True, slots=True)
class SheetView:
    """All settings of one endpoint; `window` "" = it may be changed at any time."""

    rows: tuple[SheetRow, ...]
    window: str = ""
    notes: tuple[str, ...] = ()
