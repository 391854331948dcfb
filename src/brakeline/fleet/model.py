"""Words of the fleet: an endpoint's identity, its presence, its place in lists, enrolment tokens.

Frozen values only, no I/O. Times are Unix milliseconds. `decide` works on `CounterState`; `store` turns rows into
these; console and API render them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from brakeline.protocol.messages import (
    Facts,
    Harms,
    Health,
    LauncherReport,
    LocalLimits,
    PackageManagerHealth,
    RebootNeed,
    SoftwareLook,
)


class EndpointState(StrEnum):
    """`CLONED` and `RETIRED` endpoints get no offers and must enrol again to come back."""

    ACTIVE = "active"
    CLONED = "cloned"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class EndpointIdentity:
    """What the cell knows about who is speaking, before it looks at what is said."""

    tenant_id: str
    endpoint_id: str
    public_key: bytes  # 32 bytes Ed25519; the private half never leaves the endpoint
    state: EndpointState = EndpointState.ACTIVE
    region: str = "default"
    tags: tuple[str, ...] = ()
    machine_class: str = "server"


@dataclass(frozen=True, slots=True)
class CounterState:
    """What was heard last from one identity; `decide.decide_counter` compares each message with it.

    `recent` holds the last few accepted (counter, digest) pairs of the present boot, oldest first.
    `retired` holds boot ids that were followed by another one, oldest first.
    """

    boot_id: str = ""
    recent: tuple[tuple[int, str], ...] = ()
    retired: tuple[str, ...] = ()

    @property
    def highest(self) -> int:
        """The highest counter taken from the present boot; -1 before the first."""
        return self.recent[-1][0] if self.recent else -1


READING_MAX = 1 << 60  # a number above is nonsense, and would not fit into our arithmetic


@dataclass(frozen=True, slots=True)
class Readings:
    """What an endpoint's agent measured at a check-in. Bytes, processors, and a load of 1.0 a busy processor."""

    memory_available: int
    memory_total: int
    disk_free: int
    disk_total: int
    load_1m: float
    processors: int
    agent_memory: int
    agent_permille: int
    packages_removed: int

    @classmethod
    def of(cls, health: Health) -> Readings | None:
        """None = an agent that tells no totals: what it tells could not be judged."""
        if not health.memory_total_bytes or not health.processors:
            return None
        return cls(
            _bounded(health.memory_available_bytes), _bounded(health.memory_total_bytes),
            _bounded(health.disk_free_bytes), _bounded(health.disk_total_bytes),
            min(max(health.load_1m, 0.0), float(READING_MAX)), _bounded(health.processors),
            _bounded(health.agent_memory_bytes), _bounded(health.agent_permille), _bounded(health.packages_removed),
        )  # fmt: skip

    def text(self) -> str:
        """For storage: numbers separated by spaces."""
        return (
            f"{self.memory_available} {self.memory_total} {self.disk_free} {self.disk_total} {self.load_1m:.2f}"
            f" {self.processors} {self.agent_memory} {self.agent_permille} {self.packages_removed}"
        )

    @classmethod
    def read(cls, text: str) -> Readings | None:
        """What `text` wrote; None for anything else."""
        parts = text.split(" ")
        if len(parts) != READINGS:
            return None
        a = [*map(int, parts[:4])]
        b = [*map(int, parts[5:])]
        return cls(a[0], a[1], a[2], a[3], float(parts[4]), b[0], b[1], b[2], b[3])


READINGS = len(fields(Readings))


def _bounded(number: int) -> int:
    return min(max(number, 0), READING_MAX)


@dataclass(frozen=True, slots=True)
class Presence:
    """When and how an endpoint was last heard."""

    last_check_in_ms: int
    boot_id: str = ""
    asleep: bool = False
    agent_version: str = ""
    failed_services: tuple[str, ...] = ()
    launcher: LauncherReport | None = None  # None = no launcher runs its agent
    readings: Readings | None = None  # None = its agent tells none
    settings: str = ""  # digest of the settings that its agent runs by; "" = it does not say
    harms: Harms | None = None  # what was done to it; None = its agent tells nothing of that
    local: LocalLimits | None = None  # limits of its own, and when it may be changed next; None = an older agent


