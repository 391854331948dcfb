"""One transaction of fwupd: exactly the ordered releases, each from its proven cabinet, or nothing.

Order of things: look at every device's own conditions, fetch and prove every cabinet, keep the former one, write down
what is there, write. Up to that every trouble is `REFUSED`. Writing is the daemon's, in a unit of its own: our time-out
ends the client alone, and what is being written is waited for and never cut off. A device is written once: what failed
is told, and written again by an order only. What waits for a restart is *written*, and says so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.apt.runner import AnswerLost, Ran, Runner
from brakeline.agent.providers.beside import after_loss, before_of, remember, unfit, why_not
from brakeline.agent.providers.frame import UNTOUCHED
from brakeline.agent.providers.fwupd.daemon import FWUPDMGR, QUIET, Daemon, Unanswered, package
from brakeline.agent.providers.fwupd.devices import FAILED, FAILED_FOR_NOW, Device, Release
from brakeline.agent.providers.fwupd.fetch import Fetcher, fits
from brakeline.agent.providers.fwupd.keep import keep, kept_cabinet
from brakeline.agent.providers.fwupd.lists import Lists
from brakeline.agent.providers.fwupd.words import blocked_told, nothing_begun, why
from brakeline.agent.providers.model import Order, Refused
from brakeline.agent.providers.pip.keep import Keeper
from brakeline.core.clock import Clock
from brakeline.protocol.messages import Action, ActionKind, Outcome, TransactionResult

POLL_S: Final = 1.0
WRITING: Final = "update-in-progress"
NO_ANSWER_SINCE: Final = "fwupd gives no answer since something was written: what the devices have is not known."
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FwupdApplier:
    """Applies orders to the devices of one endpoint, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    keeper: Keeper
    stopping: Callable[[], bool]
    sleep: Callable[[float], None]

    @property
    def daemon(self) -> Daemon:
        return Daemon(self.runner)

    def apply(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until something was written."""
        try:
            return self._apply(order, blank, log)
        except (Unanswered, AnswerLost) as e:
            log(str(e))
            return replace(blank, code="fwupd_failed", detail=f"fwupd could not be asked: {e}")

    def _apply(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        there = self._devices_in_time(order.bounds.lock_wait_s)
        if isinstance(there, Refused):
            return replace(blank, code=there.code, detail=there.reason)
        before = self._packages(there)
        deadline = self.clock.monotonic_s() + order.bounds.run_s_max
        pairs = _paired(order, there)
        refused = self._unfit(order, before) or self._conditions(order, pairs)
        cabinets = refused or self._cabinets(order, pairs, deadline, log)
        if isinstance(cabinets, Refused):
            log(f"Refused, nothing was written: {cabinets.reason}")
            return replace(blank, code=cabinets.code, detail=cabinets.reason)
        kept = keep(self.keeper, self._fetcher(), order, [(a, self.daemon.full(d)) for a, d in pairs],
                    self.clock.now_ms(), deadline - self.clock.monotonic_s())  # fmt: skip
        if not kept.stored:
            log(kept.reason)
        if self.stopping():
            return replace(blank, code="shutdown", detail="The transaction was asked to stop before it began.")
        remember(self.runner.path(self._place(order)), before)
        ran = self._write(order, pairs, cabinets, deadline, log)
        return replace(self._judged(blank, order, ran, before), way_back=kept)

    def _devices_in_time(self, wait_s: float) -> tuple[Device, ...] | Refused:
        """While the daemon writes for somebody else it answers nobody: that is waited for, bounded."""
        until = self.clock.monotonic_s() + wait_s
        while True:
            try:
                there = self.daemon.devices()
                busy = [d.name for d in there if WRITING in d.problems]
            except AnswerLost:
                busy = ["fwupd"]
            if not busy:
                return there
            if self.clock.monotonic_s() >= until:
                who = rules.named(busy)
                return Refused("lock_timeout", f"fwupd has been at work ({who}) for the {wait_s:.0f} s we waited.")
            self.sleep(POLL_S)

    def _place(self, order: Order) -> str:
        return f"{self.work_dir}/{order.transaction_id}"

    def _fetcher(self) -> Fetcher:
        return Fetcher(self.runner, self.daemon.remotes())

    def _unfit(self, order: Order, before: tuple[Installed, ...]) -> Refused | None:
        if told := unfit(order, before, ""):
            return told
        now = by_key(before)
        for a in order.transaction.actions:
            here = now.get(f"{a.name}:{a.architecture}")
            if a.kind not in (ActionKind.UPGRADE, ActionKind.DOWNGRADE):
                return Refused("refused", "Firmware is neither installed anew nor taken away.")
            if here is None or here.version not in (a.before, a.after):
                return Refused("changed", f"The situation has changed since the plan: {a.name} is not {a.before}.")
            if here.held and order.inverse is None:
                return Refused("held", f"{a.name} is held on this endpoint by its owner.")
        return rules.refuse_broken(order.transaction, order.rules)

    def _conditions(self, order: Order, pairs: list[tuple[Action, Device]]) -> Refused | None:
        """Mains power, battery, reach and the rest: as the device has them at this moment."""
        for a, device in pairs:
            if told := device.refuses:
                return Refused("unhealthy", f"{a.name} takes no update now: {told}.")
            if device.staged and device.staged != a.after and order.inverse is None:
                return Refused("changed", f"{a.name} waits for a {device.waits_for} already, to be {device.staged}.")
        return None

    def _cabinets(
        self, order: Order, pairs: list[tuple[Action, Device]], deadline: float, log: Log
    ) -> dict[str, str] | Refused:
        """The proven cabinet of each device that is not as ordered yet."""
        found = {}
        for a, device in pairs:
            if device.settled == a.after:
                continue
            if order.inverse is not None:
                path = kept_cabinet(order.inverse, a)
                if not path or not fits(self.runner.path(path[0]), path[1]):
                    return Refused("no_way_back", f"The kept cabinet of {a.name} {a.after} is damaged or gone.")
                found[device.id] = path[0]
                continue
            release = self._release(device, a)
            if isinstance(release, Refused):
                return release
            if short := self._short(release, order.bounds.disk_reserve_bytes):
                return short
            log(f"Fetching {a.name} {a.after}.")
            place, left = f"{self._place(order)}/{device.id}", max(1.0, deadline - self.clock.monotonic_s())
            fetched = self._fetcher().fetch(release, place, left)
            if isinstance(fetched, Refused):
                return fetched
            found[device.id] = fetched
        return found

    def _release(self, device: Device, a: Action) -> Release | Refused:
        release = self.daemon.full(device).release(a.after)
        if release is None:
            return Refused("changed", f"The lists of this endpoint do not have {a.name} {a.after} any more.")
        if blocked := blocked_told(release.flags):
            return Refused("held", f"{a.name} {a.after} {blocked}.")
        unlike = Lists(self.runner).unlike(a.architecture, release)
        return Refused("changed", f"{a.name} {unlike}.") if unlike else release

    def _short(self, release: Release, reserve_bytes: int) -> Refused | None:
        place = self.runner.path(self.work_dir)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        s, need = os.statvfs(place), 2 * release.size + reserve_bytes
        if s.f_bavail * s.f_frsize >= need:
            return None
        return Refused("no_space", f"Too little disk space: {need >> 20} MiB are needed on {self.work_dir}.")

    def _write(
        self, order: Order, pairs: list[tuple[Action, Device]], cabinets: dict[str, str], deadline: float, log: Log
    ) -> Ran:
        """Device by device; ends at the first that is not as ordered afterwards."""
        ran = Ran(0, "")
        for a, device in pairs:
            if device.id not in cabinets:
                continue
            log(f"Writing {a.name} {a.after}.")
            older: tuple[str, ...] = ("--allow-older",) if a.kind is ActionKind.DOWNGRADE else ()
            older += ("--allow-reinstall",) if device.staged else ()  # what waits is written over by what still runs
            left = max(1.0, deadline - self.clock.monotonic_s())
            ran = self.runner.job(
                FWUPDMGR, "local-install", cabinets[device.id], device.id, *older, *QUIET, timeout_s=left
            )
            if ran.timed_out:
                log("fwupd goes on writing, which is never cut off; it is waited for.")
                self._writing(order.bounds.run_s_max)
            there = self._after(order)
            if there is None or rules.unproven(rules.make_transaction([a]), by_key(self._packages(there))):
                break
        for path in cabinets.values():
            if path.startswith(self._place(order)):
                shutil.rmtree(self.runner.path(os.path.dirname(path)), ignore_errors=True)
        return ran

    def _writing(self, at_most_s: float) -> None:
        """Wait until the daemon writes nothing. While it does, it answers late or says so of the device."""
        until = self.clock.monotonic_s() + at_most_s
        while self.clock.monotonic_s() < until:
            try:
                if not any(WRITING in d.problems for d in self.daemon.devices()):
                    return
            except (Unanswered, AnswerLost):
                pass
            self.sleep(POLL_S)

    def _after(self, order: Order) -> tuple[Device, ...] | None:
        """The devices once something was written; None = fwupd gives no answer any more."""
        try:
            there = self._devices_in_time(order.bounds.lock_wait_s)
        except Unanswered:
            return None
        return None if isinstance(there, Refused) else there

    def _packages(self, there: tuple[Device, ...]) -> tuple[Installed, ...]:
        held = self.daemon.holds()
        return tuple(package(d, held) for d in there)

    def _judged(
        self, blank: TransactionResult, order: Order, ran: Ran, before: tuple[Installed, ...]
    ) -> TransactionResult:
        there = self._after(order)
        if there is None:
            return replace(blank, outcome=Outcome.FAILED, code="fwupd_failed", detail=NO_ANSWER_SINCE)
        now = self._packages(there)
        changes, wrong = changes_between(before, now), rules.unproven(order.transaction, by_key(now))
        if not wrong:
            detail = f"All {len(order.transaction.actions)} releases are written as ordered.{_waiting(order, there)}"
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        told = why_not(why(ran.text), ran, order.bounds.run_s_max, "fwupd")
        failed = any(d.update_state in (FAILED, FAILED_FOR_NOW) for _, d in _paired(order, there))
        if not changes and not failed and nothing_begun(ran.text):
            return replace(blank, code=told.code, detail=f"{told.reason} Nothing was written.")
        if failed and told.code not in ("timeout", "verify_failed"):
            told = Refused("write_failed", f"It could not be written. {told.reason}")
        state = "Every device tells its former version." if not changes else f"Now: {rules.named(wrong)}."
        return replace(blank, outcome=Outcome.FAILED, code=told.code, detail=f"{told.reason} {state}", changes=changes)

    def recover(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """What a lost run left. Nothing is written again: a device in the middle is its vendor's to say."""
        log("Examined after a lost run.")
        before = before_of(self.runner.path(f"{self._place(order)}/before.json"))
        if before is None:
            return replace(blank, detail=UNTOUCHED[1])
        self._writing(order.bounds.run_s_max)
        try:
            there = self.daemon.devices()
            now = self._packages(there)
        except (Unanswered, AnswerLost) as e:
            return replace(blank, code="interrupted_broken", detail=f"The run was lost, and fwupd gives no answer: {e}")
        wrong = rules.unproven(order.transaction, by_key(now))
        told = after_loss(blank, before, now, wrong, healed=False, still="Not as ordered")
        return replace(told, detail=f"{told.detail}{_waiting(order, there)}")


def _paired(order: Order, there: tuple[Device, ...]) -> list[tuple[Action, Device]]:
    """Each action with its device, as far as it is here."""
    by = {(d.name, d.label): d for d in there}
    return [(a, by[a.name, a.architecture]) for a in order.transaction.actions if (a.name, a.architecture) in by]


def _waiting(order: Order, there: tuple[Device, ...]) -> str:
    """What is written and does not run yet, with a space before it; "" = everything runs."""
    staged = [d for _, d in _paired(order, there) if d.staged]
    waits = [f"{d.name} {d.staged} takes effect with the next {d.waits_for}" for d in staged]
    return f" {'; '.join(waits)}." if waits else ""
