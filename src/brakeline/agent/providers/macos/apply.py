"""One transaction of softwareupdate: exactly the ordered labels, each downloaded before the first is installed.

Never `--restart`, never `--all`, never `--force`. What came of it is what its history says afterwards; the words and
the exit code of the tool, which is 0 for a label that it does not know, decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.beside import after_loss, before_of, remember, unfit, why_not
from brakeline.agent.providers.frame import UNTOUCHED
from brakeline.agent.providers.macos.naming import here, named
from brakeline.agent.providers.macos.softwareupdate import TROUBLE, Update
from brakeline.agent.providers.macos.tool import TOOL, Tool
from brakeline.agent.providers.model import Order, Refused
from brakeline.core.clock import Clock
from brakeline.protocol.messages import ActionKind, Outcome, TransactionResult, WayBack

NO_WAY_BACK: Final = "Apple has no way back from an update."
OFFLINE: Final = (*TROUBLE, "appears to be offline", "network connection was lost")
SAID_CHARS: Final = 200
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SoftwareUpdateApplier:
    """Applies orders on one Mac, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    stopping: Callable[[], bool]

    def apply(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until something was installed."""
        before = self._installed()
        deadline = self.clock.monotonic_s() + order.bounds.run_s_max
        found = self._unfit(order, before) or self._labels(order)
        refused = found if isinstance(found, Refused) else self._download(found, deadline, log)
        if refused is not None or isinstance(found, Refused):
            told = refused or Refused("refused", "Nothing was found.")
            log(f"Refused, nothing was changed: {told.reason}")
            return replace(blank, code=told.code, detail=told.reason)
        if self.stopping():
            return replace(blank, code="shutdown", detail="The transaction was asked to stop before it began.")
        remember(self.runner.path(f"{self.work_dir}/{order.transaction_id}"), before)
        ran = self._install(found, deadline, log)
        kept = WayBack(False, code="gone", reason=NO_WAY_BACK)
        return replace(self._judged(blank, order, ran, before), way_back=kept)

    def _installed(self) -> tuple[Installed, ...]:
        tool = Tool(self.runner)
        return here(tool.system_version(), tool.history())

    def _unfit(self, order: Order, before: tuple[Installed, ...]) -> Refused | None:
        if told := unfit(order, before, ""):
            return told
        now = by_key(before)
        for a in order.transaction.actions:
            here_ = now.get(f"{a.name}:{a.architecture}")
            if a.kind is not ActionKind.UPGRADE or order.inverse is not None:
                return Refused("no_way_back", NO_WAY_BACK)
            if here_ is None or here_.version not in (a.before, a.after):
                return Refused("changed", f"The situation has changed since the plan: {a.name} is not {a.before}.")
        return rules.refuse_broken(order.transaction, order.rules)

    def _labels(self, order: Order) -> tuple[Update, ...] | Refused:
        """The Mac's own list now, to the letter."""
        listed = Tool(self.runner).listed()
        if listed is None:
            return Refused("network", "softwareupdate has no list here.")
        found = []
        for a in order.transaction.actions:
            one = next((u for u in listed if named(u) == a.name and u.version == a.after), None)
            if one is None:
                return Refused("changed", f"Apple's list on this Mac does not have {a.name} {a.after} any more.")
            if one.deferred:
                return Refused("held", f"{a.name} is held back by the organisation's device management.")
            if one.restarts:
                return Refused("refused", f"{a.name} {a.after} restarts the Mac while it is installed.")
            found.append(one)
        return tuple(found)

    def _download(self, found: tuple[Update, ...], deadline: float, log: Log) -> Refused | None:
        for update in found:
            log(f"Downloading {update.label}.")
            ran = self._tool(deadline, "--download", update.label)
            if ran.timed_out:
                return Refused("network", f"{update.label} could not be fetched in time.")
            if any(mark in ran.text for mark in OFFLINE):
                return Refused("network", f"{update.label} could not be fetched: Apple's server cannot be reached.")
            if "disk space" in ran.text or "No space left" in ran.text:
                return Refused("no_space", f"There is too little space for {update.label}.")
        return None

    def _install(self, found: tuple[Update, ...], deadline: float, log: Log) -> Ran:
        ran = Ran(0, "")
        for update in found:
            log(f"Installing {update.label}.")
            ran = self._tool(deadline, "--install", "--no-scan", update.label)
            if ran.timed_out:
                break
        return ran

    def _tool(self, deadline: float, *words: str) -> Ran:
        return self.runner.job(TOOL, *words, timeout_s=max(1.0, deadline - self.clock.monotonic_s()))

    def _judged(
        self, blank: TransactionResult, order: Order, ran: Ran, before: tuple[Installed, ...]
    ) -> TransactionResult:
        now = self._installed()
        changes, wrong = changes_between(before, now), rules.unproven(order.transaction, by_key(now))
        if not wrong:
            detail = f"All {len(order.transaction.actions)} updates are in softwareupdate's history as ordered."
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        lines = [line.strip() for line in ran.text.splitlines() if line.strip()]
        said = f": {lines[-1][:SAID_CHARS].rstrip('.')}" if lines else ""
        told = Refused("softwareupdate_failed", f"softwareupdate failed{said}.")
        told = why_not(told, ran, order.bounds.run_s_max, "softwareupdate")
        state = "Everything is as before." if not changes else f"Now: {rules.named(wrong)}."
        return replace(blank, outcome=Outcome.FAILED, code=told.code, detail=f"{told.reason} {state}", changes=changes)

    def recover(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """What a lost run left; Apple's installer is not started again by itself."""
        log("Examined after a lost run.")
        before = before_of(self.runner.path(f"{self.work_dir}/{order.transaction_id}/before.json"))
        if before is None:
            return replace(blank, detail=UNTOUCHED[1])
        now = self._installed()
        wrong = rules.unproven(order.transaction, by_key(now))
        return after_loss(blank, before, now, wrong, healed=False, still="Not as ordered")
