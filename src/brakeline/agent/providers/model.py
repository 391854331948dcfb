"""The contract of every provider: verbs, typed outcomes, no exceptions for what can be expected to happen.

Rules (each found by provoking the fault): judge by state, never by exit code; never a prompt; security is what the
suite says; `plan` gives the exact transaction and `apply` does exactly that or refuses; verify versions afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from brakeline.core.frozen import dataclass
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import (
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Transaction,
    TransactionResult,
    UpdateRef,
)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Package lists are as new as the repositories have them."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Planned:
    """The exact transaction, and whether there is a way back."""

    transaction: Transaction
    rollback: tuple[str, ...] = ()  # packages whose old version can still be had
    no_way_back: tuple[str, ...] = ()  # packages whose old version cannot be had any more
    skipped: tuple[str, ...] = ()  # updates left out of the transaction, one sentence each ("unzip is held …")

    @property
    def way_back(self) -> str:
        """For people: what is to be expected; what was really stored is told with the result."""
        if self.no_way_back:
            return f"no way back: the former version of {', '.join(self.no_way_back[:5])} cannot be had any more"
        return f"way back: yes ({len(self.transaction.actions)} packages)"


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was done, and why. `code` as in `messages.NotReady` / `TransactionResult.code`."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """What policy and the agent's fixed rules allow a transaction to do."""

    conffile_policy: str = "keep"  # keep | replace
    allow_new_packages: bool = True
    allow_removals: bool = False
    allow_downgrades: bool = False
    lock_wait_s: int = 120
    run_s_max: int = 3600
    disk_reserve_bytes: int = 64 * 1024 * 1024
    restart_services: bool = True
    without: tuple[UpdateRef, ...] = ()  # quarantined versions, which no plan contains
    download_kib_s: int = 0  # 0 = no bound
    nice: int = 0  # of the whole transaction
    repair: bool = True  # may heal a half-done dpkg run: configure, install half-installed packages again


@dataclass(frozen=True, slots=True)
class Archive:
    """One package file that the endpoint keeps for the way back; `path` as the endpoint names it."""

    name: str
    architecture: str
    version: str
    path: str
    sha256: str  # as the configured repositories signed it, when it was installed or fetched from them


@dataclass(frozen=True, slots=True)
class Inverse:
    """The exact way back from one transaction, stored before that was begun. `automatic`: not installed by hand."""

    transaction_id: str
    rollout_id: str
    transaction: Transaction
    archives: tuple[Archive, ...]
    automatic: tuple[str, ...] = ()
    made_ms: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """What `apply` is told: the transaction agreed on, under which identity, within which bounds."""

    transaction_id: str
    offer_id: str
    rollout_id: str
    generation: int
    transaction: Transaction
    bounds: Bounds = Bounds()
    rules: Rules = BUILT_IN  # of the content that the helper was given when it took the order
    inverse: Inverse | None = None  # not None: `transaction` is what is left of it to do
    taken_back: tuple[UpdateRef, ...] = ()  # versions that nothing but an order may bring back


WAS_TAKEN_BACK = "Taken back on this endpoint: an order for it, or a newer version, brings the package again."
Known = Callable[[], tuple[Package, ...]]  # the packages that the cell has acknowledged last


class Provider(Protocol):
    """One package manager. Reading needs no privilege; `refresh` and `apply` run as root (helper, transaction unit)."""

    @property
    def name(self) -> str: ...
    def inventory(self) -> tuple[Package, ...]: ...
    def available(self) -> tuple[PendingUpdate, ...]: ...
    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        """`inventory` and `available` in one go: what both need is read once."""
        ...

    def health(self) -> PackageManagerHealth: ...
    def reboot_need(self) -> RebootNeed: ...
    def refresh(self) -> Refreshed | Refused: ...
    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused: ...
    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult: ...
    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """The process that applied this order was lost: see what state packages are in, repair if the bounds allow.

        Always `INTERRUPTED`; `code` is interrupted_unchanged, interrupted_complete, interrupted_repaired (as ordered,
        after repair), interrupted_partial (sound, but not as ordered) or interrupted_broken.
        """
        ...

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        """What is left to do of the inverse that was stored for this rollout; `look`: also ask whether it would go."""
        ...

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:
        """Configuration files that somebody changed here, of packages that would get another version."""
        ...

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        """Differences between what the transaction promised and what is installed; empty = proven."""
        ...
