"""One transaction of programs: exactly what was ordered, or nothing; what came of it is what the registry shows.

Order of things: compare the order with what is here, have every file by its digest, wait for whoever installs, store
the way back, write down what is there, then one installer after the other, each in a job of its own with a log. Up to
the first installer every trouble is `REFUSED`. An exit code gives a reason, never the outcome; a restart that an
installer asks for is told and never begun. After a failure nothing more is started.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.beside import after_loss, before_of, remember, unfit
from brakeline.agent.providers.frame import POLL_S, UNTOUCHED, Log, still_running
from brakeline.agent.providers.model import Archive, Order, Refused
from brakeline.agent.providers.windows import lines, planning, starting
from brakeline.agent.providers.windows.box import Box, Ended
from brakeline.agent.providers.windows.here import Here
from brakeline.agent.providers.windows.keep import WaysBack
from brakeline.agent.providers.windows.listed import Catalogue, Listed
from brakeline.agent.providers.windows.store import Store
from brakeline.core.clock import Clock
from brakeline.protocol.messages import Outcome, TransactionResult

BUSY: Final = 1618  # another installation is going on: it began between our look and our start


@dataclass(frozen=True, slots=True)
class ProgramsApplier:
    """Applies orders, as an administrator. `place`: of all transactions, as it is for us."""

    clock: Clock
    box: Box
    look: Callable[[], tuple[Here, ...]]
    catalogue: Catalogue
    store: Store
    ways: WaysBack
    place: Path
    pause: Callable[[float], None]
    stopping: Callable[[], bool]

    def have(self) -> tuple[Installed, ...]:
        return tuple(h.package for h in self.look())

    def apply(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until an installer has been started."""
        deadline = self.clock.monotonic_s() + order.bounds.run_s_max
        before = self.look()
        found = self._ready(order, before, lambda: deadline - self.clock.monotonic_s())
        refused = found if isinstance(found, Refused) else self._wait(order, log)
        if refused is not None or isinstance(found, Refused):
            assert refused is not None
            log(f"Refused, nothing was changed: {refused.reason}")
            return replace(blank, code=refused.code, detail=refused.reason)
        kept = self.ways.keep(order, *self._back(order), self.clock.now_ms())
        log(kept.told)
        was = tuple(h.package for h in before)
        remember(self._folder(order), was)
        trouble, restart = self._carry_out(order, found, before, deadline, log)
        self.store.prune(self.ways.digests())
        return replace(self._judged(blank, order, was, trouble, restart), way_back=kept)

    # --- before the first installer ---

    def _ready(
        self, order: Order, before: tuple[Here, ...], left_s: Callable[[], float]
    ) -> dict[str, Listed] | Refused:
        """The package of each action that needs one, its file in our own directory."""
        back = order.inverse is not None
        if refused := unfit(order, tuple(h.package for h in before), ""):
            return refused
        if order.inverse is not None and not set(order.transaction.actions) <= set(order.inverse.transaction.actions):
            return Refused("refused", "The order is not a part of the way back that this endpoint stored.")
        refused = planning.moved(order.transaction, before, back=back)
        refused = refused or rules.refuse_quarantined(order.transaction, order.bounds.without)
        if refused := refused or rules.refuse_broken(order.transaction, order.rules):
            return refused
        found: dict[str, Listed] = {}
        for a in order.transaction.actions:
            if not a.after:
                continue
            p = self.catalogue.find(a.name, a.after) or self.store.kept(a.name, a.after)
            if p is None:
                return Refused("changed", f"{a.name} {a.after} is not in programs.json of this endpoint any more.")
            if refused := self.store.have(p, left_s):
                return refused
            found[a.name] = p
        return found

    def _back(self, order: Order) -> tuple[tuple[Archive, ...], str]:
        """The files that the way back needs, all of them here now; and why there is none ("" = there is one)."""
        archives = []
        for a in order.transaction.actions:
            coming = self.catalogue.find(a.name, a.after)
            if why := planning.no_way_back(a, coming, lambda *_: True) if coming is not None else "":
                return (), why
            if not a.before:
                continue
            former = self.catalogue.find(a.name, a.before) or self.store.kept(a.name, a.before)
            if former is None:
                return (), f"the package of {a.name} {a.before} is neither in programs.json nor kept here"
            if refused := self.store.have(former, lambda: 60.0):
                return (), f"the package of {a.name} {a.before} could not be kept: {refused.reason.rstrip('.')}"
            path = str(self.store.path(former))
            archives.append(Archive(a.name, a.architecture, a.before, path, former.sha256))
        return tuple(archives), ""

    def _wait(self, order: Order, log: Log) -> Refused | None:
        """Until nobody else installs; past the bound it is told who does."""
        began, said = self.clock.monotonic_s(), False
        while who := self.box.busy():
            waited = self.clock.monotonic_s() - began
            if waited >= order.bounds.lock_wait_s:
                return Refused("lock_timeout", f"{who} has been installing for the {waited:.0f} s we waited.")
            if self.stopping():
                break
            if not said:
                log(f"Waiting for {who}, which is installing.")
                said = True
            self.pause(POLL_S)
        if self.stopping():
            return Refused("shutdown", "The transaction was asked to stop before it began.")
        return None

    def _folder(self, order: Order) -> Path:
        return self.place / order.transaction_id / "programs"

    # --- installers ---

    def _carry_out(
        self, order: Order, found: dict[str, Listed], before: tuple[Here, ...], deadline: float, log: Log
    ) -> tuple[Refused | None, bool]:  # fmt: skip
        """Run everything: trouble or None, and whether a restart is due."""
        restart = False
        for a in order.transaction.actions:
            for what, name in starting.steps(a, found.get(a.name), before):
                trouble, due = self._start(order, what, name, deadline, log)
                restart |= due
                if trouble is not None:
                    return trouble, restart
        return None, restart

    def _start(
        self, order: Order, what: Listed | str, name: str, deadline: float, log: Log
    ) -> tuple[Refused | None, bool]:
        path = self._folder(order) / f"{name}.log"
        line = self.line(what, path)
        log(f"{name}: {line}" + (f" (sha256 {what.sha256})" if isinstance(what, Listed) else ""))
        ended = self._run(order, line, deadline, log)
        if isinstance(ended, Refused):
            return ended, False
        trouble, restart = starting.judged(what, ended)
        if trouble is not None and trouble.code == "failed" and (why := starting.cause(path)):
            trouble = replace(trouble, reason=f"{trouble.reason} Its log says: {why}.")
        log(f"{name}: ended with {ended.code}" + (f": {trouble.reason}" if trouble else ""))
        return trouble, restart

    def line(self, what: Listed | str, log: Path) -> str:
        """The exact command line."""
        if isinstance(what, str):
            return lines.uninstall(what, self.box.native(log))
        return lines.install(what, self.box.native(self.store.path(what)), self.box.native(log))

    def _run(self, order: Order, line: str, deadline: float, log: Log) -> Ended | Refused:
        """Start it; again, while somebody else's installation has come between and there is time to wait."""
        while True:
            left = deadline - self.clock.monotonic_s()
            try:
                ended = self.box.run(line, max(1.0, left))
            except OSError as e:
                return Refused("failed", f"It could not be started: {e.strerror or e}.")
            if ended.timed_out:
                more = self.box.busy()
                still = f" {more} is still at work." if more else ""
                return Refused("timeout", f"Not finished after {order.bounds.run_s_max} s, and ended.{still}")
            if ended.code != BUSY:
                return ended
            if refused := self._wait(order, log):
                return refused
            self.pause(POLL_S)
            if self.clock.monotonic_s() >= deadline:
                return Refused("lock_timeout", "Another installation was going on for all of the time that it had.")

    def _judged(
        self, blank: TransactionResult, order: Order, was: tuple[Installed, ...], trouble: Refused | None, restart: bool
    ) -> TransactionResult:
        now = self.have()
        changes, wrong = changes_between(was, now), rules.unproven(order.transaction, by_key(now))
        due = " A restart is due." if restart else ""
        if not wrong:
            doubt = f" Its number said otherwise: {trouble.reason}" if trouble else ""
            done = f"All {len(order.transaction.actions)} changes are as ordered, as the registry has them."
            detail = f"{done}{due}{doubt}"
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        told = trouble or Refused("verify_failed", "Every installer reported success.")
        detail = f"{told.reason} Now: {rules.named(wrong)}.{due}"
        return replace(blank, outcome=Outcome.FAILED, code=told.code, detail=detail, changes=changes)

    # --- after a lost run ---

    def recover(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """What a lost run left. Windows Installer undoes a half-done package by itself; an EXE is not run again."""
        log("Examined after a lost run.")
        was = before_of(self._folder(order) / "before.json")
        if was is None:
            return replace(blank, detail=UNTOUCHED[1])
        if who := still_running(self.clock, self.pause, order, log, lambda: self.box.busy() or None):
            return replace(blank, code="interrupted_broken", detail=f"The run was lost. {who} is still installing.")
        wrong, healed = rules.unproven(order.transaction, by_key(self.have())), False
        if wrong and order.bounds.repair and not self.stopping():
            healed = self._again(order, log)
            wrong = rules.unproven(order.transaction, by_key(self.have()))
        return after_loss(blank, was, self.have(), wrong, healed=healed and not wrong, still="Now")

    def _again(self, order: Order, log: Log) -> bool:
        """Run again what is not done yet, if all of it is Windows Installer's."""
        deadline = self.clock.monotonic_s() + order.bounds.run_s_max
        before, found = self.look(), dict[str, Listed]()
        now = by_key(h.package for h in before)
        left = [a for a in order.transaction.actions if rules.unproven(rules.make_transaction([a]), now)]
        for a in left:
            p = (self.catalogue.find(a.name, a.after) or self.store.kept(a.name, a.after)) if a.after else None
            if a.after and (p is None or p.kind != "msi" or not self.store.holds(p)):
                return False
            if p is not None:
                found[a.name] = p
        log("Windows Installer's packages are put in once more.")
        again = replace(order, transaction=rules.make_transaction(left))
        trouble, _ = self._carry_out(again, found, before, deadline, log)
        return trouble is None
