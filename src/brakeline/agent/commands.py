"""What the agent then does: every `Command` that `decide` may give. Pure; `loop` carries them out.

A command carries what it needs, so that the shell asks nobody. Whoever adds one says in
`docs/reference/paths-to-an-endpoint.md` whether it is a path to the endpoint. Next: `decide`.
"""

from __future__ import annotations

from dataclasses import field

from brakeline.agent.model import ScanSummary
from brakeline.agent.rescan import Look
from brakeline.core.frozen import dataclass
from brakeline.protocol.messages import Candidate, CheckIn, Settings, SignedOrder, Transaction, TransactionResult


@dataclass(frozen=True, slots=True)
class RenewSecret:
    created_ms: int  # server time as well as we know it


@dataclass(frozen=True, slots=True)
class DoCheckIn:
    body: CheckIn
    wait_s: int
    etag: str


@dataclass(frozen=True, slots=True)
class SendInventory:
    summary: ScanSummary
    created_ms: int


@dataclass(frozen=True, slots=True)
class AdoptInventory:
    """The cell has the last scan: the next one is compared with it. `keeps`: later fields of packages that it keeps."""

    keeps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SendResults:
    transaction_ids: tuple[str, ...]
    created_ms: int


@dataclass(frozen=True, slots=True)
class StartScan:
    """Look at the machine, as deep as `rescan.depth` finds due."""

    base_sequence: int  # 0 = the message says everything
    sequence: int
    asked: bool = False  # look at everything, changed or not
    last: Look | None = None


@dataclass(frozen=True, slots=True)
class StartPlan:
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class StartRefresh:
    pass


@dataclass(frozen=True, slots=True)
class AskHelper:
    """Apply. Idempotent: the helper knows each offer id for ever and begins it once."""

    offer_id: str
    order: SignedOrder
    transaction: Transaction
    server_ms: int
    undoes: str = ""
    bounds: Settings = field(default_factory=Settings)  # what this endpoint runs by: the helper keeps to the narrower


@dataclass(frozen=True, slots=True)
class WatchTransaction:
    offer_id: str
    transaction_id: str


@dataclass(frozen=True, slots=True)
class SpoolResult:
    """Make it durable here; it is sent until the cell acknowledges it."""

    result: TransactionResult


@dataclass(frozen=True, slots=True)
class SendRun:
    """The next part of a transaction's log, from entry `next` on (0 = ask the cell where it is)."""

    transaction_id: str
    offer_id: str
    next: int


@dataclass(frozen=True, slots=True)
class ForgetRun:
    """The cell has this log, or will not have it."""

    transaction_id: str


@dataclass(frozen=True, slots=True)
class ForgetResults:
    """The cell has them: spool and helper may drop them."""

    transaction_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetAside:
    """The cell will never take this result: keep it, out of the way of the others."""

    transaction_id: str


@dataclass(frozen=True, slots=True)
class SkipCounter:
    """Move the request counter far ahead: the cell has seen a higher one than our disk remembers."""


@dataclass(frozen=True, slots=True)
class SayGoodbye:
    reason: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """A line for the log and for `status`."""

    line: str


@dataclass(frozen=True, slots=True)
class StoreFollow:
    """Keep an order for the launcher where it can read it. Not verified by us: the launcher does that."""

    text: str


@dataclass(frozen=True, slots=True)
class TellLauncher:
    """READY: this release has begun to work. HEALTHY: it does everything that an agent must do."""

    word: str


@dataclass(frozen=True, slots=True)
class AskLauncher:
    """End with LOOK: the launcher looks for recalls and newer releases before anything runs again."""


@dataclass(frozen=True, slots=True)
class AskRestart:
    """Restart this machine, if the helper finds that its own rules allow it."""

    order: SignedOrder
    server_ms: int
    a_day: int = 0  # at most, by the settings of this endpoint


@dataclass(frozen=True, slots=True)
class StandDown:
    """The order to restart was taken back: tell the people who were warned."""


@dataclass(frozen=True, slots=True)
class Exit:
    pass


Command = (
    RenewSecret | DoCheckIn | SendInventory | AdoptInventory | SendResults | StartScan | StartPlan | StartRefresh
    | AskHelper | WatchTransaction | SpoolResult | ForgetResults | SendRun | ForgetRun | SetAside | SkipCounter
    | SayGoodbye | Report | StoreFollow | TellLauncher | AskLauncher | AskRestart | StandDown | Exit
)  # fmt: skip
