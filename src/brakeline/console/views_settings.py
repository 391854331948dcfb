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
