"""One transaction of Windows Update: exactly the updates that were planned, in their revisions, or nothing.

Order of things: wait for whoever installs, compare the order with a new look, store the way back, write down what is
there, then one run that downloads everything before it installs anything. Up to its installation every trouble is
`REFUSED`; then a new search says what came of it, and results only say why. If it cannot be searched, it has failed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, changes_between
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.beside import after_loss, before_of, remember
from brakeline.agent.providers.frame import UNTOUCHED, Log
from brakeline.agent.providers.model import Order, Refused
from brakeline.agent.providers.windows import wua_plan
from brakeline.agent.providers.windows.exits import hresult
from brakeline.agent.providers.windows.keep import WaysBack
from brakeline.agent.providers.windows.wua import DONE, RESULTS
from brakeline.agent.providers.windows.wua_answers import Done, Result, Search
from brakeline.core.clock import Clock
from brakeline.protocol.messages import Outcome, PackageManagerHealth, TransactionResult, UpdateRef

BUSY_POLL_S: Final = 10.0


class Asked(Protocol):
    """Windows Update of one endpoint (`wua_provider`)."""

    @property
    def clock(self) -> Clock: ...
    @property
    def runner(self) -> Runner: ...
    @property
    def work_dir(self) -> str: ...
    @property
    def pause(self) -> Callable[[float], None]: ...
    @property
    def stopping(self) -> Callable[[], bool]: ...
    def search(self, *, online: bool) -> Search | Refused: ...
    def ask(self, verb: str, request: dict[str, object], timeout_s: float) -> Search | Done | Refused: ...
    def held(self, found: Search) -> tuple[str, ...]: ...
    def ways(self) -> WaysBack: ...
    def health(self) -> PackageManagerHealth: ...


@dataclass(frozen=True, slots=True)
class WuaApplier:
    """Applies orders to Windows Update."""

    provider: Asked

    def apply(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until an installation has been begun."""
        return WuaRun(self.provider, order, blank, log).apply()

    def recover(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        return WuaRun(self.provider, order, blank, log).recover()


@dataclass(frozen=True, slots=True)
class WuaRun:
    """One order under way."""

    provider: Asked
    order: Order
    blank: TransactionResult
    log: Log

    def apply(self) -> TransactionResult:
        p, order, blank = self.provider, self.order, self.blank
        found = self._free()
        refused = found if isinstance(found, Refused) else self._unfit(found)
        if refused is not None or isinstance(found, Refused):
            assert refused is not None
            self.log(f"Refused, nothing was changed: {refused.reason}")
            return replace(blank, code=refused.code, detail=refused.reason)
        why = wua_plan.no_way_back(order.transaction, found.updates)
        kept = p.ways().keep(order, (), why, p.clock.now_ms())
        self.log(kept.told)
        was = wua_plan.installed(found.updates)
        remember(self._place(), was)
        return replace(self._carried_out(blank, was), way_back=kept)

    def _place(self) -> Path:
        return self.provider.runner.path(f"{self.provider.work_dir}/{self.order.transaction_id}/wua")

    def _free(self) -> Search | Refused:
        """What is here, once nobody else installs by Windows Update."""
        clock, began, said = self.provider.clock, self.provider.clock.monotonic_s(), False
        while True:
            found = self.provider.search(online=False)
            if isinstance(found, Refused) or not found.busy:
                return found
            waited = clock.monotonic_s() - began
            if waited >= self.order.bounds.lock_wait_s:
                return Refused("lock_timeout", f"Windows Update has been installing for the {waited:.0f} s we waited.")
            if self.provider.stopping():
                return Refused("shutdown", "The transaction was asked to stop before it began.")
            if not said:
                self.log("Waiting for Windows Update, which is installing.")
                said = True
            self.provider.pause(BUSY_POLL_S)

    def _unfit(self, found: Search) -> Refused | None:
        order, back = self.order, self.order.inverse is not None
        t = order.transaction
        if rules.make_transaction(t.actions).digest != t.digest:
            return Refused("refused", "The order's digest does not fit its actions.")
        if not wua_plan.unproven(t, wua_plan.installed(found.updates)):
            return Refused("nothing_to_do", "Everything that was ordered is as ordered already.")
        if back:
            assert order.inverse is not None
            mine = set(t.actions) <= set(order.inverse.transaction.actions)
            return None if mine else Refused("refused", "The order is no part of the way back that was stored here.")
        if any(not a.after or a.before for a in t.actions):
            return Refused("refused", "Only a way back takes an update of Windows away.")
        asked = tuple(UpdateRef(a.name, a.after) for a in t.actions)
        again = wua_plan.plan(asked, found.updates, self.provider.held(found), order.bounds, order.rules)
        if isinstance(again, Refused):
            code = again.code if again.code in ("held", "quarantined", "known_broken") else "changed"
            return Refused(code, f"The situation has changed since the plan: {again.reason}")
        if {a.after for a in again.transaction.actions} != {a.after for a in t.actions}:
            differs = rules.difference(t, again.transaction)
            return Refused("changed", f"The situation has changed since the plan: {differs}.")
        return Refused("shutdown", "The transaction was asked to stop.") if self.provider.stopping() else None

    def _carried_out(self, blank: TransactionResult, was: tuple[Installed, ...]) -> TransactionResult:
        verb = "uninstall" if self.order.inverse is not None else "install"
        versions = [a.after or a.before for a in self.order.transaction.actions]
        self.log(f"Windows Update is told to {verb} {', '.join(versions)}.")
        request = {"online": verb == "install", "updates": wua_plan.identities(versions)}
        done = self.provider.ask(verb, request, self.order.bounds.run_s_max)
        assert not isinstance(done, Search)
        self._tell(done)
        if isinstance(done, Done) and (refused := not_begun(done)):
            return replace(blank, code=refused.code, detail=refused.reason)
        after = self.provider.search(online=False)
        if isinstance(after, Refused):
            detail = f"What came of it is not known: {after.reason}"
            return replace(blank, outcome=Outcome.FAILED, code="verify_failed", detail=detail)
        now = wua_plan.installed(after.updates)
        wrong, changes = wua_plan.unproven(self.order.transaction, now), changes_between(was, now)
        due = " A restart completes it." if after.restart or (isinstance(done, Done) and done.restart) else ""
        if not wrong:
            detail = f"All {len(versions)} updates are as ordered, as a new search has it.{due}"
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        told = done if isinstance(done, Refused) else done.error or trouble(done.results)
        told = told or Refused("verify_failed", "Windows Update reported success.")
        still = " Windows Update is still installing: a later look may find it in." if after.busy else ""
        detail = f"{told.reason} Now: {rules.named(wrong)}.{due}{still}"
        return replace(blank, outcome=Outcome.FAILED, code=told.code, detail=detail, changes=changes)

    def _tell(self, done: Done | Refused) -> None:
        if isinstance(done, Refused):
            self.log(done.reason)
            return
        if done.error is not None:
            self.log(done.error.reason)
        for what, rows in (("downloaded", done.downloads), ("result", done.results)):
            for version, code, number in rows:
                self.log(f"{version} {what}: {RESULTS.get(code, code)}" + _number(number))

    def recover(self) -> TransactionResult:
        """What a lost run left: Windows Update goes on by itself or undoes; nothing is begun again."""
        self.log("Examined after a lost run.")
        blank = self.blank
        was = before_of(self._place() / "before.json")
        if was is None:
            return replace(blank, detail=UNTOUCHED[1])
        found = self._free()
        if isinstance(found, Refused):
            detail = f"The run was lost, and what came of it is not known: {found.reason}"
            return replace(blank, code="interrupted_broken", detail=detail)
        now = wua_plan.installed(found.updates)
        wrong = wua_plan.unproven(self.order.transaction, now)
        return after_loss(blank, was, now, wrong, healed=False, still="Now")


def not_begun(done: Done) -> Refused | None:
    """Why nothing was installed at all; None = something was begun."""
    if done.missing:
        named = rules.named(done.missing)
        return Refused("changed", f"Windows Update does not offer {named} any more: nothing was begun.")
    if done.error is not None:
        return None if done.begun else done.error
    if done.results:
        return None
    bad = [r for r in done.downloads if r[1] != 2]
    told = trouble(bad) or Refused("network", "Windows Update downloaded nothing.")
    return Refused(told.code, f"Not everything could be downloaded, so nothing was begun: {told.reason}")


def trouble(results: Sequence[Result]) -> Refused | None:
    """The first update that Windows says has failed, and how; None = it says that none has."""
    for version, code, number in results:
        told = hresult(number)
        if code not in DONE or told is not None:
            reason = told.reason if told is not None else f"{RESULTS.get(code, 'in an unknown state')}."
            return Refused(told.code if told is not None else "failed", f"{version}: {reason}")
    return None


def _number(number: int) -> str:
    told = hresult(number)
    return f", {told.reason}" if told is not None else ""
