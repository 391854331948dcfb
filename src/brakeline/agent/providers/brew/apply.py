"""One transaction of Homebrew: exactly the ordered versions, or nothing; what came of it is what `opt` points to.

brew knows only the newest version of anything. So what its sources on this disk have now is compared with the order to
the version, and with everything that comes along, before it is started; it renews no sources by itself while it runs.
Nothing brings the former version back: that is said with the plan and with the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.apt.runner import Ran
from brakeline.agent.providers.beside import after_loss, before_of, remember, unfit, why_not
from brakeline.agent.providers.brew.answers import CASK, FORMULA, closure, why
from brakeline.agent.providers.brew.lists import Lists
from brakeline.agent.providers.brew.prefix import Prefix
from brakeline.agent.providers.frame import UNTOUCHED
from brakeline.agent.providers.model import Order, Refused
from brakeline.core.clock import Clock
from brakeline.protocol.messages import ActionKind, Outcome, TransactionResult, WayBack

POLL_S: Final = 2.0
NO_WAY_BACK: Final = "Homebrew has only the newest version of anything."
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BrewApplier:
    """Applies orders to one prefix, as root, who starts brew as the prefix's owner."""

    clock: Clock
    prefix: Prefix
    work_dir: str
    stopping: Callable[[], bool]
    sleep: Callable[[float], None]

    def apply(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until brew was started."""
        before = self.prefix.installed()
        deadline = self.clock.monotonic_s() + order.bounds.run_s_max
        refused = self._unfit(order, before) or self._other_now(order) or self._short(order)
        if refused is None:
            refused = self._fetch(order, deadline, log)
        if refused is not None:
            log(f"Refused, nothing was changed: {refused.reason}")
            return replace(blank, code=refused.code, detail=refused.reason)
        if self.stopping():
            return replace(blank, code="shutdown", detail="The transaction was asked to stop before it began.")
        remember(self.prefix.runner.path(f"{self.work_dir}/{order.transaction_id}"), before)
        log("Upgrading.")
        ran = self._upgrade(order, deadline)
        kept = WayBack(False, code="gone", reason=NO_WAY_BACK)
        return replace(self._judged(blank, order, ran, before), way_back=kept)

    def _unfit(self, order: Order, before: tuple[Installed, ...]) -> Refused | None:
        if told := unfit(order, before, self.prefix.unfit()):
            return told
        if order.inverse is not None:
            return Refused("no_way_back", NO_WAY_BACK)
        now = by_key(before)
        for a in order.transaction.actions:
            here = now.get(f"{a.name}:{a.architecture}")
            if a.kind not in (ActionKind.UPGRADE, ActionKind.INSTALL):
                return Refused(
                    "refused", f"Homebrew cannot bring {a.name} to an older version, or take it away exactly."
                )
            if here is not None and here.held:
                return Refused("held", f"{a.name} is pinned on this endpoint by its owner.")
            if (here.version if here is not None else "") not in (a.before, a.after):
                return Refused("changed", f"The situation has changed since the plan: {a.name} is not {a.before}.")
        return rules.refuse_broken(order.transaction, order.rules)

    def _other_now(self, order: Order) -> Refused | None:
        """Whether by its own sources brew would do anything else than what of the order is not there yet."""
        lists = Lists(self.prefix)
        answer = lists.now()
        if isinstance(answer, Refused):
            return answer
        now, have = {(w.label, w.name): w for w in answer}, self.prefix.installed()
        there = {(p.architecture, p.name): p.version for p in have if p.sound}
        left = {key: a for a in order.transaction.actions if there.get(key := (a.architecture, a.name)) != a.after}
        for key, a in left.items():
            found = now.get(key)
            if found is not None and found.pinned:
                return Refused("held", f"{a.name} is pinned on this endpoint by its owner.")
            if a.before and (found.current if found is not None else "") != a.after:
                return Refused("changed", f"Homebrew has another version of {a.name} now than {a.after}.")
        versions, newer = {(p.architecture, p.name): p.version for p in have}, {k: w.current for k, w in now.items()}
        would = closure([key for key, a in left.items() if a.before], lists.known_now(answer), versions, newer)
        if isinstance(would, str):
            return Refused("changed", f"It needs {would} now, of which Homebrew says nothing.")
        ordered = {key: a.after for key, a in left.items()}
        other = sorted({name for (_, name), _ in would.items() ^ ordered.items()})
        return Refused("changed", f"Homebrew would not bring {rules.named(other)} as ordered.") if other else None

    def _short(self, order: Order) -> Refused | None:
        s = os.statvfs(self.prefix.runner.path(self.prefix.place))
        if s.f_bavail * s.f_frsize >= order.bounds.disk_reserve_bytes:
            return None
        need = order.bounds.disk_reserve_bytes >> 20
        return Refused("no_space", f"Too little disk space: {need} MiB are needed on {self.prefix.place}.")

    def _fetch(self, order: Order, deadline: float, log: Log) -> Refused | None:
        """Every bottle lies in brew's cache, compared with its digest, before anything is changed."""
        log("Downloading.")
        for words in _groups(order, "fetch"):
            ran = self._patiently(order, deadline, *words)
            if ran.timed_out:
                return Refused("network", "What was ordered could not be fetched in time.")
            if ran.rc != 0:
                told = why(ran.text)
                return Refused("lock_timeout", told.reason) if told.code == "locked" else told
        return None

    def _upgrade(self, order: Order, deadline: float) -> Ran:
        ran = Ran(0, "")
        for words in _groups(order, "upgrade"):
            ran = self._patiently(order, deadline, *words)
            if ran.timed_out or ran.rc != 0:
                break
        return ran

    def _patiently(self, order: Order, deadline: float, *words: str) -> Ran:
        """While another brew has the lock, wait: brew itself gives up at once."""
        until = self.clock.monotonic_s() + order.bounds.lock_wait_s
        while True:
            ran = self.prefix.run(*words, timeout_s=max(1.0, deadline - self.clock.monotonic_s()))
            if why(ran.text).code != "locked" or self.clock.monotonic_s() >= until:
                return ran
            self.sleep(POLL_S)

    def _judged(
        self, blank: TransactionResult, order: Order, ran: Ran, before: tuple[Installed, ...]
    ) -> TransactionResult:
        now = self.prefix.installed()
        changes, wrong = changes_between(before, now), rules.unproven(order.transaction, by_key(now))
        ordered = {(a.name, a.architecture) for a in order.transaction.actions}
        more = [c.name for c in changes if (c.name, c.architecture) not in ordered]
        if not wrong and not more:
            detail = f"All {len(order.transaction.actions)} are installed as ordered."
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        if not wrong:
            detail = f"As ordered, and brew has also changed {rules.named(more)}."
            return replace(blank, outcome=Outcome.FAILED, code="verify_failed", detail=detail, changes=changes)
        told = why_not(why(ran.text), ran, order.bounds.run_s_max, "brew")
        state = "Everything is as before." if not changes else f"Now: {rules.named(wrong)}."
        return replace(blank, outcome=Outcome.FAILED, code=told.code, detail=f"{told.reason} {state}", changes=changes)

    def recover(self, order: Order, blank: TransactionResult, log: Log) -> TransactionResult:
        """What a lost run left, finished from brew's cache, if the bounds allow and brew still has it."""
        log("Examined after a lost run.")
        before = before_of(self.prefix.runner.path(f"{self.work_dir}/{order.transaction_id}/before.json"))
        if before is None:
            return replace(blank, detail=UNTOUCHED[1])
        was_wrong = wrong = self._wrong(order)
        untouched = not changes_between(before, self.prefix.installed())
        if wrong and not untouched and order.bounds.repair and self._other_now(order) is None:
            self._upgrade(order, self.clock.monotonic_s() + order.bounds.run_s_max)
            wrong = self._wrong(order)
        return after_loss(blank, before, self.prefix.installed(), wrong, healed=bool(was_wrong))

    def _wrong(self, order: Order) -> tuple[str, ...]:
        return rules.unproven(order.transaction, by_key(self.prefix.installed()))


def _groups(order: Order, verb: str) -> list[tuple[str, ...]]:
    """brew's words: formulae first. What is new comes with what needs it; to fetch it, it is named."""
    found = []
    for label, flag in ((FORMULA, "--formula"), (CASK, "--cask")):
        names = [a.name for a in order.transaction.actions if a.architecture == label and (a.before or verb == "fetch")]
        if names:
            found.append((verb, flag, *names))
    return found