@dataclass(frozen=True, slots=True)
class EnrolToken:
    """An enrolment token as people may see it: never the token itself, which is shown once and stored hashed."""

    id: str
    region: str
    tags: tuple[str, ...]
    uses: int
    used: int
    created_ms: int
    expires_ms: int
    created_by: str
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class NewEnrolToken:
    """The only moment at which the token itself is known."""

    token: str
    record: EnrolToken


@dataclass(frozen=True, slots=True)
class EndpointSummary:
    """One line of the endpoint list."""

    id: str
    hostname: str
    state: EndpointState
    os_id: str
    os_version: str
    os_name: str
    region: str
    tags: tuple[str, ...]
    machine_class: str
    agent_version: str
    last_seen_ms: int  # 0 = never checked in
    asleep: bool
    pending_total: int
    pending_security: int
    reboot_required: bool
    healthy: bool
    inventory_ms: int  # when the newest inventory was committed; 0 = none yet: pending counts are unknown, not zero
    enrolled_ms: int


@dataclass(frozen=True, slots=True)
class Inventoried:
    """When the newest inventory of an endpoint was committed (0 = none yet), for whoever follows inventories."""

    endpoint_id: str
    inventory_ms: int
    retired: bool
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class EndpointDetail:
    """Everything about one endpoint that is not a list of packages."""

    summary: EndpointSummary
    facts: Facts
    public_key: str  # hex
    state_reason: str
    reboot: RebootNeed
    health: PackageManagerHealth
    failed_services: tuple[str, ...]
    boot_id: str
    packages: int
    inventory_sequence: int
    inventory_digest: str
    enrolled_by: str  # id of the enrolment token
    same_hostname: tuple[str, ...]  # other endpoints with this host name: an earlier enrolment of the same machine?
    launcher: LauncherReport | None = None  # what its launcher last said; None = no launcher runs its agent
    local: LocalLimits | None = None  # limits of its own; None = an agent that knows none
    settings: str = ""  # digest of the settings that its agent runs by
    software: SoftwareLook | None = None  # how far its agent looked beside package managers; None = it does not


@dataclass(frozen=True, slots=True)
class ReleaseStanding:
    """On how many endpoints a release of ours stands how, by what their launchers last said."""

    release_id: str
    running: int = 0
    confirmed: int = 0
    probation: int = 0
    quarantined: int = 0
    recalled: int = 0  # still on their disks, and forbidden there


@dataclass(frozen=True, slots=True)
class ReleaseStandings:
    """Every release that some launcher speaks of. Without a launcher an endpoint takes no release."""

    items: tuple[ReleaseStanding, ...]
    with_launcher: int
    without_launcher: int


@dataclass(frozen=True, slots=True)
class FailedTrial:
    """The newest trial of an endpoint's launcher, which came to nothing. Told by the launcher, never by the release."""

    endpoint_id: str
    hostname: str
    outcome: str  # reverted | refused
    code: str
    detail: str
    runs: int
    log_tail: str
    heard_ms: int  # when the endpoint last said so


@dataclass(frozen=True, slots=True)
class ReleaseTrials:
    """Trials of one release that failed: how many by code, and the endpoints heard last."""

    release_id: str
    by_code: dict[str, int]
    items: tuple[FailedTrial, ...]


@dataclass(frozen=True, slots=True)
class FleetUpdate:
    """One pending update across the fleet."""

    name: str
    candidate: str
    suite: str
    security: bool
    endpoints: int
    available: int  # endpoints on which it would be installed now (the others hold it back, with a reason)
    source: str = ""  # package that it is built from, as the installed one says; "" = not known


@dataclass(frozen=True, slots=True)
class HeldUpdate:
    """A pending update on one endpoint: where it stands, and why it is not installed where that is known."""

    endpoint_id: str
    hostname: str
    installed: str
    candidate: str
    state: str  # an UpdateState
    reason: str


@dataclass(frozen=True, slots=True)
class SoftwareHit:
    """One installed version of a package across the fleet."""

    name: str
    version: str
    source: str
    endpoints: int


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """Figures of the overview. `reporting` = heard within the last three check-in intervals, or asleep in order."""

    endpoints: int
    reporting: int
    cloned: int
    retired: int
    with_pending: int
    with_security: int
    reboot_due: int
    without_inventory: int
