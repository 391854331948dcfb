"""After a lost run (power cut, kill -9, out of memory): what rpm's records say, and the same run once more.

The result is always `INTERRUPTED`: that the run was lost may itself be the update's doing. Whether rpm ever started is
known from the snapshot that `apply` puts on disk before it. rpm leaves nothing that says "half done": the old version
may be recorded beside the new one, or new files may lie under the old record. So a run that was begun is repeated
whole, with the files that were laid ready for it; no network and no resolver are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.agent.providers.frame import UNTOUCHED, Found, Log, recovered, still_running, told
from brakeline.agent.providers.model import Order
from brakeline.agent.providers.zypper import plan as rules
from brakeline.agent.providers.zypper import rpmdb
from brakeline.agent.providers.zypper.apply import ZypperApplier
from brakeline.agent.providers.zypper.install import Install
from brakeline.agent.providers.zypper.lock import held, lock_holder
from brakeline.agent.providers.zypper.planner import Planner
from brakeline.agent.providers.zypper.staging import Staging
from brakeline.agent.providers.zypper.tools import Tools
from brakeline.protocol.messages import TransactionResult


@dataclass(frozen=True, slots=True)
class Recovery:
    """Looks after lost runs on one endpoint, as root."""

    applier: ZypperApplier

    @property
    def tools(self) -> Tools:
        return self.applier.tools

    def recover(self, order: Order, log: Log) -> TransactionResult:
        return recovered(self.applier, order, lambda: self._examine(order, self.applier.staging(order), log))

    def _examine(self, order: Order, staging: Staging, log: Log) -> Found:
        before = staging.before()
        if before is None:
            return UNTOUCHED
        applier = self.applier
        if who := still_running(applier.clock, applier.pause, order, log, lambda: lock_holder(self.tools)):
            return "interrupted_broken", f"The run was lost and {who} still holds the lock.", ()
        planner = Planner(self.tools, order.rules)
        tried = self._again(order, staging, planner, log)
        installed = planner.installed()
        wrong = rules.unproven(order.transaction, installed)
        did = " It was run once more with the packages that lay ready." if tried else ""
        return told(did, planner.problems(installed), wrong, rpmdb.changes_between(before, installed), sound="")

    def _again(self, order: Order, staging: Staging, planner: Planner, log: Log) -> bool:
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
