"""What may happen to the agent: every `Event` that `decide` is told, with its own time. Pure.

The kinds of talk with the cell, and of their failures, belong here too: they come back as events. Next: `commands`.
"""

from __future__ import annotations

from enum import StrEnum

from brakeline.agent.model import Errand, Instant, ScanSummary
from brakeline.agent.providers.model import Planned, Refused
from brakeline.core.frozen import dataclass
from brakeline.protocol.messages import (
    Candidate,
    CheckInReply,
    Harms,
    Health,
    InventoryAck,
    LauncherReport,
    PeopleWait,
    Secret,
    TransactionResult,
)


class Exchange(StrEnum):
    """The kinds of talk with the cell."""

    SECRET = "secret"  # noqa: S105 - the name of an exchange
    CHECK_IN = "check_in"
    INVENTORY = "inventory"
    RESULTS = "results"


class FailureKind(StrEnum):
    NETWORK = "network"  # no answer, or not from our cell
    BUSY = "busy"  # 503 or 429: the cell sheds load
    SECRET = "secret"  # noqa: S105 - the check-in secret is not known any more
    SKEW = "skew"  # our idea of the time was refused; the answer carries the right one
    REPLAYED = "replayed"  # our counter is behind, for instance after a restored disk
    BARRED = "barred"  # cloned, retired, unknown
    REJECTED = "rejected"  # anything else that repeating will hardly cure


@dataclass(frozen=True, slots=True)
class Failure:
    kind: FailureKind
    code: str
    detail: str
    retry_after_s: float = 0.0
    server_ms: int = 0
    permanent: bool = False  # the cell itself says that this body is wrong, not the moment


@dataclass(frozen=True, slots=True)
class Started:
    """The process begins: `spooled` = results on disk that no acknowledgement was seen for."""

    at: Instant
    spooled: tuple[str, ...]
    set_aside: int = 0  # results on disk that the cell will not take
    runs: tuple[tuple[str, str], ...] = ()  # transaction and offer ids of logs on disk
    health: Health | None = None  # of the first check-in, which no tick comes before


@dataclass(frozen=True, slots=True)
class Tick:
    at: Instant
    health: Health | None = None
    packages_changed: bool = False  # the package manager's records were touched since the last look
    harms: Harms | None = None  # looked at with health


@dataclass(frozen=True, slots=True)
class SecretGiven:
    at: Instant
    secret: Secret


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """`reply` None = 304, nothing new. `started_s` = when the request left."""

    at: Instant
    started_s: float
    reply: CheckInReply | None
    etag: str


@dataclass(frozen=True, slots=True)
class ExchangeFailed:
    at: Instant
    exchange: Exchange
    failure: Failure


@dataclass(frozen=True, slots=True)
class Scanned:
    at: Instant
    summary: ScanSummary


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Nothing that a scan depends on has changed since the last one: no child was started."""

    at: Instant


@dataclass(frozen=True, slots=True)
class NotAssessed:
    """This system cannot be looked at, and why: no inventory is made, since an empty one would look like a well one."""

    at: Instant
    reason: str


@dataclass(frozen=True, slots=True)
class ErrandFailed:
    """The child crashed, ran into its limits or said nonsense. The agent itself goes on."""

    at: Instant
    errand: Errand
    reason: str


@dataclass(frozen=True, slots=True)
class InventoryAcknowledged:
    at: Instant
    ack: InventoryAck


@dataclass(frozen=True, slots=True)
class PlanMade:
    at: Instant
    candidate: Candidate
    answer: Planned | Refused


@dataclass(frozen=True, slots=True)
class RefreshEnded:
    at: Instant
    problem: str  # "" = the lists are fresh


@dataclass(frozen=True, slots=True)
class HelperBegan:
    """The helper has accepted the order; the transaction runs in a unit of its own."""

    at: Instant
    offer_id: str


@dataclass(frozen=True, slots=True)
class HelperDeclined:
    """The helper will not do it and has changed nothing."""

    at: Instant
    offer_id: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class HelperSilent:
    """No answer; whether the transaction began is not known."""

    at: Instant
    offer_id: str


@dataclass(frozen=True, slots=True)
class HelperKnowsNothing:
    """The helper never began this transaction."""

    at: Instant
    offer_id: str


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    at: Instant
    result: TransactionResult


@dataclass(frozen=True, slots=True)
class RestartAnswered:
    """`code` "" and a reason = the helper gave no answer; both empty = the machine goes down."""

    at: Instant
    code: str
    reason: str
    people: PeopleWait | None = None  # it waits for these


@dataclass(frozen=True, slots=True)
class ResultsAcknowledged:
    at: Instant
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunTaken:
    """The cell has a part of a log. `more`: another one lies here; `whole`: it has all, and the transaction ended."""

    at: Instant
    transaction_id: str
    next: int
    closed: bool = False
    more: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class RunRefused:
    """It has not."""

    at: Instant
    transaction_id: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class LauncherSaid:
    """The launcher's report has changed."""

    at: Instant
    report: LauncherReport


@dataclass(frozen=True, slots=True)
class StopAsked:
    at: Instant
    reason: str  # shutdown | suspend | restart | agent_stop


Event = (
    Started | Tick | SecretGiven | CheckedIn | ExchangeFailed | Scanned | Unchanged | NotAssessed | ErrandFailed
    | InventoryAcknowledged | PlanMade | RefreshEnded | HelperBegan | HelperDeclined | HelperSilent
    | HelperKnowsNothing | TransactionEnded | ResultsAcknowledged | RunTaken | RunRefused | LauncherSaid
    | RestartAnswered | StopAsked
)  # fmt: skip
