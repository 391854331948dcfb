"""One transaction of pip: exactly what was ordered, or nothing; what came of it is read from the environment's records.

Order of things: ask pip again and compare, fetch every wheel by its digest, check space, store the way back, write
down what is there, install from the fetched files alone (no index, no dependencies: nothing is left to resolve),
compare every installed file with its digest. Up to the installation every trouble is `REFUSED`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.beside import after_loss, before_of, remember, unfit, why_not
from brakeline.agent.providers.frame import UNTOUCHED
from brakeline.agent.providers.model import Order, Refused
from brakeline.agent.providers.pip.environments import Environment, damage, installed
from brakeline.agent.providers.pip.keep import Keeper, unpacked_bytes
from brakeline.agent.providers.pip.report import why
from brakeline.agent.providers.pip.resolver import ASK_S_MAX, PIP, Resolver
from brakeline.core.clock import Clock
from brakeline.protocol.messages import ActionKind, Outcome, Transaction, TransactionResult, WayBack


@dataclass(frozen=True, slots=True)
class PipApplier:
    """Applies orders to one environment, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    environment: Environment
    keeper: Keeper
    stopping: Callable[[], bool]

    @property
    def resolver(self) -> Resolver:
        return Resolver(self.runner, self.environment)

    def staged(self, order: Order) -> str:
        return f"{self.work_dir}/{order.transaction_id}/wheels"

    def apply(self, order: Order, blank: TransactionResult, log: Callable[[str], None]) -> TransactionResult:
        """Carry out the order; `blank` is the refusal that it is until something was changed."""
        before = installed(self.runner, self.environment)
        deadline = self.clock.monotonic_s() + order.bounds.run_s_max
        refused = self._unfit(order, before) or self._ready(order, before, log, deadline)
        if refused is not None:
            log(f"Refused, nothing was changed: {refused.reason}")
            return replace(blank, code=refused.code, detail=refused.reason)
        kept = self._keep(order, log, deadline)
        if self.stopping():
            return replace(blank, code="shutdown", detail="The transaction was asked to stop before it began.")
        remember(self.runner.path(self.staged(order)), before)
        log("Installing.")
        ran = self._install(order, deadline)
        wrong = self.wrong(order.transaction)
        if wrong and order.bounds.repair and not ran.timed_out:
            log("Installing again: what is there is not what was ordered.")
            self._install(order, deadline, "--force-reinstall")
            wrong = self.wrong(order.transaction)
        return replace(self._judged(blank, order, ran, before, wrong), way_back=kept)

    def _unfit(self, order: Order, before: tuple[Installed, ...]) -> Refused | None:
        return unfit(order, before, self.resolver.foreign()) or rules.refuse_broken(order.transaction, order.rules)

    def _ready(
        self, order: Order, before: tuple[Installed, ...], log: Callable[[str], None], deadline: float
    ) -> Refused | None:
        """Everything that is needed lies in the transaction's directory afterwards, or the reason why not."""
        if order.inverse is not None:
            if not set(order.transaction.actions) <= set(order.inverse.transaction.actions):
                return Refused("refused", "The order is not a part of the way back that this endpoint stored.")
            if damaged := self.keeper.damaged(order.inverse):
                return Refused("no_way_back", f"The kept archive of {damaged} is damaged or gone.")
            self.runner.path(self.staged(order)).mkdir(parents=True, exist_ok=True, mode=0o700)
            return None
        wanted = [(a.name, a.after) for a in order.transaction.actions]
        left = max(1.0, deadline - self.clock.monotonic_s())
        found = replace(self.resolver, ask_s_max=min(ASK_S_MAX, left)).resolve(wanted, before, order.bounds)
        if isinstance(found, Refused):
            code = found.code if found.code in ("network", "held", "no_space", "hash_mismatch") else "changed"
            return Refused(code, f"The situation has changed since the plan: {found.reason}")
        if differs := rules.difference(order.transaction, found.transaction):
            return Refused("changed", f"The situation has changed since the plan: {differs}.")
        log("Downloading.")
        left = max(1.0, deadline - self.clock.monotonic_s())
        return self.resolver.fetch(found.wheels, self.staged(order), left) or self._short(order)

    def _short(self, order: Order) -> Refused | None:
        need = unpacked_bytes(self.runner.path(self.staged(order))) + order.bounds.disk_reserve_bytes
        s = os.statvfs(self.runner.path(self.environment.site))
        if s.f_bavail * s.f_frsize >= need:
            return None
        return Refused("no_space", f"Too little disk space: {need >> 20} MiB are needed on {self.environment.site}.")

    def _keep(self, order: Order, log: Callable[[str], None], deadline: float) -> WayBack:
        left = max(1.0, deadline - self.clock.monotonic_s())
        kept = self.keeper.keep(order, self.resolver, self.clock.now_ms(), left / 4)
        if not kept.stored:
            log(kept.reason)
        return kept

    def _install(self, order: Order, deadline: float, *more: str) -> Ran:
        inverse = order.inverse
        files = self.staged(order) if inverse is None else self.keeper.place(inverse.rollout_id)
        named = [f"{a.name}=={a.after}" for a in order.transaction.actions if a.kind is not ActionKind.REMOVE]
        gone = [a.name for a in order.transaction.actions if a.kind is ActionKind.REMOVE]
        ran = Ran(0, "")
        if named:
            ran = self._pip(deadline, "install", "--no-index", "--no-deps", "--find-links", files, *more, *named)
        if gone and ran.rc == 0:
            ran = self._pip(deadline, "uninstall", "-y", *gone)
        return ran

    def _pip(self, deadline: float, *words: str) -> Ran:
        left = max(1.0, deadline - self.clock.monotonic_s())
        return self.runner.job(self.environment.python, *PIP, *words, timeout_s=left)

    def wrong(self, transaction: Transaction) -> tuple[str, ...]:
        """Differences between the order and the environment: versions, and every file of every changed package."""
        names = frozenset(a.name for a in transaction.actions if a.after)
        now = installed(self.runner, self.environment)
        return rules.unproven(transaction, by_key(now)) + damage(self.runner, self.environment, names)

    def _judged(
        self, blank: TransactionResult, order: Order, ran: Ran, before: tuple[Installed, ...], wrong: tuple[str, ...]
    ) -> TransactionResult:
        changes = changes_between(before, installed(self.runner, self.environment))
        if not wrong:
            detail = f"All {len(order.transaction.actions)} changes are as ordered, every file as its list says."
            return replace(blank, outcome=Outcome.INSTALLED, code="ok", detail=detail, changes=changes)
        said = why(ran.text) if ran.rc != 0 else Refused("pip_failed", "")
        told = why_not(said, ran, order.bounds.run_s_max, "pip")
        detail = f"{told.reason} Now: {'; '.join(wrong[: rules.NAMED_MAX])}."
        return replace(blank, outcome=Outcome.FAILED, code=told.code, detail=detail, changes=changes)

    def recover(self, order: Order, blank: TransactionResult, log: Callable[[str], None]) -> TransactionResult:
        """What a lost run left, put right from the wheels that lie ready, if the bounds allow."""
        log("Examined after a lost run.")
        before = before_of(self.runner.path(self.staged(order)) / "before.json")
        if before is None:
            return replace(blank, detail=UNTOUCHED[1])
        was_wrong = wrong = self.wrong(order.transaction)
        untouched = not changes_between(before, installed(self.runner, self.environment))
        if wrong and not untouched and order.bounds.repair:
            self._install(order, self.clock.monotonic_s() + order.bounds.run_s_max, "--force-reinstall")
            wrong = self.wrong(order.transaction)
        return after_loss(blank, before, installed(self.runner, self.environment), wrong, healed=bool(was_wrong))
