"""The words of remediation: policies of what may be done, previews and deployments of what will be. Frozen, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from brakeline.exposure.answers import Closing
from brakeline.protocol.channels import STABLE
from brakeline.protocol.messages import Conffiles, Mode, PendingUpdate, RestartConsent, Settings
from brakeline.rollout.pace import Advice

POLICIES_MAX: Final = 200  # each is one question to the database whenever it is asked who matches


class Selection(StrEnum):
    """Which pending updates a deployment takes."""

    SECURITY = "security"  # those that the suite says are security updates
    ALL = "all"
    NAMES = "names"  # these packages
    CVE = "cve"  # whatever closes these CVEs


@dataclass(frozen=True, slots=True)
class Words:
    """What a policy says of when and how an endpoint is changed, as in `Settings`; None = leaves it to others."""

    windows: tuple[str, ...] | None = None
    restart: RestartConsent | None = None
    conffiles: Conffiles | None = None
    restarts_a_day: int | None = None
    download_kib_s: int | None = None
    nice: int | None = None
    probes: tuple[str, ...] | None = None


SILENT: Final = Words()


@dataclass(frozen=True, slots=True)
class Had:
    """The last good settings of an endpoint, and by which version since when. `since_ms` rises with each change."""

    settings: Settings
    version: int  # 0 = its first ones
    since_ms: int


@dataclass(frozen=True, slots=True)
class SettingsPolicy:
    """What holds for endpoints that match `filter`: may they be patched, may they update themselves.

    Intervals are seconds, None = not asked for.
    """

    id: str
    name: str
    filter: str
    mode: Mode | None  # None = leaves it to other policies
    refresh_interval_s: int | None
    inventory_interval_s: int | None
    created_ms: int
    created_by: str
    self_update: bool | None = None  # may the agent take newer releases of itself? None = not said
    pin: str = ""  # release_id to stay at, "" = none
    words: Words = SILENT
    led: str = ""  # the lead that brought it, or its rollout; "" = a policy of this cell's own
    channel: str = ""  # of releases: stable | early; "" = not said

    @property
    def speaks(self) -> bool:
        """Whether it says anything of the settings of an agent."""
        return bool(
            self.mode is not None or self.refresh_interval_s or self.inventory_interval_s or self.words != SILENT
        )


@dataclass(frozen=True, slots=True)
class SelfUpdate:
    """What launchers are told: the order's `generation` (0 = nothing was ever said), and why, for people."""

    generation: int
    on: bool
    pin: str
    why: str
    channel: str = STABLE  # of releases, that they follow
    channel_why: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """One endpoint as the planner sees it. `blocked`: code and reason why nothing can be done there, or None."""

    endpoint_id: str
    hostname: str
    region: str
    release: str  # "debian:12"
    pending: tuple[PendingUpdate, ...]
    blocked: tuple[str, str] | None = None
    wanted: frozenset[str] = frozenset()  # packages that close the asked CVEs here, for Selection.CVE
    manager: str = "apt"  # of its system: how its versions are compared


@dataclass(frozen=True, slots=True)
class PinnedUpdate:
    """One package at exactly one version, and on how many endpoints."""

    name: str
    version: str
    endpoints: int
    security: bool


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint that takes part, with what it would get."""

    endpoint_id: str
    hostname: str
    region: str
    updates: dict[str, str]  # package -> version
    left_out: tuple[str, ...] = ()  # "curl: held by the administrator"


@dataclass(frozen=True, slots=True)
class Skipped:
    """An endpoint that matches and does not take part. `code` is stable."""

    endpoint_id: str
    hostname: str
    # not_active | no_data | assess_only | unhealthy | nothing_pending | other_version | other_release | blocked
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Pins and who gets them. `digest` stands for exactly these pins on exactly these endpoints."""

    updates: tuple[PinnedUpdate, ...]
    targets: tuple[Target, ...]
    skipped: tuple[Skipped, ...]
    digest: str
    release: str = ""  # of several, all of them
    across: bool = False  # over several distributions: each endpoint has the pins of its own


@dataclass(frozen=True, slots=True)
class Preview:
    """What a deployment would do, before anybody confirms it."""

    filter: str
    selection: Selection
    names: tuple[str, ...]
    matched: int  # endpoints that match the filter = targets + skipped
    plan: Plan
    closing: Closing
    pace: Advice  # what waiting and hurrying cost, and which pace is suggested

    @property
    def count(self) -> int:
        """Endpoints that would be changed: what `expect_count` is compared with."""
        return len(self.plan.targets)

    def skipped_by_code(self) -> dict[str, int]:
        """How many are left out, by why."""
        found: dict[str, int] = {}
        for one in self.plan.skipped:
            found[one.code] = found.get(one.code, 0) + 1
        return found


@dataclass(frozen=True, slots=True)
class Deployment:
    """One concrete run of updates over endpoints. Its state is its rollout's."""

    id: str
    rollout_id: str
    title: str
    filter: str
    selection: Selection
    names: tuple[str, ...]
    updates: tuple[PinnedUpdate, ...]
    endpoints: int
    skipped: int
    digest: str
    cves_before: int
    closes: tuple[str, ...]
    created_ms: int
    created_by: str


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """A deployment with what became of it: `closed` and `still_open` part `deployment.closes`."""

    deployment: Deployment
    endpoint_ids: tuple[str, ...]
    state: str  # of the rollout: draft | rolling | holding | halted | completed | withdrawn
    cves_now: int
    closed: tuple[str, ...]
    still_open: dict[str, int]  # CVE -> endpoints of this deployment on which it stands open
    limits: tuple[str, ...] = field(default=())
