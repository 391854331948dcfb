"""The dnf provider: the contract of `providers.model`, put together from the parts of this package.

Reading verbs need no privilege. `refresh` and `apply` run as root. Expected trouble comes back as values.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.keep import DIRECTORY
from brakeline.agent.providers.apt.lists import write_public
from brakeline.agent.providers.apt.locks import holder
from brakeline.agent.providers.apt.runner import AnswerLost, Machine, Runner
from brakeline.agent.providers.apt.services import Services
from brakeline.agent.providers.apt.space import FileSystem, too_small
from brakeline.agent.providers.dnf import plan as deciding
from brakeline.agent.providers.dnf.answers import Installed, installed_of, packages_of, pending_of
from brakeline.agent.providers.dnf.apply import DnfApplier, changed_conffiles
from brakeline.agent.providers.dnf.asking import Child
from brakeline.agent.providers.dnf.keep import RpmKeeper
from brakeline.agent.providers.dnf.recovery import Recovery
from brakeline.agent.providers.dnf.restarts import Restarts
from brakeline.agent.providers.frame import POLL_S
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refreshed, Refused
from brakeline.core.clock import Clock
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import (
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Transaction,
    TransactionResult,
    UpdateRef,
    UpdateState,
)

RECORD = "/var/cache/brakeline/dnf-lists.json"  # how the last refresh went, for those who may not refresh
DATABASES = ("/var/lib/rpm", "/usr/lib/sysimage/rpm", "/root/.rpmdb")  # of most, of newer ones, of Debian's rpm
LOCK_S_MAX = 120.0


@dataclass(frozen=True, slots=True)
class DnfProvider:
    """dnf and rpm of one endpoint. `installroot`: the root they manage, as the endpoint names it."""

    clock: Clock
    runner: Runner = field(default_factory=Machine)
    work_dir: str = "/var/lib/brakeline-helper/tx"
    pause: Callable[[float], None] = time.sleep
    stopping: Callable[[], bool] = bool
    name: str = "dnf"
    rules: Rules = BUILT_IN
    back_dir: str = DIRECTORY
    installroot: str = "/"

    @property
    def child(self) -> Child:
        return Child(self.runner, self.installroot)

    def inventory(self) -> tuple[Package, ...]:
        """Everything that rpm has recorded."""
        return self.survey()[0]

    def available(self) -> tuple[PendingUpdate, ...]:
        """All updates that wait, with the reason of each that would not be installed now."""
        return self.survey()[1]

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        """Inventory and pending updates of the same moment; `AnswerLost` rather than a part of the truth."""
        answer = self._look(pending=True)
        waiting = pending_of(answer["pending"])
        held = frozenset(f"{u.name}:{u.architecture}" for u in waiting if u.state is UpdateState.HELD)
        return packages_of(installed_of(answer["installed"]), held), waiting

    def health(self) -> PackageManagerHealth:
        """Can it work: doubled records, who holds rpm's lock, age and trouble of the metadata."""
        answer = self.child.ask("look")
        if isinstance(answer, Refused):
            return PackageManagerHealth(False, (answer.reason,))
        problems = deciding.problems_of(installed_of(answer["installed"]))
        at_ms, problem = self._remembered()
        locks = tuple(f"{self.installroot.rstrip('/')}{place}/.rpm.lock" for place in DATABASES)
        held_by = holder(self.runner, locks)
        return PackageManagerHealth(
            not problems, problems, str(held_by or ""), at_ms, problem or str(answer["lists_problem"])
        )

    def reboot_need(self) -> RebootNeed:
        """Whether a restart is due and why, and which services run old code."""
        services = Services(self.runner, self.rules)
        return Restarts(self.runner, services).need(self._installed(), whole=self.installroot == "/")

    def refresh(self) -> Refreshed | Refused:
        """Ask every enabled repository anew; one that does not answer is a failure, whatever dnf would skip."""
        deadline = self.clock.monotonic_s() + LOCK_S_MAX
        answer = self.child.ask("refresh")
        while isinstance(answer, Refused) and answer.code == "locked" and self.clock.monotonic_s() < deadline:
            self.pause(POLL_S)
            answer = self.child.ask("refresh")
        now = self.clock.now_ms()
        refused: Refused | None = answer if isinstance(answer, Refused) else None
        if not isinstance(answer, Refused) and answer["failed"]:
            code, repository, why = answer["failed"][0]
            refused = Refused(code, f"Repository {repository} could not be refreshed: {why.rstrip('.')}.")
        at_ms, _ = self._remembered()
        record = {"at_ms": at_ms if refused else now, "problem": refused.reason if refused else ""}
        write_public(self.runner, self._record, json.dumps(record))
        return refused or Refreshed(now)

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction, resolved by dnf itself with every version named."""
        targets = [[*_split(u.name), u.version] for u in updates]
        answer = self.child.ask("plan", targets=targets, removals=bounds.allow_removals, new=bounds.allow_new_packages)
        installed = self._installed() if isinstance(answer, Refused) else installed_of(answer["installed"])
        if sick := deciding.problems_of(installed):
            return Refused("unhealthy", f"The package manager is broken: {rules.named(sick)}.")
        if isinstance(answer, Refused):
            return answer
        found = deciding.transaction_of(answer["actions"], int(answer["download"]), int(answer["growth"]))
        refused = rules.refuse_broken(found, self.rules) or rules.refuse_quarantined(found, bounds.without)
        refused = refused or rules.refuse_beyond(found, bounds, frozenset()) or self._too_small(answer, bounds)
        if refused:
            return refused
        return Planned(found, tuple(answer["back"]), tuple(answer["gone"]), tuple(answer["skipped"]))

    def _too_small(self, answer: dict[str, Any], bounds: Bounds) -> Refused | None:
        v = os.statvfs(self._path("/"))
        system = FileSystem(self.installroot, v.f_bfree * v.f_frsize)
        need = max(0, int(answer["growth"])) + int(answer["largest"]) + int(answer["download"])
        short = too_small({self.installroot: need}, (system,), bounds.disk_reserve_bytes)
        return Refused("no_space", f"Too little disk space: {short}.") if short else None

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Do exactly the ordered transaction, or refuse."""
        return self._applier.apply(order, log)

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """What a lost run left behind, repaired if the order's bounds allow."""
        return Recovery(self._applier).recover(order, log)

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        """What is left to do of the way back that was stored for this rollout; `look`: only if dnf would do it."""
        stored = self._keeper.of_rollout(rollout_id)
        if stored is None:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        found = deciding.left_to_do(stored, deciding.known(self._installed()))
        if isinstance(found, Refused):
            return found
        if damaged := self._keeper.damaged(stored):
            return Refused("no_way_back", f"The kept archive of {damaged} is damaged or gone.")
        left = replace(stored, transaction=found)
        if look:
            rows, files = deciding.rows_of(found), deciding.archives_of(left)
            would = self.child.ask("would", actions=rows, archives=files, removals=True, back=True)
            if isinstance(would, Refused):
                return Refused("refused", f"dnf would not do exactly the way back: {would.reason}")
        return left

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:
        """Configuration files that somebody changed here, of packages that would get another version."""
        return changed_conffiles(self.runner, self.installroot, transaction)

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        """Differences between what the transaction promised and what is installed; empty = proven."""
        return deciding.unproven(transaction, self._installed())

    # --- small ones ---

    @property
    def _applier(self) -> DnfApplier:
        return DnfApplier(
            self.clock, self.runner, self.work_dir, self.health, self.stopping, self._keeper, self.child
        )  # fmt: skip

    @property
    def _keeper(self) -> RpmKeeper:
        return RpmKeeper(self.runner, self.back_dir)

    def _look(self, **request: object) -> dict[str, Any]:
        answer = self.child.ask("look", **request)
        if isinstance(answer, Refused):
            raise AnswerLost(answer.reason)
        return answer

    def _installed(self) -> tuple[Installed, ...]:
        return installed_of(self._look(alone=True)["installed"])

    @property
    def _record(self) -> str:
        return f"{self.installroot.rstrip('/')}{RECORD}"

    def _remembered(self) -> tuple[int, str]:
        try:
            values = json.loads(self.runner.path(self._record).read_text())
            return int(values["at_ms"]), str(values["problem"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, ""

    def _path(self, absolute: str) -> Path:
        return self.runner.path(f"{self.installroot.rstrip('/')}{absolute}")


def _split(name: str) -> tuple[str, str]:
    bare, _, architecture = name.partition(":")
    return bare, architecture
