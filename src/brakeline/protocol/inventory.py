"""What an endpoint has: packages, updates that wait, restarts that are due, the machine itself. Words of `messages`."""

from __future__ import annotations

from enum import StrEnum

from brakeline.core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package. Key: (name, architecture)."""

    name: str
    architecture: str
    version: str
    source: str  # source package name; advisories speak of sources
    source_version: str
    state: str = "ii"  # dpkg's desired+status+error letters: "ii", "hi", "iF", "iHR", "rc" …
    origin: str = ""  # label of the repository that has this version: "Debian", "nodesource", "" = none has it
    ecosystem: str = "deb"
    # Words of agents since 0.2; "" says nothing more than older agents do.
    owner: str = ""  # system package that these files belong to: an egg-info inside a deb is judged as that deb
    module: str = ""  # stream of an rpm module
    where: str = ""  # path, or container image, of what no package manager of the endpoint has installed


class UpdateState(StrEnum):
    """Whether a pending update would be installed now, and if not, why not."""

    AVAILABLE = "available"
    NEEDS_NEW = "needs_new_packages"
    NEEDS_REMOVAL = "needs_removal"
    KEPT_BACK = "kept_back"
    HELD = "held"
    PHASED = "phased"


@dataclass(frozen=True, slots=True)
class PendingUpdate:
    """A newer version that the endpoint's own repositories have."""

    name: str
    architecture: str
    installed: str
    candidate: str
    suite: str  # "Debian-Security:12/oldstable-security", as apt prints it
    security: bool  # by suite or advisory, never by CVE names
    state: UpdateState
    reason: str = ""  # one sentence for people, where state is not AVAILABLE
    download_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RebootNeed:
    """Why a restart of the endpoint is due. Empty reasons = not due."""

    required: bool
    reasons: tuple[str, ...] = ()  # "kernel 6.1.0-40 installed, 6.1.0-39 running", "libssl3 in use by cron.service"
    services: tuple[str, ...] = ()  # services that run old code of updated libraries


@dataclass(frozen=True, slots=True)
class PackageManagerHealth:
    """Is the package manager able to work: judged by state, never by exit codes."""

    healthy: bool
    problems: tuple[str, ...] = ()  # "foo: half-installed (iHR), needs reinstallation"
    lock_holder: str = ""  # "apt-get (pid 812)" while somebody holds the lock
    lists_refreshed_ms: int = 0  # when the package lists were last really refreshed; 0 = never
    lists_problem: str = ""  # why the last refresh failed, in one sentence; "" = it worked


@dataclass(frozen=True, slots=True)
class Facts:
    """What kind of machine this is."""

    hostname: str
    os_id: str  # os-release ID: "debian"
    os_version: str  # VERSION_ID: "12"
    os_name: str  # PRETTY_NAME
    kernel: str  # uname -r
    architecture: str  # "amd64"
    machine_class: str = "server"  # server | desktop | laptop: the brake's strata
    agent_version: str = ""
    package_manager: str = "apt"
    package_manager_version: str = ""


@dataclass(frozen=True, slots=True)
class SoftwareLook:
    """How far the search for software that no package manager knows has come; what it left out is told, not hidden."""

    found: int = 0
    directories: int = 0
    complete: bool = False  # everything within its bounds was looked at
    gaps: tuple[str, ...] = ()  # what was left out, and why: "/srv/data: not looked at, it is a network file system"
    more_gaps: int = 0  # that are not named


@dataclass(frozen=True, slots=True)
class Status:
    """The small part of an inventory: sent whole whenever it changes."""

    facts: Facts
    pending: tuple[PendingUpdate, ...]
    reboot: RebootNeed
    health: PackageManagerHealth
    software: SoftwareLook | None = None  # None = an agent that looks for nothing beside package managers


@dataclass(frozen=True, slots=True)
class Inventory:
    """`POST /agent/v1/inventory`. `base_sequence` 0 = full: `changed` holds every package, `removed` is empty.

    `sequence` = base + 1 for deltas and any higher number for full ones. `digest` is `inventory_digest` of the
    packages after applying. The cell answers `InventoryAck`, or `resync=True` when base or digest do not fit.
    """

    base_sequence: int
    sequence: int
    digest: str
    changed: tuple[Package, ...]
    removed: tuple[str, ...]  # "name:architecture"
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class InventoryAck:
    """Committed to the database, or `resync`: send it in full."""

    sequence: int
    digest: str
    resync: bool = False
    keeps: tuple[str, ...] = ()  # fields of packages, later than the first version, that this cell keeps


KEPT_FIELDS = ("owner", "module", "where")
