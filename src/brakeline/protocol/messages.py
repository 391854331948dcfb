"""The messages of `/agent/v1`. Frozen, typed, additive only: never rename or remove, give new fields defaults.

Times are Unix milliseconds; `*_s` are seconds; sizes are bytes; ids are text with prefix (`core.ids`).
The story of one change, seen from here: a `CheckInReply` names `Candidate`s; an endpoint that is *ready* (in its
window, every precondition passed, exact `Transaction` planned) says so in its next `CheckIn`; the cell randomises
it there and then: *treated* endpoints find an `Offer` (signed: `SignedOrder`) in the reply, *control* and *deferred*
ones find nothing new. What came of it travels back as a `TransactionResult`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RESTARTS_A_DAY_MAX = 4  # by order, whatever anybody sets


class Mode(StrEnum):
    """What policy lets the agent do. `ASSESS` is the default of every new endpoint."""

    ASSESS = "assess"
    PATCH = "patch"


class RestartConsent(StrEnum):
    """When an endpoint follows an order to restart, the most careful first. Root's own limits come before it."""

    NEVER = "never"
    REQUIRED = "required"  # in a maintenance window, and only while the machine itself says that a restart is due
    WINDOW = "window"  # in a maintenance window
    ANY = "any"


class Conffiles(StrEnum):
    """The most that an update may do with configuration files that were changed on the endpoint."""

    HOLD = "hold"  # nothing: whatever would update a package with such a file waits for a person
    KEEP = "keep"  # they stay as they are and are named in the result
    REPLACE = "replace"  # what the rollout says: kept, unless it replaces them


# --- inventory -----------------------------------------------------------------------------------------------------


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


# --- enrolment -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """`POST /agent/v1/enrol`, signed with the key it names (proof of possession)."""

    token: str
    public_key: str  # hex, 32 bytes Ed25519
    hostname: str
    facts: Facts
    agent_version: str = ""


@dataclass(frozen=True, slots=True)
class Secret:
    """A fresh check-in secret. Sent once, here, and never again."""

    secret: str  # hex, 32 bytes
    expires_ms: int
    server_ms: int


@dataclass(frozen=True, slots=True)
class EnrolReply:
    """The endpoint's identity; the id is chosen by the server."""

    endpoint_id: str
    secret: Secret
    cell_key: str  # hex Ed25519 public key under which this cell signs orders
    cell: str
    region: str
    channel: str = "stable"  # of releases, for the launcher; each tenant has its own: "stable/<tenant id>"


# --- check-in ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settings:
    """What policy asks of the agent; bounded by the agent's own fixed rules. `settings_digest` names them."""

    mode: Mode = Mode.ASSESS
    check_in_interval_s: int = 60
    inventory_interval_s: int = 900  # full local scan; package-manager changes are noticed sooner
    refresh_interval_s: int = 6 * 3600  # package lists
    # Words of agents since 0.2; each default is the widest, so that whoever does not know them is told nothing less.
    windows: tuple[str, ...] = ()  # maintenance windows in the endpoint's local time, `core.weekly`; () = always
    restart: RestartConsent = RestartConsent.ANY
    conffiles: Conffiles = Conffiles.REPLACE
    restarts_a_day: int = RESTARTS_A_DAY_MAX  # by order
    download_kib_s: int = 0  # of a package transaction; 0 = no bound
    nice: int = 0  # of a package transaction, 0 to 19: how far everything else on the machine goes first


@dataclass(frozen=True, slots=True)
class SettingsGrant:
    """The payload of a signed order: the widest settings that this endpoint may run by until a newer one comes.

    `serial` rises with each change of what the endpoint has; an older one is not believed again.
    """

    endpoint_id: str
    settings: Settings
    serial: int


@dataclass(frozen=True, slots=True)
class LocalLimits:
    """What an endpoint says of limits of its own, which its root has written and no order can widen."""

    settings: Settings | None = None  # what they still allow; None = there are none
    window: str = ""  # of what is in force there: "open now", "opens sat 22:00", "never opens"
    zone: str = ""  # its local time: "+02:00"
    wider: tuple[str, ...] = ()  # settings that the last reply wished wider than any signed order allows
    problem: str = ""  # why its limits cannot be read; then it only assesses


NO_LIMITS = LocalLimits()


