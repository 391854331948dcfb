"""After a lost run (power cut, kill -9): what rpm has recorded, what is on disk, and what can be healed.

rpm has no journal to finish. It records the new version before it takes the old one out: a run lost in between leaves
both. A run lost while files were laid down leaves the old record beside new files. Both are found by state, healed by
taking the old record out, then by doing what is left of the order once more. Always `INTERRUPTED`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.apt.staging import Staging
from brakeline.agent.providers.dnf import plan as deciding
from brakeline.agent.providers.dnf.answers import Installed
from brakeline.agent.providers.dnf.apply import DnfApplier
from brakeline.agent.providers.frame import UNTOUCHED, Found, Log, recovered, told
from brakeline.agent.providers.model import Order
from brakeline.protocol.messages import Action, TransactionResult

AGAIN = "again"  # the part of a transaction's id that its second run lies under


@dataclass(frozen=True, slots=True)
class Recovery:
    """Looks after lost runs on one endpoint, as root."""

    applier: DnfApplier

    @property
    def runner(self) -> Runner:
        return self.applier.runner

    def recover(self, order: Order, log: Log) -> TransactionResult:
        return recovered(self.applier, order, lambda: self._examine(order, self.applier.staging(order), log))

    def _examine(self, order: Order, staging: Staging, log: Log) -> Found:
        remembered = staging.before()
        if remembered is None:
            return UNTOUCHED
        before = frozenset((p.name, p.architecture, p.version) for p in remembered)
        tried = order.bounds.repair and self._repair(order, log)
        installed = self.applier.installed()
        problems = deciding.problems_of(installed) + self._unsound(order, installed)
        wrong = deciding.unproven(order.transaction, installed)
        changes = deciding.changes_between(before, deciding.known(installed))
        return told(" What it left was repaired." if tried else "", problems, wrong, changes)

    def _repair(self, order: Order, log: Log) -> bool:
        """True if anything was tried."""
        installed = self.applier.installed()
        doubled = self._doubled(order, installed)
        for a in doubled:
            log(f"Taking out the record of {a.name} {a.before}: {a.after} is recorded beside it.")
            self.runner.job(
                "rpm", "--root", self.applier.child.root, "-e", "--nodeps", _nevra(a, a.before), timeout_s=600
            )
        installed = self.applier.installed()
        if not self._unsound(order, installed):
            return bool(doubled)
        now = deciding.known(installed)
        left = [a for a in order.transaction.actions if not _done(a, now)]
        log("Files are not those of the recorded versions: doing what is left of the order once more.")
        again = replace(order, transaction_id=f"{order.transaction_id}-{AGAIN}", transaction=make_transaction(left))
        self.applier.apply(again, log)
        return True

    def _doubled(self, order: Order, installed: tuple[Installed, ...]) -> tuple[Action, ...]:
        now = deciding.known(installed)
        return tuple(a for a in order.transaction.actions if a.before and a.after
                     and {(a.name, a.architecture, a.before), (a.name, a.architecture, a.after)} <= now)  # fmt: skip

    def _unsound(self, order: Order, installed: tuple[Installed, ...]) -> tuple[str, ...]:
        """Packages of the order whose files are not those of the version that rpm has recorded."""
        keys = {(a.name, a.architecture) for a in order.transaction.actions}
        found = []
        for p in installed:
            if (p.name, p.architecture) in keys:
                name = f"{p.name}-{p.version.rpartition(':')[2]}.{p.architecture}"
                words = ("-V", "--nodeps", "--noscripts", "--nomtime", "--nouser", "--nogroup", "--nomode", name)
                text = self.runner.query("rpm", "--root", self.applier.child.root, *words, timeout_s=300).text
                if bad := broken_files(text):
                    found.append(f"{p.name}: {len(bad)} files are not those of {p.version} ({bad[0]})")
        return tuple(found)


def broken_files(text: str) -> tuple[str, ...]:
    """Of `rpm -V`: files that are missing or have another content and are no configuration."""
    found = []
    for line in text.splitlines():
        head, _, path = line.partition(" /")
        words = head.split()
        if path and words and (words[0] == "missing" or "5" in words[0] or "S" in words[0]) and "c" not in words[1:]:
            found.append(f"/{path}")
    return tuple(found)


def _done(a: Action, now: deciding.Known) -> bool:
    return (a.name, a.architecture, a.after) in now if a.after else (a.name, a.architecture, a.before) not in now


def _nevra(a: Action, version: str) -> str:
    return f"{a.name}-{version.rpartition(':')[2]}.{a.architecture}"
