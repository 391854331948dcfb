"""What exactly would be done to packages, and what came of it. Words of `messages`."""

from __future__ import annotations

from enum import StrEnum

from brakeline.core.frozen import dataclass
from brakeline.protocol.inventory import PackageManagerHealth

HEALTHY = PackageManagerHealth(healthy=True)


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
    health: PackageManagerHealth = HEALTHY
    started_ms: int = 0
    ended_ms: int = 0
    log_tail: str = ""  # at most 16 KiB
    way_back: WayBack | None = None  # None = it never came to that, or the agent is older
