"""After a lost run (power cut, kill -9, out of memory): what state packages are in, and what can be healed.

The result is always `INTERRUPTED`: that the run was lost may itself be the update's doing, so even a complete one is
evidence for the brake. Whether dpkg ever started is known from the snapshot that `apply` puts on disk before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.apply import AptApplier
from brakeline.agent.providers.apt.dpkg import by_key, changes_between
from brakeline.agent.providers.apt.locks import DPKG_LOCKS, holder
from brakeline.agent.providers.apt.queries import Queries
from brakeline.agent.providers.apt.repair import Repair
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.apt.staging import Staging
from brakeline.agent.providers.frame import UNTOUCHED, Found, Log, recovered, still_running, told
from brakeline.agent.providers.model import Order
from brakeline.protocol.messages import TransactionResult


@dataclass(frozen=True, slots=True)
class Recovery:
    """Looks after lost runs on one endpoint, as root."""

    applier: AptApplier

    @property
    def runner(self) -> Runner:
        return self.applier.runner

    def recover(self, order: Order, log: Log) -> TransactionResult:
        return recovered(self.applier, order, lambda: self._examine(order, self.applier.staging(order), log))

    def _examine(self, order: Order, staging: Staging, log: Log) -> Found:
        before = staging.before()
        if before is None:
            return UNTOUCHED
        applier = self.applier
        if who := still_running(applier.clock, applier.pause, order, log, lambda: holder(self.runner, DPKG_LOCKS)):
            return "interrupted_broken", f"The run was lost and {who} still holds dpkg's lock.", ()
        queries = Queries(self.runner)
        tried = order.bounds.repair and Repair(self.runner, staging, order.bounds.run_s_max, before).repair(order, log)
        installed = queries.installed()
        wrong = rules.unproven(order.transaction, by_key(installed))
        did = " dpkg was repaired." if tried else ""
        return told(did, queries.problems(installed), wrong, changes_between(before, installed))
