"""View-models of what stops everything, and of what takes two people: freeze, emergency, approvals."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Fact, Link


@dataclass(frozen=True, slots=True)
class FreezeView:
    """The page of FREEZE. `told` "" = nothing is frozen; `lift_refused` says why this visitor cannot ask to lift it."""

    told: str = ""
    facts: tuple[Fact, ...] = ()
    may_press: bool = False
    may_lift: bool = False
    needs_reason: bool = False  # pressed without one: it can be given now
    waiting: Link | None = None  # the request to lift it
    lift_note: str = ""


@dataclass(frozen=True, slots=True)
class PressedView:
    """What was stopped while the database was away: rendered from memory."""

    title: str
    text: str
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class EmergencyView:
    """The form for the break-glass code."""

    error: str = ""
    pressed: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    id: str
    link: Link
    state: Badge
    takes: str
    asked: str
    until: str


@dataclass(frozen=True, slots=True)
class ApprovalsView:
    """What waits for somebody, and what was decided lately; newest first."""

    waiting: tuple[ApprovalRow, ...]
    over: tuple[ApprovalRow, ...]


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One request. Without an `approve_action`, `refused` says why this visitor cannot agree."""

    id: str
    title: str
    says: tuple[str, ...]
    state: Badge
    facts: tuple[Fact, ...]
    digest: str
    approve_action: str = ""
    reject_action: str = ""
    refused: str = ""
    note: str = ""
    about: Link | None = None
