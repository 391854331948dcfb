"""The messages of `/agent/v1`. Frozen, typed, additive only: never rename or remove, give new fields defaults.

Times are Unix milliseconds; `*_s` are seconds; sizes are bytes; ids are text with prefix (`core.ids`).
The story of one change, seen from here: a `CheckInReply` names `Candidate`s; an endpoint that is *ready* (in its
window, every precondition passed, exact `Transaction` planned) says so in its next `CheckIn`; the cell randomises
it there and then: *treated* endpoints find an `Offer` (signed: `SignedOrder`) in the reply, *control* and *deferred*
ones find nothing new. What came of it travels back as a `TransactionResult`.
"""

from __future__ import annotations

from enum import StrEnum

from brakeline.core.frozen import dataclass
from brakeline.protocol.enrolment import (
    EnrolReply,
    EnrolRequest,
    Secret,
)
from brakeline.protocol.inventory import (
    KEPT_FIELDS,
    Facts,
    Inventory,
    InventoryAck,
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    SoftwareLook,
    Status,
    UpdateState,
)
from brakeline.protocol.launcher_report import LauncherReport, TrialReport
from brakeline.protocol.transactions import (
    Action,
    ActionKind,
    Outcome,
    PackageChange,
    Transaction,
    TransactionResult,
    WayBack,
)

__all__ = [  # what has its own module is had from here too
    "KEPT_FIELDS",
    "Action",
    "ActionKind",
    "EnrolReply",
    "EnrolRequest",
    "Facts",
    "Inventory",
    "InventoryAck",
    "LauncherReport",
    "Outcome",
    "Package",
    "PackageChange",
    "PackageManagerHealth",
    "PendingUpdate",
    "RebootNeed",
    "Secret",
    "SoftwareLook",
    "Status",
    "Transaction",
    "TransactionResult",
    "TrialReport",
    "UpdateState",
    "WayBack",
]

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
    probes: tuple[str, ...] = ()  # what the endpoint tries of itself, `protocol.probes`; () = nothing, the narrowest


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
    # How it does its work: words of agents that came later, which older cells pass over.
    errors: int | None = None  # messages of priority `err` and worse in its journal, of the last ten minutes
    boot_s: int | None = None  # how long the system that runs took to start; still rising while it does
    probes: tuple[str, ...] | None = None  # names of people's own probes that pass
    probes_failed: tuple[str, ...] = ()  # of those that fail, with why: "web: HTTP 500"


@dataclass(frozen=True, slots=True)
class PeopleTerms:
    """How people at the machine are asked before a restart. Each default asks for nothing: root's own terms count, and
    whichever of the two is kinder to people holds, word by word."""

    warn_s: int = 0  # they are warned so long before; 0 in both = nobody is warned, and who is logged in is a refusal
    deferrals: int = 0  # how often they may put it off, in one boot
    defer_s: int = 0  # by so much each time, at most
    deadline_s: int = 0  # after the first warning, nobody is overruled earlier than that; only root can allow it at all


@dataclass(frozen=True, slots=True)
class PeopleWait:
    """An order to restart that waits for people at the machine. How many they are, never who."""

    people: int
    until_ms: int = 0  # the cell's time at which it goes on; 0 = when nobody is logged in any more
    deferred: int = 0  # so often they have put it off
    deferrals: int = 0  # of so many times
    latest_ms: int = 0  # nobody can put it off beyond; 0 = there is no such moment


@dataclass(frozen=True, slots=True)
class RestartStanding:
    """What an endpoint says of restarts by order: whether its own settings allow any, and why it refused the last."""

    allowed: bool = False
    refused: str = ""  # of the present boot: "code: reason"
    people: PeopleWait | None = None  # for whom the order that it has waits; None = for nobody, or an older agent


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
    people: PeopleTerms | None = None  # of the organisation: never less kind than root's own


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