@dataclass(frozen=True, slots=True)
class UpdateRef:
    """One update of a deployment: this package to exactly this version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ReleaseRef:
    """A release of ours, as the signed targets name it. `release_id` = version, a hyphen, 12 hex of `sha256`."""

    product: str  # agent | launcher | content
    version: str
    path: str  # of the target: "agent/0.2.0/any/bundle.tar"
    sha256: str  # hex, of the bundle
    length: int
    sequence: int = 0  # rises with every release of a product; decides what is newer

    @property
    def release_id(self) -> str:
        return f"{self.version}-{self.sha256[:12]}"


DRILL_PACKAGE = "brakeline-drill-order"  # how a drill on real endpoints is named among updates; no such package exists
DRILL_FAILURE = "drill_failure"  # the code of a failure that an order of a drill asked for


@dataclass(frozen=True, slots=True)
class DrillOrder:
    """A rehearsal on a real endpoint: tell the end that is named here, and do nothing else."""

    fails: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rollout that has a place for this endpoint: get ready (plan, check), change nothing."""

    rollout_id: str
    generation: int
    updates: tuple[UpdateRef, ...]
    conffile_policy: str = "keep"  # keep | replace
    release: ReleaseRef | None = None  # not updates of the vendor's but a release of ours, for the launcher
    undoes: str = ""  # rollout id: the way back from its updates, as this endpoint stored it beforehand
    without: tuple[UpdateRef, ...] = ()  # quarantined: never in the plan, not even as a dependency
    settings: Settings | None = None  # … or settings of the agent itself; `updates` then names their version
    drill: DrillOrder | None = None  # … or a drill, which changes nothing; `updates` then names it


class ActionKind(StrEnum):
    UPGRADE = "upgrade"
    INSTALL = "install"
    REMOVE = "remove"
    DOWNGRADE = "downgrade"


@dataclass(frozen=True, slots=True)
class Action:
    """One line of an exact transaction."""

    kind: ActionKind
    name: str
    architecture: str
    before: str  # "" for INSTALL
    after: str  # "" for REMOVE


@dataclass(frozen=True, slots=True)
class Transaction:
    """Exactly what would be done, in a stable order (name, architecture). `digest` = `transaction_digest(actions)`."""

    actions: tuple[Action, ...]
    digest: str
    download_bytes: int = 0
    disk_bytes: int = 0  # change of installed size; may be negative


@dataclass(frozen=True, slots=True)
class Ready:
    """In its window, past every precondition, would start now: the moment of randomisation."""

    rollout_id: str
    generation: int
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class NotReady:
    """Why a candidate cannot start now. `nothing_to_do` = every update is installed or does not apply here."""

    rollout_id: str
    generation: int
    # nothing_to_do | assess_only | locked | unhealthy | no_space | held | lists_stale | refused | busy | window |
    # conffiles | local_limits
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """The endpoint's own state at this check-in, as evidence for the brake."""

    failed_services: tuple[str, ...] = ()
    package_manager_healthy: bool = True
    disk_free_bytes: int = 0
    load_1m: float = 0.0
    memory_available_bytes: int = 0
    # Numbers that agents before 0.2 do not tell: 0 = not told.
    memory_total_bytes: int = 0
    disk_total_bytes: int = 0
    processors: int = 0
    agent_memory_bytes: int = 0  # resident, of the agent itself
    agent_permille: int = 0  # of one processor, taken by the agent since the sample before
    packages_removed: int = 0  # since this machine was enrolled, as inventories found


@dataclass(frozen=True, slots=True)
class Harms:
    """What was done to the machine, as far as its agent can tell. None = it cannot, which is not zero.

    Numbers are levels or only rise; the cell compares each with the same number when the endpoint was ready.
    """

    refused: int | None = None  # accesses and processes that the system's own security modules refused
    quarantined: int | None = None  # files that a malware scanner has locked away
    files_gone: int | None = None  # programs and units of packages that nobody changed meanwhile
    units_masked: int | None = None
    accounts_closed: int | None = None  # that had a shell to log in with, and have none now or are gone
    ports: tuple[int, ...] | None = None  # TCP ports below the ephemeral ones that system accounts listen on
    named: tuple[str, ...] = ()  # the newest of these by name, for people: "gone: /usr/bin/curl"


@dataclass(frozen=True, slots=True)
class TrialReport:
    """How the newest trial of a release ended, told by the launcher, never by the release itself."""

    release_id: str
    outcome: str  # confirmed | reverted | refused
    code: str  # ok, exited, killed, not_ready, not_healthy, over_budget, manifest, recalled, quarantined, no_space, …
    detail: str  # one or two sentences for people
    runs: int = 0  # how often it was executed
    log_tail: str = ""  # the last of what it wrote, at most 1 KiB


