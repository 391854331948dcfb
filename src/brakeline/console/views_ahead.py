"""What the page of policies says of what lies ahead: rollouts over those whom a policy would concern. Frozen words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AheadRing:
    """One ring. `sees`: the smallest harm that it can tell; `exposed`: who has the change by then."""

    name: str
    opens: str
    sees: str
    exposed: str


@dataclass(frozen=True, slots=True)
class AheadHarm:
    """A fault, and how many are expected to have the change when it is found."""

    fault: str
    reached: str


@dataclass(frozen=True, slots=True)
class AheadView:
    """One pace, foreseen."""

    pace: str
    sentences: tuple[str, ...]
    rings: tuple[AheadRing, ...] = ()
    harms: tuple[AheadHarm, ...] = ()
    two_people: str = ""
