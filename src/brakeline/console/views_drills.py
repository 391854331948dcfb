"""View-models of the pages of live drills and of replayed incidents; see `views` for what holds of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Kpi, Link, LogRow
from brakeline.console.views_change import Choice, GridRing, GridRow, WhyLine


@dataclass(frozen=True, slots=True)
class DrillRow:
    id: str
    link: Link
    state: Badge
    simulated: int
    when: str
    by: str
    came_to: str


@dataclass(frozen=True, slots=True)
class PlanRing:
    """One ring of the plan of a drill. `halts_at`: how many must fall silent before statistics halt it."""

    name: str
    upto: int
    controls: int
    halts_at: str


@dataclass(frozen=True, slots=True)
class DrillPlanView:
    """The step before a drill is run: what it would do."""

    title: str
    says: str
    rings: tuple[PlanRing, ...]
    note: str


@dataclass(frozen=True, slots=True)
class DrillForm:
    fault: str = ""
    endpoints: str = ""


@dataclass(frozen=True, slots=True)
class DrillsView:
    rows: tuple[DrillRow, ...]
    faults: tuple[Choice, ...]
    form: DrillForm
    plan: DrillPlanView | None = None
    error: str = ""
    running: Link | None = None
    may_run: bool = False
    next_href: str = ""
    first_href: str = ""


@dataclass(frozen=True, slots=True)
class DrillView:
    """One drill at one moment: live while it runs, then its report."""

    id: str
    title: str
    sub: str
    state: Badge
    alert: str
    alert_tone: str
    running: bool
    kpis: tuple[Kpi, ...]
    rings: tuple[GridRing, ...]
    grid: tuple[GridRow, ...]
    why: tuple[WhyLine, ...]
    steps: tuple[LogRow, ...]
    real: str
    stop_action: str = ""
    mark: str = "drill: simulated endpoints"
    rollout: Link | None = None  # on real endpoints


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """One incident: what it would have done here, and under other rules."""

    id: str
    title: str
    outcome: Badge
    harmed: str
    exposed: str
    hours: str
    hands: str
    naive: str
    hawkbit: str
    rings: str


@dataclass(frozen=True, slots=True)
class OwnReplayView:
    """`state`: idle | running | busy | done | refused. `shape`: of the fleet, in sentences."""

    state: str
    note: str
    shape: tuple[str, ...]
    paces: tuple[Choice, ...]
    rows: tuple[ReplayRow, ...] = ()
    benign: str = ""
    may_run: bool = False


@dataclass(frozen=True, slots=True)
class ReplayView:
    """`state`: idle | running | done | refused."""

    state: str
    note: str
    rows: tuple[ReplayRow, ...] = ()
    benign: str = ""
    endpoints: str = "8500000"
    seeds: str = "1"
    error: str = ""
    may_run: bool = False
