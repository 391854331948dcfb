"""The agent's words: what it knows (`State`). What may happen to it is in `events`, what it then does in `commands`.

Everything is frozen and carries its own time (`Instant`), so `decide` needs no clock. What must survive a crash is
in `Durable`; the shell writes it to disk before it runs a command. Next: `events`, `commands`, `decide`, then `loop`
(the shell).
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from brakeline.agent.providers.model import Planned, Refused
from brakeline.agent.rescan import Look
from brakeline.core.frozen import dataclass
from brakeline.protocol.messages import (
    NO_LIMITS,
    Candidate,
    Harms,
    Health,
    LauncherReport,
    LocalLimits,
    PeopleWait,
    Settings,
    SignedOrder,
    Transaction,
)


@dataclass(frozen=True, slots=True)
class Instant:
    """When something happened: `monotonic_s` for durations, `wall_ms` (maybe years off) only until the cell says."""

    monotonic_s: float
    wall_ms: int
    zone_s: int = 0  # how far this machine's local time is before UTC


# --- what the agent knows ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Self:
    """Who this endpoint is, fixed for the life of the process."""

    endpoint_id: str
    cell_key: str  # hex Ed25519 public key under which the cell signs orders
    agent_version: str
    boot_id: str
    can_patch: bool  # a root helper is there; without it this endpoint can only be assessed
    release_id: str = ""  # of this very process, as its launcher says; "" = none started it
    content: str = ""  # release_id of the content that it was given; "" = its own rules count
    content_problems: tuple[str, ...] = ()
    restarts_a_day: int = 0  # by order, that this endpoint's own settings allow
    local: LocalLimits = NO_LIMITS  # root's own limits, which no order can widen


@dataclass(frozen=True, slots=True)
class Active:
    """The cell knows us."""


@dataclass(frozen=True, slots=True)
class Barred:
    """The cell will not have this identity any more (cloned, retired, unknown): no offers; people must enrol anew."""

    code: str
    detail: str


Standing = Active | Barred


class SessionPhase(StrEnum):
    """How far one offer has come. Persisted, so it is data and not a class."""

    QUEUED = "queued"  # believed, waits for the helper to be free
    ASKED = "asked"  # the helper was or will be asked; whether it began is not known yet
    RUNNING = "running"  # the helper has begun; only its result ends this
    ENDED = "ended"  # a result is spooled or acknowledged; kept so that the same offer never counts twice


@dataclass(frozen=True, slots=True)
class Session:
    """One offer on its way. `transaction_id` is derived from the offer id: one offer, one transaction, for ever."""

    offer_id: str
    transaction_id: str
    rollout_id: str
    generation: int
    phase: SessionPhase
    expires_ms: int  # server time
    order: SignedOrder | None = None  # dropped at the end
    transaction: Transaction | None = None
    release: str = ""  # release_id: the launcher is asked for it, not the helper
    undoes: str = ""  # rollout id: a way back, which the helper takes from its own store
    asks: int = 0  # how often the launcher was asked to look for it


@dataclass(frozen=True, slots=True)
class CellTime:
    """The cell's time as we knew it: `base_ms` counts within boot `boot_id`, `seen_ms` had passed in any case."""

    boot_id: str = ""
    base_ms: int = 0  # server time = base_ms + 1000 * monotonic_s
    seen_ms: int = 0


@dataclass(frozen=True, slots=True)
class Allowed:
    """The widest settings of the newest signed grant. Kept with whom it was for: a copied state allows nothing."""

    endpoint_id: str
    settings: Settings
    serial: int


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings of a rollout's signed offer: the widest ones until the rollout is halted or a newer grant comes."""

    rollout_id: str
    settings: Settings
    issued_ms: int


@dataclass(frozen=True, slots=True)
class Durable:
    """What survives a crash of the agent."""

    sessions: tuple[Session, ...] = ()
    halted: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    inventory_sequence: int = 0  # last sequence that the cell acknowledged
    inventory_digest: str = ""
    scan_asked: int = 0  # highest scan number that was obeyed
    scan_owed: bool = False  # a full look was asked for and has not ended yet
    time: CellTime = field(default_factory=CellTime)
    recall_asked: str = ""  # release_id for whose recall the launcher was asked to look
    packages_removed: int = 0  # in all, as far as inventories that the cell acknowledged told
    allowed: Allowed | None = None  # None = written by an older release: what it ran by then is what is allowed
    trial: Trial | None = None
    trial_ms: int = 0  # when the newest offer of settings that was taken was made; an older one is not taken again


