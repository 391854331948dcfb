"""View-models of accepted risk and of terms, ready for a template; see `views` for what holds of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Link


@dataclass(frozen=True, slots=True)
class AcceptanceRow:
    """One acceptance. `ends`: whoever looks may take it back."""

    id: str
    cve: Link
    standing: Badge
    until: str
    whom: Link
    endpoints: str
    by: str
    reason: str
    note: str = ""
    ends: bool = False


@dataclass(frozen=True, slots=True)
class AcceptancesView:
    rows: tuple[AcceptanceRow, ...]
    every: bool = False  # also what is over
    may_write: bool = False


@dataclass(frozen=True, slots=True)
class TermRow:
    name: str
    label: str
    days: int


@dataclass(frozen=True, slots=True)
class TermsView:
    rows: tuple[TermRow, ...]
    catalogue: bool
    two_people: str
    sources: str
    sentence: str  # what is overdue and due soon
    may_write: bool = False
