"""View-models of releases of our own: list, one release, its plan, the acts on it, keys; and an endpoint's launcher.

Same invariants as `views`. From service data to these: `present_release`, `present_launcher`.
"""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge, Fact, Kpi, Link, RolloutRow, Tone
from brakeline.console.views_change import Choice, PlanRing
from brakeline.console.views_over import NO_OFFER, LeadPreview, OverOffer
from brakeline.protocol.channels import STABLE


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """One line of the list. `rollout` None = never promoted; counts by what launchers say."""

    id: str
    link: Link
    sequence: int
    state: Badge
    rollout: Link | None
    rollout_state: Badge
    running: int
    confirmed: int
    probation: int
    quarantined: int
    published: str


@dataclass(frozen=True, slots=True)
class ReleasesView:
    rows: tuple[ReleaseRow, ...]
    launchers: str  # "5 of 6 endpoints have a launcher; the others take no release"
    keys: Link
    keys_badge: Badge
    first_href: str = ""
    next_href: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Endpoints at which a release stands in one way: how many, the first by name, and the list of all."""

    id: str
    badge: Badge
    meaning: str
    count: int
    href: str
    names: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A failed trial as the launcher told it."""

    id: str
    endpoint: Link
    outcome: Badge
    why: str
    code: str
    detail: str
    runs: int
    heard: str
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class ActLink:
    """Something that can be done with a release; without `href` it cannot, and `why` says why."""

    word: str
    href: str
    why: str
    danger: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseView:
    id: str
    name: str
    state: Badge
    sub: str
    alerts: tuple[tuple[Tone, str], ...]
    kpis: tuple[Kpi, ...]
    facts: tuple[Fact, ...]
    rollouts: tuple[RolloutRow, ...]
    rollouts_note: str
    places: tuple[Place, ...]
    places_note: str
    trials: tuple[TrialRow, ...]
    trials_note: str
    acts: tuple[ActLink, ...]


@dataclass(frozen=True, slots=True)
class ReleaseActView:
    """The step before a release is withdrawn, recalled or pardoned: what it does, and to how many."""

    id: str
    name: str
    verb: str  # withdraw | recall | pardon
    title: str
    explain: tuple[str, ...]
    action: str  # "" = it cannot be done, `refused` says why
    button: str
    command: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class PromotionView:
    """What promoting would do. `expect_count` travels with the form: the start refuses if it has moved. `led`: instead
    of that, where it goes over cells."""

    id: str
    name: str
    pace: str
    paces: tuple[Choice, ...]
    endpoints: int
    rings: tuple[PlanRing, ...]
    statistics: tuple[str, ...]
    notes: tuple[str, ...]
    watched: str
    command: str
    refused: str = ""
    may_start: bool = True
    offer: OverOffer = NO_OFFER
    led: LeadPreview | None = None
    channel: str = STABLE
    channels: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyRow:
    role: str
    purpose: str
    threshold: str
    where: tuple[str, ...]
    place: Badge
    expires: str
    expires_tone: Tone


@dataclass(frozen=True, slots=True)
class ReleaseKeysView:
    headline: Badge
    kind: str
    facts: tuple[Fact, ...]
    rows: tuple[KeyRow, ...]
    warnings: tuple[str, ...]
    useless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """What is wrong, and what to do next."""

    what: str
    told: str
    next: str


@dataclass(frozen=True, slots=True)
class LauncherView:
    """What one endpoint's launcher says. `absent`: why there is nothing to show, in sentences."""

    state: Badge
    sentence: str
    absent: tuple[str, ...] = ()
    releases: tuple[Fact, ...] = ()
    self_update: Badge | None = None
    self_update_why: str = ""
    newer: Badge | None = None
    newer_why: str = ""
    problems: tuple[ProblemRow, ...] = ()
    trial: TrialRow | None = None
    own: tuple[Fact, ...] = ()  # of the launcher itself
    own_trial: TrialRow | None = None
    heard: str = ""
    channel: Badge | None = None  # of releases, that it follows
    channel_why: str = ""
