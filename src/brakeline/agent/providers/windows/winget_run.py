"""One transaction of winget: exactly the programs and versions that were planned, or nothing.

Order of things: plan again and compare, wait for whoever installs, fetch the source's index, write down what is there,
then one program after the other. Up to the first every trouble is `REFUSED`; winget's own list says what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.beside import after_loss, before_of, remember, unfit
from brakeline.agent.providers.frame import POLL_S, UNTOUCHED, Log
from brakeline.agent.providers.model import Bounds, Order, Planned, Refreshed, Refused
from brakeline.agent.providers.windows import winget_exits
from brakeline.agent.providers.windows.box import NoAnswer
from brakeline.agent.providers.windows.winget_cli import Winget, text_of
from brakeline.core.clock import Clock
from brakeline.protocol.messages import Outcome, TransactionResult, UpdateRef, WayBack

NO_BACK: Final = "winget puts no older version back; the program's own maker may"


class Asked(Protocol):
    """winget of one endpoint (`winget_provider`). `installed` and `plan` raise `NoAnswer`."""

    @property
    def clock(self) -> Clock: ...
    @property
    def runner(self) -> Runner: ...
    @property
    def work_dir(self) -> str: ...
    @property
    def winget(self) -> Winget: ...
    @property
    def pause(self) -> Callable[[float], None]: ...
    @property
    def stopping(self) -> Callable[[], bool]: ...
    def installed(self) -> tuple[Installed, ...]: ...
    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused: ...
    def refresh(self) -> Refreshed | Refused: ...


@dataclass(frozen=True, slots=True)
class WingetApplier:
    """Applies orders: one program after the other, and nothing more after a failure."""

    provider: Asked

    def place(self, order: Order) -> Path:
        return self.provider.runner.path(f"{self.provider.work_dir}/{order.transaction_id}/winget")

    def apply(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until an installer has been started."""
        try:
            was = self.provider.installed()
            refused = unfit(order, was, "") or self._moved(order) or self._busy(order, log)
        except NoAnswer as e:
            refused = Refused("network", f"{e}")
        if refused is None and (source := self.provider.refresh()) and isinstance(source, Refused):
            refused = Refused("network" if source.code == "no_network" else source.code, source.reason)
        if refused is None and self.provider.stopping():
            refused = Refused("shutdown", "The transaction was asked to stop before it began.")
        if refused is not None:
            log(f"Refused, nothing was changed: {refused.reason}")
            return replace(blank, code=refused.code, detail=refused.reason)
        remember(self.place(order), was)
        trouble, restart = self._carry_out(order, log)
        kept = WayBack(False, code="gone", reason=f"{NO_BACK}.")
        return replace(self._judged(blank, order, was, trouble, restart), way_back=kept)

    def _moved(self, order: Order) -> Refused | None:
        if order.inverse is not None or any(not a.after or not a.before for a in order.transaction.actions):
            return Refused("refused", "winget only brings newer versions of what is there.")
        asked = tuple(UpdateRef(a.name, a.after) for a in order.transaction.actions)
        found = self.provider.plan(asked, order.bounds)
        if isinstance(found, Refused):
            code = found.code if found.code in ("held", "quarantined", "known_broken", "no_answer") else "changed"
            return Refused(code, f"The situation has changed since the plan: {found.reason}")
        differs = rules.difference(order.transaction, found.transaction)
        return Refused("changed", f"The situation has changed since the plan: {differs}.") if differs else None

    def _busy(self, order: Order, log: Log) -> Refused | None:
        """Until nobody else installs."""
        began, said = self.provider.clock.monotonic_s(), False
        while who := self.provider.winget.box.busy():
            waited = self.provider.clock.monotonic_s() - began
            if waited >= order.bounds.lock_wait_s:
                return Refused("lock_timeout", f"{who} has been installing for the {waited:.0f} s we waited.")
            if not said:
                log(f"Waiting for {who}, which is installing.")
                said = True
            self.provider.pause(POLL_S)
        return None

    def _carry_out(self, order: Order, log: Log) -> tuple[Refused | None, bool]:
        deadline, restart = self.provider.clock.monotonic_s() + order.bounds.run_s_max, False
        for a in order.transaction.actions:
            line = self.provider.winget.line("upgrade", a.name, a.after, self.place(order) / f"{a.name}.log")
            log(f"{a.name}: {line}")
            try:
                ended = self.provider.winget.box.run(line, max(1.0, deadline - self.provider.clock.monotonic_s()))
            except OSError as e:
                return Refused("failed", f"winget could not be started: {e.strerror or e}."), restart
            if ended.timed_out:
                return Refused("timeout", f"Not finished after {order.bounds.run_s_max} s, and ended."), restart
            trouble, due = winget_exits.judged(ended.code, text_of(ended.output))
            restart |= due
            log(f"{a.name}: ended with 0x{ended.code:08X}" + (f": {trouble.reason}" if trouble else ""))
            if trouble is not None:
                return trouble, restart
        return None, restart

    def _judged(
        self, blank: TransactionResult, order: Order, was: tuple[Installed, ...], trouble: Refused | None, restart: bool
    ) -> TransactionResult:
        try:
            now = self.provider.installed()
        except NoAnswer as e:
            detail = f"What came of it is not known: {e}"
            return replace(blank, outcome=Outcome.FAILED, code="verify_failed", detail=detail)
        changes, wrong = changes_between(was, now), rules.unproven(order.transaction, by_key(now))
        due = " A restart is due." if restart else ""
        if not wrong:
            detail = f"All {len(order.transaction.actions)} changes are as ordered, as winget lists them.{due}"
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        told = trouble or Refused("verify_failed", "winget reported success.")
        detail = f"{told.reason} Now: {rules.named(wrong)}.{due}"
        return replace(blank, outcome=Outcome.FAILED, code=told.code, detail=detail, changes=changes)

    def recover(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """What a lost run left. Nothing is begun again: which of a maker's installers may be, nobody says."""
        log("Examined after a lost run.")
        was = before_of(self.place(order) / "before.json")
        if was is None:
            return replace(blank, detail=UNTOUCHED[1])
        try:
            now = self.provider.installed()
        except NoAnswer as e:
            return replace(blank, code="interrupted_broken", detail=f"The run was lost, and what came of it is not "
                                                                     f"known: {e}")  # fmt: skip
        wrong = rules.unproven(order.transaction, by_key(now))
        return after_loss(blank, was, now, wrong, healed=False, still="Now")
