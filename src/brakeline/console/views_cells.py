"""View-models of cells and leads, ready for a template; see `views` for what holds of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Fact


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One cell that this one conducts. `acts`: what can be done about it."""

    name: str
    region: str
    state: Badge
    heard: str
    clock: str
    version: str
    note: str
    acts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeadCell:
    """One cell of one lead. `rings`: endpoints up to and with each ring; "" = not opened."""

    name: str
    region: str
    state: Badge
    rings: tuple[str, ...]
    treated: int
    proven: int
    failed: int
    says: str


@dataclass(frozen=True, slots=True)
class LeadCard:
    """One lead: cells times rings."""

    id: str
    title: str
    state: Badge
    why: str
    updates: str
    rings: tuple[str, ...]
    cells: tuple[LeadCell, ...]
    may_brake: bool = False
    settings: tuple[str, ...] = ()  # of a lead of settings: its words
    whom: str = ""
    acts: tuple[str, ...] = ()  # start, pause or resume


@dataclass(frozen=True, slots=True)
class OrphanRow:
    """A lead of a conductor that was left. `why_not`: why it cannot be taken over."""

    id: str
    title: str
    cells: str
    treated: int
    why_not: str


@dataclass(frozen=True, slots=True)
class CellsView:
    """Who stands together, and what is led. `superseded`: why this cell conducts no more. `lead_updates`: address of
    the form, where there is somebody to lead."""

    members: tuple[MemberRow, ...]
    leads: tuple[LeadCard, ...]
    link: tuple[Fact, ...] = ()
    may_write: bool = False
    superseded: str = ""
    orphans: tuple[OrphanRow, ...] = ()
    may_lead: bool = False
    lead_updates: str = ""