@dataclass(frozen=True, slots=True)
class LauncherReport:
    """`report.json` on the endpoint: what the launcher last wrote down about itself, who is not on trial."""

    version: str = ""
    running: str = ""  # release_id that is executed now
    confirmed: str = ""  # release_id that passed its probation last
    last_known_good: str = ""  # what would be run if `confirmed` fails
    trial: str = ""  # release_id on probation, of the agent or of its content, "" = none
    quarantined: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()  # of those on this disk
    last_trial: TrialReport | None = None
    host_guard: str = ""  # why the launcher waits after an unclean death of the host; "" = it does not
    problems: tuple[str, ...] = ()  # "metadata_expired: …", "clock_skew: …", "state_lost: …"
    trust_versions: tuple[int, ...] = ()  # root, timestamp, snapshot, targets, recall: what the launcher has verified
    follow_generation: int = 0
    running_content: str = ""  # release_id of the content that `running` was given, "" = its own defaults
    content: str = ""  # release_id of the content that passed its probation last
    content_last_known_good: str = ""  # what would be given if `content` fails
    launcher_slot: str = ""  # a | b | factory: where the launcher itself lies; "" = no stub starts it: no updates of it
    launcher_release: str = ""  # release_id of the launcher itself; "" = the one that came with its package
    launcher_trial: str = ""  # release_id of a launcher that is on trial, "" = none
    launcher_last_trial: TrialReport | None = None
    launcher_failed: tuple[str, ...] = ()  # releases of the launcher that are not tried here again
    launcher_waits: str = ""  # why no newer launcher would be tried now; "" = one would be


@dataclass(frozen=True, slots=True)
class RestartStanding:
    """What an endpoint says of restarts by order: whether its own settings allow any, and why it refused the last."""

    allowed: bool = False
    refused: str = ""  # of the present boot: "code: reason"


@dataclass(frozen=True, slots=True)
class CheckIn:
    """`POST /agent/v1/check-in?wait=S` with `If-None-Match: ETAG`; 304 = nothing new."""

    agent_version: str
    inventory_sequence: int
    inventory_digest: str
    health: Health
    ready: tuple[Ready, ...] = ()
    not_ready: tuple[NotReady, ...] = ()
    in_progress: tuple[str, ...] = ()  # offer ids whose transaction runs
    launcher: LauncherReport | None = None  # None = no launcher runs this agent: it takes no releases
    content: str = ""  # release_id of the endpoint content that this agent goes by; "" = its built-in rules
    content_problems: tuple[str, ...] = ()  # what in it this agent does not understand
    restart: RestartStanding | None = None  # None = an agent that knows no such orders
    settings: str = ""  # `settings_digest` of what it runs by; "" = an agent that takes no settings from an offer
    harms: Harms | None = None  # None = an agent that tells nothing of what is done to its machine
    local: LocalLimits | None = None  # None = an agent that knows no windows and takes unsigned settings as they come
    drills: bool = False  # it knows what an order of a drill is


@dataclass(frozen=True, slots=True)
class Offer:
    """The payload of a signed order: this endpoint may do this transaction, once, until it expires."""

    offer_id: str
    endpoint_id: str
    rollout_id: str
    generation: int
    transaction_digest: str
    updates: tuple[UpdateRef, ...]
    issued_ms: int
    expires_ms: int
    salt: str = ""  # hex, 32 bytes: the endpoint can check its own assignment
    conffile_policy: str = "keep"
    restart_services: bool = True
    allow_new_packages: bool = True
    allow_removals: bool = False
    release: ReleaseRef | None = None
    undoes: str = ""  # rollout id: the digest is of the inverse that the endpoint stored itself, of `updates`
    settings: Settings | None = None  # the agent runs by these from now on
    drill: DrillOrder | None = None  # nothing is done: the end that it names is told


@dataclass(frozen=True, slots=True)
class RestartOrder:
    """The payload of a signed order: restart, once, while this boot lasts. Bounded by the endpoint's own settings."""

    endpoint_id: str
    rollout_id: str
    boot_id: str  # of the boot that it ends: after the restart the order means nothing
    issued_ms: int
    expires_ms: int


ORDER_CONTEXT = b"brakeline-order-v1\n"  # domain separation: a signature over an order can be nothing else
RESTART_CONTEXT = b"brakeline-restart-v1\n"
SETTINGS_CONTEXT = b"brakeline-settings-v1\n"


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """`payload`: canonical JSON of an `Offer`; `signature`: hex Ed25519 of the cell over ORDER_CONTEXT + payload.

    The same with a `RestartOrder` and RESTART_CONTEXT, and with a `SettingsGrant` and SETTINGS_CONTEXT.
    """

    payload: str
    signature: str


@dataclass(frozen=True, slots=True)
class CheckInReply:
    """The whole state that the cell wants the endpoint to know; the same state has the same ETag."""

    server_ms: int
    settings: Settings
    candidates: tuple[Candidate, ...] = ()
    offers: tuple[SignedOrder, ...] = ()
    halted: tuple[str, ...] = ()  # rollout ids: start nothing more of these, drop what is queued
    resync: bool = False  # send the inventory in full
    scan: int = 0  # a number that rises when somebody asks for a scan now
    recalled: tuple[str, ...] = ()  # release_ids: an agent that runs one asks its launcher to look at once
    follow: str = ""  # signed order to the launcher: channel, self-update on or off, pin; kept where it can read it
    restart: SignedOrder | None = None  # a `RestartOrder`: a canary, or its control, that consents
    granted: SignedOrder | None = None  # a `SettingsGrant`: `settings` may be narrower than it, never wider


