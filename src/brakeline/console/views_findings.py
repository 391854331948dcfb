"""View-models of accepted risk, terms, exposure over time and updates; see `views` for what holds of all."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.trend_charts import DayChart
from brakeline.console.views import Badge, ExposureRow, Link, QueryBar


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


@dataclass(frozen=True, slots=True)
class TimeRowView:
    """How long closing took, for one class and one ring; texts such as "3 d" or "none"."""

    kind: str
    ring: str
    closed: str
    mean: str
    median: str
    p90: str
    known: str
    fixable: str
    patched: str
    removed: str


@dataclass(frozen=True, slots=True)
class FollowedRow:
    """A filter that has a line a day of its own."""

    query: str
    href: str
    since: str
    by: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class TrendView:
    """`of`: the filter whose days these are, "" = the fleet's; `typed`: what could not be followed, and `error` why."""

    charts: tuple[DayChart, ...]
    times: tuple[TimeRowView, ...]
    days: int
    note: str
    of: str = ""
    followed: tuple[FollowedRow, ...] = ()
    may_follow: bool = False
    typed: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class UpdateGainRow:
    """One pending update and what it closes."""

    id: str
    name: Link
    version: str
    security: bool
    source: str
    closes: str
    worst: Badge
    kev: bool
    endpoints: int
    held: str


@dataclass(frozen=True, slots=True)
class UpdatesView:
    rows: tuple[UpdateGainRow, ...]
    query: QueryBar
    note: str = ""


@dataclass(frozen=True, slots=True)
class PendingRow:
    endpoint: Link
    versions: str
    state: Badge
    why: str


@dataclass(frozen=True, slots=True)
class KeptOutRow:
    """A version that no rollout offers. `by_people`: somebody has declined it, and somebody may allow it again."""

    version: str
    why: str
    by_people: bool
    rollout: Link | None = None


@dataclass(frozen=True, slots=True)
class UpdateView:
    name: str
    headline: str
    versions: tuple[UpdateGainRow, ...]
    closes: tuple[ExposureRow, ...]
    closes_note: str
    endpoints: tuple[PendingRow, ...]
    deploy_href: str = ""
    kept_out: tuple[KeptOutRow, ...] = ()
    declinable: tuple[str, ...] = ()  # versions that this person may decline
    may_allow: bool = False
