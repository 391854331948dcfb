"""The frame of every transaction of a system's manager: what `apply` and `recover` share, whatever is inside.

Apply: up to the first change every trouble is a `Stop` and ends as `REFUSED`; a lock is waited for, bounded, and its
holder named; services are looked at before and after. Recovery: what the lost run left running is waited for, then the
state of the packages decides the code. What is done in between is the manager's own: its modules `apply`, `recovery`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Generic, NoReturn, Protocol, TypeVar

from brakeline.agent.providers.apt.plan import make_transaction, named
from brakeline.agent.providers.apt.services import Services
from brakeline.agent.providers.model import Bounds, Order
from brakeline.core.clock import Clock
from brakeline.protocol.messages import (
    Outcome,
    PackageChange,
    PackageManagerHealth,
    Transaction,
    TransactionResult,
    UpdateRef,
    WayBack,
)

POLL_S: Final = 0.5
LOG_TAIL_BYTES: Final = 16 * 1024
FULL_BYTES: Final = 1024 * 1024  # less is a full disk
Log = Callable[[str], None]
Pause = Callable[[float], None]
Found = tuple[str, str, tuple[PackageChange, ...]]  # code, detail, changes


class Stop(Exception):
    """Ends an application before anything was changed; never leaves the provider."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Applier(Protocol):
    """What applies orders with one manager on one endpoint."""

    @property
    def clock(self) -> Clock: ...
    @property
    def health(self) -> Callable[[], PackageManagerHealth]: ...
    @property
    def stopping(self) -> Callable[[], bool]: ...


class Staged(Protocol):
    """The files of one transaction."""

    @property
    def log(self) -> Path: ...


class Recoverable(Applier, Protocol):
    """What also looks after its lost runs."""

    def staging(self, order: Order) -> Staged: ...
    def way_back(self, transaction_id: str) -> WayBack | None: ...


class Lock(Protocol):
    """Who holds a lock, as text, and which."""

    @property
    def lock(self) -> str: ...


class Away(Protocol):
    """Where an endpoint keeps which versions were taken back; OSError when the disk will not."""

    def allow(self, versions: Iterable[UpdateRef]) -> None: ...
    def forbid(self, versions: Iterable[UpdateRef]) -> str | None: ...


A_co = TypeVar("A_co", bound=Applier, covariant=True)


@dataclass(frozen=True, slots=True)
class Run(Generic[A_co]):
    """One application under way. `deadline`: monotonic seconds by which it must have ended."""

    applier: A_co
    order: Order
    log: Log
    deadline: float

    @property
    def bounds(self) -> Bounds:
        return self.order.bounds

    def left_s(self) -> float:
        return max(1.0, self.deadline - self.applier.clock.monotonic_s())

    def untampered(self) -> Transaction:
        """The ordered transaction, once its digest is known to fit."""
        transaction = self.order.transaction
        if make_transaction(transaction.actions).digest != transaction.digest:
            self.stop("refused", "The order's digest does not fit its actions.")
        return transaction

    def wait_for_lock(self, held: Callable[[], Lock | None], pause: Pause) -> int:
        """Seconds waited until nobody held a lock; past the bound it stops and says who."""
        clock, start, said = self.applier.clock, self.applier.clock.monotonic_s(), False
        while (who := held()) is not None:
            waited = clock.monotonic_s() - start
            if waited >= self.bounds.lock_wait_s:
                self.stop("lock_timeout", f"{who.lock} has been held by {who} for the {waited:.0f} s we waited.")
            if not said:
                self.log(f"Waiting for {who}, which holds {who.lock}.")
                said = True
            self.go_on()
            pause(POLL_S)
        return int(clock.monotonic_s() - start)

    def forbid(self, away: Away, place: str) -> None:
        """Before anything is changed: what is taken back stays away, what is ordered may come."""
        try:
            away.allow(UpdateRef(a.name, a.after) for a in self.order.transaction.actions if a.after)
            if self.order.taken_back and (less := away.forbid(self.order.taken_back)):
                self.log(less)
        except OSError as e:
            self.stop("no_space", f"{place} cannot be written: {e.strerror}.")

    def go_on(self) -> None:
        if self.applier.stopping():
            self.stop("shutdown", "The endpoint is going down, or the transaction was asked to stop.")

    def stop(self, code: str, reason: str) -> NoReturn:
        raise Stop(code, reason)


