"""After a lost run (power cut, kill -9, out of memory): what state packages are in, and what can be healed.

The result is always `INTERRUPTED`: that the run was lost may itself be the update's doing, so even a complete one is
evidence for the brake. Whether dpkg ever started is known from the snapshot that `apply` puts on disk before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import by_key, changes_between
from brakeline.agent.providers.apt.keep import Keeper
from brakeline.agent.providers.apt.locks import DPKG_LOCKS, holder
from brakeline.agent.providers.apt.queries import Queries
from brakeline.agent.providers.apt.repair import Repair
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.apt.staging import Staging
from brakeline.agent.providers.model import Order
from brakeline.core.clock import Clock
from brakeline.protocol.messages import Outcome, PackageChange, PackageManagerHealth, TransactionResult

POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Recovery:
    """Looks after lost runs on one endpoint, as root."""

    clock: Clock
    runner: Runner
    work_dir: str
    pause: Callable[[float], None]
    health: Callable[[], PackageManagerHealth]
    keeper: Keeper

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Examine, repair if allowed, report."""
        started = self.clock.now_ms()
        staging = Staging(self.runner, f"{self.work_dir}/{order.transaction_id}")
        code, detail, changes = self._examine(order, staging, log)
        return TransactionResult(
            transaction_id=order.transaction_id,
            offer_id=order.offer_id,
            rollout_id=order.rollout_id,
            generation=order.generation,
            outcome=Outcome.INTERRUPTED,
            code=code,
            detail=detail,
            changes=changes,
            health=self.health(),
            started_ms=started,
            ended_ms=self.clock.now_ms(),
            log_tail=staging.log_tail(),
            way_back=self.keeper.way_back(order.transaction_id),
        )

    def _examine(
        self, order: Order, staging: Staging, log: Callable[[str], None]
    ) -> tuple[str, str, tuple[PackageChange, ...]]:
        before = staging.before()
        if before is None:
            return "interrupted_unchanged", "The run was lost before anything was changed.", ()
        if who := self._still_running(order, log):
            return "interrupted_broken", f"The run was lost and {who} still holds dpkg's lock.", ()
        queries = Queries(self.runner)
        tried = order.bounds.repair and Repair(self.runner, staging, order.bounds.run_s_max).repair(order, log)
        installed = queries.installed()
        problems = queries.problems(installed)
        wrong = rules.unproven(order.transaction, by_key(installed))
        changes = changes_between(before, installed)
        repaired = " dpkg was repaired." if tried else ""
        if problems:
            return "interrupted_broken", f"The run was lost.{repaired} Still broken: {rules.named(problems)}.", changes
        if not wrong:
            code = "interrupted_repaired" if tried else "interrupted_complete"
            return code, f"The run was lost.{repaired} Every package is as ordered and sound.", changes
        if not changes:
            return "interrupted_unchanged", f"The run was lost.{repaired} Every package is as it was before.", ()
        return "interrupted_partial", f"The run was lost.{repaired} {rules.named(wrong)}.", changes

    def _still_running(self, order: Order, log: Callable[[str], None]) -> str:
        """Wait for what the lost run may have left running; "" = nobody holds dpkg's lock, else who does."""
        deadline = self.clock.monotonic_s() + max(order.bounds.lock_wait_s, order.bounds.run_s_max)
        said = False
        while (who := holder(self.runner, DPKG_LOCKS)) is not None:
            if self.clock.monotonic_s() >= deadline:
                return str(who)
            if not said:
                log(f"Waiting for {who}, which may still be at work for this transaction.")
                said = True
            self.pause(POLL_S)
        return ""
