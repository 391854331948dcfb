"""View-models of everything that changes endpoints: deployments, rollouts, policies.

Same invariants as `views`. A `RolloutView` is one moment of one rollout: the live page morphs from one to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Fact, Kpi, Link, LogRow, RolloutRow, Tone
from brakeline.console.views_ahead import AheadView
from brakeline.console.views_over import HERE, NO_OFFER, LeadPreview, OverForm, OverOffer
from brakeline.console.views_settings import SettingsView

# --- new deployment ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    note: str = ""
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class PlanRing:
    name: str
    share: str
    endpoints: int
    bake: str
    opens: str = ""  # at the earliest
    controls: int = 0
    halts: str = ""  # the smallest harm that statistics see in this ring


@dataclass(frozen=True, slots=True)
class PinnedUpdate:
    name: str
    version: str
    endpoints: int
    security: bool
    closes: str  # "3 CVEs, one exploited"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Not part of it, and why. Named before anybody confirms."""

    endpoint: Link
    reason: str


@dataclass(frozen=True, slots=True)
class PaceView:
    """What waiting and hurrying cost. `overrides`: the suggested pace where another is chosen, which takes a reason."""

    taken: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    said: tuple[str, ...] = ()
    overrides: str = ""
    two_people: str = ""  # why it takes a second person to start, "" = it does not


@dataclass(frozen=True, slots=True)
class Preview:
    """What a press on Start would do. `expect_count` travels with the form: the start refuses if it has moved."""

    endpoints: int
    expect_count: int
    rings: tuple[PlanRing, ...]
    updates: tuple[PinnedUpdate, ...]
    more_updates: int
    reached: tuple[Link, ...]
    more_reached: int
    skipped: tuple[Skipped, ...]
    more_skipped: int
    statistics: tuple[str, ...]  # what the brake can and cannot see at this size
    earliest_finish: str
    empty_reason: str = ""  # why nothing would happen
    digest: str = ""  # of the pinned updates, where the service gives one
    pace: PaceView | None = None
    across: str = ""  # "debian:12, fedora:40": the distributions that it goes over, "" = one


@dataclass(frozen=True, slots=True)
class DeploymentForm:
    name: str = ""
    filter: str = ""
    selection: str = "security"
    names: str = ""
    policy: str = ""
    pace_reason: str = ""
    across: bool = False  # over several distributions
    over: OverForm = HERE


@dataclass(frozen=True, slots=True)
class NewDeploymentView:
    """`led`: instead of the preview, where it goes over cells."""

    form: DeploymentForm
    selections: tuple[Choice, ...]
    policies: tuple[Choice, ...]
    preview: Preview | None
    error: str = ""
    suggestion: Link | None = None
    may_start: bool = True
    offer: OverOffer = NO_OFFER
    led: LeadPreview | None = None


# --- rollouts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RolloutsView:
    rows: tuple[RolloutRow, ...]
    state: str
    states: tuple[Choice, ...]
    next_href: str = ""
    first_href: str = ""


@dataclass(frozen=True, slots=True)
class GridCell:
    """One region x ring. state: pending | active | passed | held | failed | stopped | spared | empty"""

    id: str
    state: str
    badge: Badge
    done: int
    total: int
    bad: int
    href: str


@dataclass(frozen=True, slots=True)
class GridRow:
    region: str
    cells: tuple[GridCell, ...]


@dataclass(frozen=True, slots=True)
class GridRing:
    name: str
    note: str


@dataclass(frozen=True, slots=True)
class ExcessPoint:
    """One moment, `at_s` after the first: treated minus control with its band, in percentage points.

    `brake`: the excess that would halt at these numbers; None while no excess could.
    """

    at_s: float
    exposed: int
    estimate: float
    low: float
    high: float
    brake: float | None = None


@dataclass(frozen=True, slots=True)
class ExcessSeries:
    """Oldest first. Without points the chart says why."""

    points: tuple[ExcessPoint, ...]
    band: str  # "99 % band"
    empty_reason: str = "No treated endpoint has reached a checkpoint yet."


@dataclass(frozen=True, slots=True)
class WhyLine:
    badge: Badge
    text: str


@dataclass(frozen=True, slots=True)
class EndpointMark:
    """An endpoint of the rollout by name, with what happened to it."""

    link: Link
    note: str
    badge: Badge