def applied(
    run: Run[Applier], carry_out: Callable[[TransactionResult], TransactionResult], log: Path
) -> TransactionResult:
    """Carry out the order of `run`. Always a result; `REFUSED` means that nothing was changed."""
    clock = run.applier.clock
    blank = blank_of(run.order, Outcome.REFUSED, "refused", clock.now_ms())
    try:
        result = carry_out(blank)
    except Stop as stop:
        run.log(f"Refused, nothing was changed: {stop.reason}")
        result = replace(blank, code=stop.code, detail=stop.reason)
    return replace(result, health=run.applier.health(), ended_ms=clock.now_ms(), log_tail=tail_of(log))


def blank_of(order: Order, outcome: Outcome, code: str, now_ms: int) -> TransactionResult:
    """The result that an order has until something more is known."""
    return TransactionResult(
        order.transaction_id, order.offer_id, order.rollout_id, order.generation, outcome, code, "", started_ms=now_ms
    )


@dataclass(frozen=True, slots=True)
class Watched:
    """Services as they were before the change; `services` None = another root, which has no processes of its own."""

    services: Services | None
    failed: tuple[str, ...]
    stale: frozenset[int]

    def restarted(self, bounds: Bounds) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Restart what runs old code since: (running again, failed now and not before)."""
        if self.services is None:
            return (), ()
        stale = self.services.stale()
        fresh = sorted({s.unit for s in stale if s.unit and s.pid not in self.stale})
        good, bad = self.services.restart(fresh) if bounds.restart_services else ((), ())
        failed = [u for u in self.services.failed() if u not in self.failed]
        return good, tuple(dict.fromkeys([*bad, *failed]))


def watched(services: Services | None) -> Watched:
    if services is None:
        return Watched(None, (), frozenset())
    return Watched(services, services.failed(), frozenset(s.pid for s in services.stale()))


# --- after a lost run ---


def recovered(applier: Recoverable, order: Order, examine: Callable[[], Found]) -> TransactionResult:
    """Examine, which repairs where the order allows it, and report. Always `INTERRUPTED`: that the run was lost may
    itself be the update's doing."""
    blank = blank_of(order, Outcome.INTERRUPTED, "interrupted_broken", applier.clock.now_ms())
    try:
        code, detail, changes = examine()
    except Stop as stop:
        code, detail, changes = blank.code, f"The run was lost. {stop.reason}", ()
    return replace(
        blank, code=code, detail=detail, changes=changes, health=applier.health(), ended_ms=applier.clock.now_ms(),
        log_tail=tail_of(applier.staging(order).log), way_back=applier.way_back(order.transaction_id),
    )  # fmt: skip


UNTOUCHED: Final[Found] = ("interrupted_unchanged", "The run was lost before anything was changed.", ())


def told(
    did: str, problems: tuple[str, ...], wrong: tuple[str, ...], changes: tuple[PackageChange, ...],
    sound: str = " and sound",
) -> Found:  # fmt: skip
    """What a lost run came to. `did`: a sentence with a space before it, "" = no repair was tried."""
    lost = f"The run was lost.{did}"
    if problems:
        return "interrupted_broken", f"{lost} Still broken: {named(problems)}.", changes
    if not wrong:
        code = "interrupted_repaired" if did else "interrupted_complete"
        return code, f"{lost} Every package is as ordered{sound}.", changes
    if not changes:
        return "interrupted_unchanged", f"{lost} Every package is as it was before.", ()
    return "interrupted_partial", f"{lost} {named(wrong)}.", changes


def still_running(clock: Clock, pause: Pause, order: Order, log: Log, held: Callable[[], object | None]) -> str:
    """Wait for what the lost run may have left running; "" = nobody holds a lock, else who does."""
    deadline = clock.monotonic_s() + max(order.bounds.lock_wait_s, order.bounds.run_s_max)
    said = False
    while (who := held()) is not None:
        if clock.monotonic_s() >= deadline:
            return str(who)
        if not said:
            log(f"Waiting for {who}, which may still be at work for this transaction.")
            said = True
        pause(POLL_S)
    return ""


def full(place: Path) -> bool:
    """Whether the disk has no room any more: then not even a manager's own words may have been written."""
    s = os.statvfs(place)
    return s.f_bavail * s.f_frsize < FULL_BYTES


def tail_of(log: Path) -> str:
    """The end of a log, at most LOG_TAIL_BYTES; "" = there is none."""
    try:
        with open(log, "rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            return f.read().decode("utf-8", "replace")[-LOG_TAIL_BYTES:]
    except OSError:
        return ""
