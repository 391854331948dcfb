"""What every provider of a manager beside the system's is made of: npm, pip, flatpak.

Each brings its own reading, planning and applier; whom an order concerns, what a lost run came to, the way back and the
lists that `refresh` writes are the same for all. None of them has services, configuration files or restarts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Protocol

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between, problems_of
from brakeline.agent.providers.apt.inverse import left_to_do
from brakeline.agent.providers.apt.runner import Machine, Ran, Runner
from brakeline.agent.providers.asked import Asked
from brakeline.agent.providers.ended import why_ended
from brakeline.agent.providers.frame import UNTOUCHED, Log, Stop, blank_of
from brakeline.agent.providers.model import Inverse, Order, Refused
from brakeline.core.clock import Clock
from brakeline.protocol import codec
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import Outcome, PackageManagerHealth, RebootNeed, Transaction, TransactionResult


class Applier(Protocol):
    """Applies orders; `blank` is the result that it is until something was changed, or looked at."""

    def apply(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult: ...
    def recover(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult: ...


@dataclass(frozen=True, slots=True)
class Beside(ABC):
    """`work_dir`, `back_dir`: root's directories on the endpoint. `LISTS`: where `refresh` writes."""

    LISTS: ClassVar[str]

    clock: Clock
    runner: Runner = field(default_factory=Machine)
    work_dir: str = "/var/lib/brakeline-helper/tx"
    stopping: Callable[[], bool] = bool
    name: str = ""
    rules: Rules = BUILT_IN
    back_dir: str = ""

    # --- each its own ---

    @abstractmethod
    def installed(self) -> tuple[Installed, ...]: ...
    @abstractmethod
    def applier(self, transaction: Transaction) -> Applier | Refused: ...
    @abstractmethod
    def stored(self, rollout_id: str) -> Inverse | None: ...

    def problems(self) -> tuple[str, ...]:
        """What is there only half, and what a run that was ended left."""
        return problems_of(self.installed())

    def lock_holder(self) -> str:
        return ""

    # --- the same for all ---

    @property
    def lists(self) -> Asked:
        return Asked(self.runner, self.LISTS)

    def health(self) -> PackageManagerHealth:
        """Problems as found now; age and trouble of the lists."""
        return self.lists.health(self.problems(), self.lock_holder())

    def reboot_need(self) -> RebootNeed:
        return RebootNeed(required=False)

    def apply(self, order: Order, log: Log) -> TransactionResult:
        """Do exactly the ordered transaction, or refuse."""
        blank = blank_of(order, Outcome.REFUSED, "refused", self.clock.now_ms())
        applier = self.applier(order.transaction)
        if isinstance(applier, Refused):
            return replace(blank, code=applier.code, detail=applier.reason)
        try:
            return self._ended(applier.apply(order, blank, log))
        except Stop as stop:
            log(f"Refused, nothing was changed: {stop.reason}")
            return self._ended(replace(blank, code=stop.code, detail=stop.reason))

    def recover(self, order: Order, log: Log) -> TransactionResult:
        """What a lost run left behind, put right if the bounds allow."""
        blank = blank_of(order, Outcome.INTERRUPTED, "interrupted_unchanged", self.clock.now_ms())
        applier = self.applier(order.transaction)
        if isinstance(applier, Refused):
            return replace(blank, detail=applier.reason)
        return self._ended(applier.recover(order, blank, log))

    def _ended(self, result: TransactionResult) -> TransactionResult:
        return replace(result, health=self.health(), ended_ms=self.clock.now_ms())

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:  # noqa: ARG002 - it asks nobody: it always goes
        """What is left to do of the way back that was stored for this rollout."""
        stored = self.stored(rollout_id)
        if stored is None:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        left = left_to_do(stored, by_key(self.installed()))
        return left if isinstance(left, Refused) else replace(stored, transaction=left)

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:  # noqa: ARG002
        """None: what they are configured by lies outside of what the manager touches."""
        return ()

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        """Differences between what the transaction promised and what is installed; empty = proven."""
        return rules.unproven(transaction, by_key(self.installed()))


# --- parts of an applier ---


@dataclass(frozen=True, slots=True)
class Before:
    """What was installed before the first change; on disk, for whoever comes after a lost run."""

    packages: tuple[Installed, ...]


def remember(place: Path, before: tuple[Installed, ...]) -> None:
    """Write it down, the last thing before the first change. `Stop` where the disk takes nothing more."""
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(place / "before.json", codec.encode(Before(before)))
    except OSError as e:
        raise Stop("no_space", f"What is there could not be written down: {e.strerror}.") from e


def before_of(path: Path) -> tuple[Installed, ...] | None:
    """None = the run was lost before anything was changed."""
    try:
        return codec.decode(Before, path.read_bytes()).packages
    except (OSError, codec.Malformed):
        return None


def unfit(order: Order, before: tuple[Installed, ...], foreign: str) -> Refused | None:
    """What no manager need be asked about. `foreign`: what others could have written, "" = nothing."""
    if rules.make_transaction(order.transaction.actions).digest != order.transaction.digest:
        return Refused("refused", "The order's digest does not fit its actions.")
    if foreign:
        return Refused("refused", f"Nothing is run that others could have written: {foreign}.")
    if not rules.unproven(order.transaction, by_key(before)):
        return Refused("nothing_to_do", "Everything that was ordered is installed already.")
    return None


def why_not(said: Refused, ran: Ran, limit_s: int, manager: str) -> Refused:
    """Code and reason of a run after which something is not as ordered. `said`: what its words alone would tell."""
    if ran.timed_out:
        return Refused("timeout", why_ended(ran.text, ran.killed, limit_s))
    if ran.rc == 0 and said.code == f"{manager}_failed":
        return Refused("verify_failed", f"{manager} reported success.")
    return said


def after_loss(
    blank: TransactionResult, before: tuple[Installed, ...], now: tuple[Installed, ...], wrong: tuple[str, ...], *,
    healed: bool, unchanged: str = UNTOUCHED[1], still: str = "Still broken",
) -> TransactionResult:  # fmt: skip
    """What a lost run came to. `healed`: something was wrong before it was put right."""
    changes = changes_between(before, now)
    if not changes:
        return replace(blank, code="interrupted_unchanged", detail=unchanged)
    if wrong:
        detail = f"The run was lost. {still}: {rules.named(wrong)}."
        return replace(blank, code="interrupted_broken", detail=detail, changes=changes)
    code = "interrupted_repaired" if healed else "interrupted_complete"
    detail = "The run was lost. Every package is as ordered and sound."
    return replace(blank, code=code, detail=detail, changes=changes)