@dataclass(frozen=True, slots=True)
class BrakeControl:
    """The one-press stop. When it cannot be pressed `word` says what is."""

    action: str
    enabled: bool
    word: str  # "BRAKE" | "BRAKED" | "DONE"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseControl:
    """A widening act (start, resume): form with reason, and who else must agree."""

    action: str
    word: str
    needs_reason: bool
    explain: str
    pending: str = ""


@dataclass(frozen=True, slots=True)
class SignalLine:
    """One signal of harm, in both arms. `near`: evidence and where the brake acts; "" = not asked yet. `which`: what
    the bad treated have in common, by name.
    """

    signal: str
    what: str
    treated: str
    controls: str
    near: str
    which: str = ""
    tellers: str = ""  # how many tell it at all, where not everybody does


@dataclass(frozen=True, slots=True)
class RolloutView:
    id: str
    name: str
    sub: str
    policy: Link | None
    state: Badge
    state_class: str  # rolling | held | halted | done | draft
    alert: str
    alert_tone: Tone
    brake: BrakeControl
    kpis: tuple[Kpi, ...]
    rings: tuple[GridRing, ...]
    grid: tuple[GridRow, ...]
    excess: ExcessSeries
    why_title: str
    why: tuple[WhyLine, ...]
    statistics: tuple[str, ...]
    log: tuple[LogRow, ...]
    log_more: int
    harmed: tuple[EndpointMark, ...]
    spared: tuple[Link, ...]
    spared_total: int
    spared_title: str
    updates: tuple[PinnedUpdate, ...]
    updates_note: str
    releases: tuple[ReleaseControl, ...] = ()
    pause_action: str = ""
    withdraw_action: str = ""
    release: Link | None = None  # the release of ours that it rolls out; None = updates
    undoes: Link | None = None  # the rollout whose updates it takes back
    drill: bool = False
    way_back: str = ""  # address of the plan that takes these updates back
    signals: tuple[SignalLine, ...] = ()
    decided: str = ""  # which signal halted it, in words
    harmed_total: int = 0

    @property
    def stopped(self) -> bool:
        """Whether the first question is who was hit and who was spared, before why."""
        return self.state_class in ("holding", "halted", "withdrawn")


@dataclass(frozen=True, slots=True)
class RolloutMember:
    endpoint: Link
    region: str
    ring: str
    arm: str
    outcome: Badge
    note: str
    run: Link | None = None  # to what it runs, or ran
    line: str = ""  # what it printed last, while it runs


@dataclass(frozen=True, slots=True)
class RolloutMembersView:
    """The endpoints behind one number of a rollout."""

    rollout: Link
    title: str
    rows: tuple[RolloutMember, ...]
    next_href: str = ""  # the page after this one, by host name
    first_href: str = ""


# --- policies ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PolicyRow:
    id: str
    name: str
    filter: Link
    mode: Badge
    matched: int | None
    by: str
    delete_action: str = ""
    self_update: str = "–"
    channel: str = "–"
    words: tuple[str, ...] = ()  # "maintenance windows: sat 00:00/sun 24:00"


@dataclass(frozen=True, slots=True)
class PolicyForm:
    """`self_update`: "" = says nothing of it, on, off; `channel`: "" = likewise, stable, early."""

    name: str = ""
    filter: str = ""
    mode: str = "patch"
    self_update: str = ""
    pin: str = ""
    channel: str = ""
    expect_count: int | None = None
    windows: str = ""  # one a line, or separated by semicolons
    restart: str = ""
    conffiles: str = ""
    restarts_a_day: str = ""
    download_kib_s: str = ""
    nice: str = ""
    probes: str = ""  # one a line, or separated by semicolons
    pace: str = ""  # at which rollouts are foreseen; "" = careful


@dataclass(frozen=True, slots=True)
class PoliciesView:
    rows: tuple[PolicyRow, ...]
    form: PolicyForm
    matched: int | None = None
    matched_names: tuple[Link, ...] = ()
    error: str = ""
    suggestion: Link | None = None
    facts: tuple[Fact, ...] = ()
    may_write: bool = False
    settings: SettingsView | None = None
    paces: tuple[Choice, ...] = ()
    ahead: AheadView | None = None