# --- results -------------------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """How a transaction ended. Only INSTALLED is good; REFUSED changed nothing."""

    INSTALLED = "installed"
    FAILED = "failed"
    REFUSED = "refused"  # the endpoint's rules or a changed situation; nothing was changed
    EXPIRED = "expired"  # the offer's time ran out before the start; nothing was changed
    INTERRUPTED = "interrupted"  # power or process was lost; `detail` says what state the packages are in


@dataclass(frozen=True, slots=True)
class PackageChange:
    """What really changed, read from the package manager's own records after the fact."""

    name: str
    architecture: str
    before: str
    after: str
    state: str = "ii"


@dataclass(frozen=True, slots=True)
class WayBack:
    """Whether the exact inverse of a transaction was stored on the endpoint before dpkg was started."""

    stored: bool
    packages: int = 0  # that the inverse puts back or removes
    code: str = ""  # gone | unknown_origin | fetch_failed | too_large | no_space | is_way_back | "" = stored
    reason: str = ""  # one sentence for people; "" = stored

    @property
    def told(self) -> str:
        """For people."""
        some = f"{self.packages} package" + ("" if self.packages == 1 else "s")
        return f"way back: yes ({some})" if self.stored else f"no way back: {self.reason}"


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """`POST /agent/v1/results` carries a batch of these. Acknowledged after commit; sent again until then."""

    transaction_id: str
    offer_id: str
    rollout_id: str
    generation: int
    outcome: Outcome
    code: str  # stable reason: ok, maintainer_script_failed, no_space, lock_timeout, network, verify_failed, changed, …
    detail: str  # one or two sentences for people
    changes: tuple[PackageChange, ...] = ()
    conffiles_kept: tuple[str, ...] = ()
    services_restarted: tuple[str, ...] = ()
    services_failed: tuple[str, ...] = ()  # failed now, not failed before
    health: PackageManagerHealth = PackageManagerHealth(healthy=True)
    started_ms: int = 0
    ended_ms: int = 0
    log_tail: str = ""  # at most 16 KiB
    way_back: WayBack | None = None  # None = it never came to that, or the agent is older


@dataclass(frozen=True, slots=True)
class Results:
    results: tuple[TransactionResult, ...]


@dataclass(frozen=True, slots=True)
class ResultsAck:
    """Transaction ids that are committed: the endpoint may forget them."""

    accepted: tuple[str, ...]


# --- what a transaction prints, while it runs -----------------------------------------------------------------------


class RunKind(StrEnum):
    COMMAND = "command"  # a process was started, with exactly these words
    OUTPUT = "output"  # a line that it printed
    EXIT = "exit"  # it ended
    SAID = "said"  # Brakeline's own words about what it does
    DROPPED = "dropped"  # something is not here, and why


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One line of a transaction's run log, as it was written where it happened. Secrets are masked there."""

    n: int  # 1, 2, 3 … without a gap, unless the endpoint had to drop some
    at_ms: int  # by the endpoint's clock
    kind: str  # a `RunKind`; what a newer agent adds is shown as it is
    command: int = 0  # which command of this transaction it is about, counted from 1; 0 = none
    text: str = ""
    argv: tuple[str, ...] = ()  # of COMMAND
    rc: int | None = None  # of EXIT
    took_ms: int = 0  # of EXIT
    lines: int = 0  # of DROPPED: how many


@dataclass(frozen=True, slots=True)
class RunPart:
    """`POST /agent/v1/run`: the next entries of one transaction. Without entries it asks which one is next."""

    transaction_id: str
    offer_id: str
    entries: tuple[RunEntry, ...] = ()
    ended: bool = False  # the transaction has ended, and these are its last entries
    sent_ms: int = 0  # by the endpoint's clock, now: tells how wrong its entries' times are


@dataclass(frozen=True, slots=True)
class RunAck:
    """Committed. `closed`: the cell takes no more of this transaction, and the endpoint may forget its log."""

    next: int = 1  # number of the first entry that the cell does not have
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Goodbye:
    """`POST /agent/v1/goodbye`: why nothing will be heard. Only who goes to sleep or off is counted as *asleep*:
    a machine that restarts and an agent that ends have said that they come back, and are silent if they do not.
    """

    reason: str  # shutdown | suspend | restart | agent_stop


@dataclass(frozen=True, slots=True)
class Problem:
    """Every error body: RFC 9457 with a stable code and what to do next."""

    code: str
    title: str
    status: int
    detail: str = ""
    hint: str = ""
    server_ms: int = 0