@dataclass(frozen=True, slots=True)
class Preparation:
    """A candidate and how ready we are for it: `answer` None = not planned yet."""

    candidate: Candidate
    answer: Planned | Refused | None = None
    answered_s: float = 0.0


class Errand(StrEnum):
    """What the one local worker is about. At most one at a time, so scans never pile up."""

    NONE = "none"
    SCAN = "scan"
    PLAN = "plan"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """What a scan child reports; the packages themselves stay on disk so that the resident agent stays small."""

    sequence: int  # 0 = nothing changed since the last acknowledged inventory
    digest: str
    body_path: str  # the encoded `Inventory` message, ready to be sent
    packages: int
    healthy: bool
    lists_refreshed_ms: int  # by the clock of this endpoint
    look: Look | None = None
    full: bool = True  # everything was looked at, not only the quick part
    removed: int = 0  # packages that are gone since the last acknowledged inventory
    restart_required: bool = False  # this machine itself says that a restart is due


@dataclass(frozen=True, slots=True)
class Rejection:
    """A result that the cell called malformed so many times; it rests until `not_before_s`."""

    transaction_id: str
    times: int
    not_before_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """The log of one transaction on its way to the cell. `next` 0 = the cell has to say where it is."""

    transaction_id: str
    offer_id: str
    next: int = 0
    not_before_s: float = 0.0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """The connection to the cell, as decide sees it."""

    busy: bool = False  # an exchange is under way; the next one waits for its answer
    secret_until_ms: int = 0  # server time; 0 = no secret
    etag: str = ""
    failures: int = 0  # in a row
    trouble: str = ""  # what the last failure was, in words; it counts while there are failures
    not_before_s: float = 0.0  # back-off and Retry-After: no exchange earlier
    last_check_in_s: float = -1e9  # start of the last one that was answered
    next_check_in_s: float = 0.0
    ever: bool = False  # at least one check-in of this process was answered


@dataclass(frozen=True, slots=True)
class State:
    """All that `decide` knows."""

    me: Self
    durable: Durable
    standing: Standing = field(default_factory=Active)
    link: Link = field(default_factory=Link)
    server_base_ms: float | None = None  # server time = server_base_ms + 1000 * monotonic_s
    health: Health = field(default_factory=Health)
    looked_s: float = -1e9  # when health was looked at
    harms: Harms | None = None  # what was done to this machine, at the last look
    errand: Errand = Errand.NONE
    preparations: tuple[Preparation, ...] = ()
    unsent: tuple[str, ...] = ()  # transaction ids in the spool
    sending: tuple[str, ...] = ()  # of these, what is or was last under way
    alone: bool = False  # results go one by one: a batch was rejected
    rejections: tuple[Rejection, ...] = ()
    set_aside: int = 0  # results that the cell will not take, kept in the spool
    runs: tuple[Run, ...] = ()  # logs that the cell does not have to their end
    look: Look | None = None  # what this process's last scan has looked at
    to_send: ScanSummary | None = None
    resync: bool = False
    scan_due_s: float = 0.0
    refresh_due_s: float = 1e18  # the first scan tells how old the lists are
    refresh_not_before_s: float = 0.0
    watch_due_s: float = 0.0
    news: bool = False  # something that the cell should hear at once
    stopping: bool = False
    began_s: float = 0.0  # when this process began
    launcher: LauncherReport | None = None
    releases: tuple[Candidate, ...] = ()  # candidates that are releases or settings of ours
    follow: str = ""  # the newest order for the launcher, as it came
    scanned: bool = False  # a scan of this process has ended well
    not_assessed: str = ""  # why no scan of this system can be made
    words: tuple[str, ...] = ()  # what the launcher was told: READY, HEALTHY
    restart: SignedOrder | None = None  # as the newest reply has it
    restart_refused: str = ""  # by the helper, for this boot
    restart_not_before_s: float = 0.0
    restart_required: bool = False  # as the last scan found
    people: PeopleWait | None = None  # whom the order to restart waits for
    warned: bool = False  # people at this machine were told of a restart, and of no end of that
    grant: SignedOrder | None = None  # the newest that was read
    wider: tuple[str, ...] = ()  # settings that the last reply wished wider than any signed order allows
