"""After a lost run (power cut, kill -9, out of memory): what rpm's records say, and the same run once more.

The result is always `INTERRUPTED`: that the run was lost may itself be the update's doing. Whether rpm ever started is
known from the snapshot that `apply` puts on disk before it. rpm leaves nothing that says "half done": the old version
may be recorded beside the new one, or new files may lie under the old record. So a run that was begun is repeated
whole, with the files that were laid ready for it; no network and no resolver are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from brakeline.agent.providers.apt.plan import named
from brakeline.agent.providers.model import Order
from brakeline.agent.providers.zypper import plan as rules
from brakeline.agent.providers.zypper import rpmdb
from brakeline.agent.providers.zypper.back import Back
from brakeline.agent.providers.zypper.install import Install
from brakeline.agent.providers.zypper.lock import held, lock_holder
from brakeline.agent.providers.zypper.planner import Planner
from brakeline.agent.providers.zypper.staging import Staging
from brakeline.agent.providers.zypper.tools import Tools
from brakeline.core.clock import Clock
from brakeline.protocol.messages import Outcome, PackageChange, PackageManagerHealth, TransactionResult, WayBack

POLL_S = 0.5
Found = tuple[str, str, tuple[PackageChange, ...]]


@dataclass(frozen=True, slots=True)
class Recovery:
    """Looks after lost runs on one endpoint, as root."""

    clock: Clock
    tools: Tools
    work_dir: str
    pause: Callable[[float], None]
    health: Callable[[], PackageManagerHealth]
    back: Back

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Examine, repeat if allowed, report."""
        started = self.clock.now_ms()
        staging = Staging(self.tools, f"{self.work_dir}/{order.transaction_id}")
        code, detail, changes = self._examine(order, staging, log)
        inverse = self.back.of_transaction(order.transaction_id)
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
            way_back=WayBack(True, len(inverse.transaction.actions)) if inverse else None,
        )

    def _examine(self, order: Order, staging: Staging, log: Callable[[str], None]) -> Found:
        before = staging.before()
        if before is None:
            return "interrupted_unchanged", "The run was lost before anything was changed.", ()
        if who := self._still_running(order, log):
            return "interrupted_broken", f"The run was lost and {who} still holds the lock.", ()
        planner = Planner(self.tools, order.rules)
        tried = self._again(order, staging, planner, log)
        installed = planner.installed()
        wrong = rules.unproven(order.transaction, installed)
        changes = rpmdb.changes_between(before, installed)
        did = " It was run once more with the packages that lay ready." if tried else ""
        if problems := planner.problems(installed):
            return "interrupted_broken", f"The run was lost.{did} Still broken: {named(problems)}.", changes
        if not wrong:
            code = "interrupted_repaired" if tried else "interrupted_complete"
            return code, f"The run was lost.{did} Every package is as ordered.", changes
        if not changes:
            return "interrupted_unchanged", f"The run was lost.{did} Every package is as it was before.", ()
        return "interrupted_partial", f"The run was lost.{did} {named(wrong)}.", changes

    def _again(self, order: Order, staging: Staging, planner: Planner, log: Callable[[str], None]) -> bool:
        """True if the run was repeated. The copies are dropped once a run was judged: nothing to repeat then."""
        transaction = order.transaction
        if not order.bounds.repair or not staging.whole(transaction.actions):
            return False
        with held(self.tools) as mine:
            if not mine:
                return False
            log("Repairing: the interrupted run is done once more.")
            beside = rules.beside(transaction, planner.installed(), planner.several())
            Install(self.tools, staging, transaction, beside).run(order.bounds.run_s_max, again=True)
        if not rules.unproven(transaction, planner.installed()):
            staging.drop_packages()
        return True

    def _still_running(self, order: Order, log: Callable[[str], None]) -> str:
        """Wait for what the lost run may have left running; "" = nobody holds a lock, else who does."""
        deadline = self.clock.monotonic_s() + max(order.bounds.lock_wait_s, order.bounds.run_s_max)
        said = False
        while (who := lock_holder(self.tools)) is not None:
            if self.clock.monotonic_s() >= deadline:
                return str(who)
            if not said:
                log(f"Waiting for {who}, which may still be at work for this transaction.")
                said = True
            self.pause(POLL_S)
        return ""
