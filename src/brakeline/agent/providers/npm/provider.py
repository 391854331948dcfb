"""The npm provider: the contract of `providers.model` over the global packages of one endpoint, a folder at a time.

Reading needs no privilege and starts no Node.js, except `plan`, which asks npm's own resolver in an empty directory.
`refresh` and `apply` run as root, and only where root alone can write. Expected trouble comes back as values.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, problems_of
from brakeline.agent.providers.apt.inverse import left_to_do
from brakeline.agent.providers.apt.lists import write_public
from brakeline.agent.providers.apt.runner import Machine, Runner
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refreshed, Refused
from brakeline.agent.providers.npm.answers import belongs, older, origin, own_registries
from brakeline.agent.providers.npm.apply import NpmApplier
from brakeline.agent.providers.npm.folders import Folder, folders, foreign, installed, leftovers
from brakeline.agent.providers.npm.keep import Trees
from brakeline.agent.providers.npm.resolver import NPM, Resolver
from brakeline.core.clock import Clock
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.managers import inside
from brakeline.protocol.messages import (
    Outcome,
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Transaction,
    TransactionResult,
    UpdateRef,
    UpdateState,
)

CONFIG_S_MAX = 60.0
LISTS = "/var/cache/brakeline/npm-lists.json"  # also in `agent.stamp`
HELD = "Held on this endpoint by its owner (/etc/brakeline/npm.hold, or a link of npm's)."


@dataclass(frozen=True, slots=True)
class NpmProvider:
    """npm of one endpoint. `work_dir`, `back_dir`: root's directories on the endpoint."""

    clock: Clock
    runner: Runner = field(default_factory=Machine)
    work_dir: str = "/var/lib/brakeline-helper/tx"
    stopping: Callable[[], bool] = bool
    name: str = "npm"
    rules: Rules = BUILT_IN
    back_dir: str = "/var/lib/brakeline-helper/back-npm"

    def inventory(self) -> tuple[Package, ...]:
        """Every global package and everything in the trees below them."""
        owned = self._lists().get("registries")
        return tuple(
            Package(p.name, p.architecture, p.version, p.name, p.version, p.state, origin(p.name, owned), "npm")
            for p in self._installed()
        )

    def _installed(self) -> tuple[Installed, ...]:
        return tuple(p for f in folders(self.runner) for p in installed(self.runner, f))

    def available(self) -> tuple[PendingUpdate, ...]:
        """What the last refresh found newer of the global packages, as far as it is still older here."""
        return self._waits(self._installed())

    def _waits(self, have: tuple[Installed, ...]) -> tuple[PendingUpdate, ...]:
        known = {(label, name): version for label, found in self._lists().get("newer", {}).items()
                 for name, version in found}  # fmt: skip
        waits = []
        for p in have:
            candidate = known.get((p.architecture, p.name), "")
            if candidate and older(p.version, candidate):
                state, reason = (UpdateState.HELD, HELD) if p.held else (UpdateState.AVAILABLE, "")
                waits.append(
                    PendingUpdate(p.name, p.architecture, p.version, candidate, "npm", False, state, reason)
                )  # fmt: skip
        return tuple(waits)

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        return self.inventory(), self.available()

    def health(self) -> PackageManagerHealth:
        """Packages that cannot be read, what a killed npm left, age and trouble of the lists. npm has no lock."""
        found = problems_of(self._installed())
        found += tuple(f"{path} was left behind by a run of npm that was ended" for f in folders(self.runner)
                       for path in leftovers(self.runner, f))  # fmt: skip
        lists = self._lists()
        return PackageManagerHealth(
            healthy=not found,
            problems=found,
            lists_refreshed_ms=int(lists.get("succeeded_ms", 0)),
            lists_problem=str(lists.get("problem", "")),
        )

    def reboot_need(self) -> RebootNeed:
        return RebootNeed(required=False)

    def _lists(self) -> dict[str, Any]:
        """What the last refresh wrote; a record that is damaged counts as none."""
        try:
            found = json.loads(self.runner.path(LISTS).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def refresh(self) -> Refreshed | Refused:
        """Ask the registry what is newer, folder by folder; what could not be asked keeps its last answer."""
        last, now = self._lists(), self.clock.now_ms()
        lists, trouble = dict(last.get("newer", {})), []
        for f in folders(self.runner):
            answer = self._newer(f)
            if isinstance(answer, Refused):
                trouble.append(answer)
            else:
                lists[f.label] = answer
        succeeded = int(last.get("succeeded_ms", 0)) if trouble else now
        problem = trouble[0].reason if trouble else ""
        owned = own_registries(self.runner.job(*NPM, "config", "list", timeout_s=CONFIG_S_MAX).text)
        record = {"tried_ms": now, "succeeded_ms": succeeded, "problem": problem, "newer": lists, "registries": owned}
        write_public(self.runner, LISTS, json.dumps(record))
        return trouble[0] if trouble else Refreshed(now)

    def _newer(self, folder: Folder) -> tuple[tuple[str, str], ...] | Refused:
        if told := foreign(self.runner, folder):
            return Refused("refused", f"Nothing is run that others could have written: {told}.")
        have = {p.name: p.version for p in installed(self.runner, folder) if p.architecture == folder.label}
        return Resolver(self.runner, folder).newer(have) if have else ()

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction, the trees of the packages included, from npm's own resolver."""
        asked = {u.name: u.version for u in updates}
        have = self._installed()
        tops = [p for p in have if not inside(p.architecture)]
        targets = [p for p in tops if asked.get(p.key, p.version) != p.version]
        if parts := [p.key for p in have if inside(p.architecture) and p.key in asked]:
            return Refused("refused", f"{rules.named(parts)}: a part of an application comes with an update of that.")
        if not targets:
            return Refused(
                "nothing_to_do", "Every update is installed already, or its package is not on this endpoint."
            )
        free = [p for p in targets if not p.held]
        if not free:
            return Refused("held", f"Held on this endpoint by its owner: {rules.named(p.name for p in targets)}.")
        labels = sorted({p.architecture for p in free})
        if len(labels) > 1:
            return Refused("several_managers", f"{rules.named(labels)} are folders apart: deploy to each alone.")
        folder = next(f for f in folders(self.runner) if f.label == labels[0])
        mine = tuple(p for p in have if any(belongs(t.name, folder.label, (p.name, p.architecture)) for t in free))
        found = Resolver(self.runner, folder).resolve([(p.name, asked[p.key]) for p in free], mine, bounds)
        if isinstance(found, Refused):
            return found
        refused = rules.refuse_broken(found.transaction, self.rules)
        skipped = tuple(f"{p.name} is held by the owner" for p in targets if p.held)
        names = tuple(p.name for p in free)
        return refused or Planned(found.transaction, rollback=names, skipped=skipped)

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Do exactly the ordered transaction, or refuse."""
        blank = self._blank(order, Outcome.REFUSED, "refused")
        applier = self._applier(order.transaction)
        if isinstance(applier, Refused):
            return replace(blank, code=applier.code, detail=applier.reason)
        return replace(applier.apply(order, blank, log), health=self.health(), ended_ms=self.clock.now_ms())

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        blank = self._blank(order, Outcome.INTERRUPTED, "interrupted_unchanged")
        applier = self._applier(order.transaction)
        if isinstance(applier, Refused):
            return replace(blank, detail=applier.reason)
        return replace(applier.recover(order, blank, log), health=self.health(), ended_ms=self.clock.now_ms())

    def _blank(self, order: Order, outcome: Outcome, code: str) -> TransactionResult:
        return TransactionResult(
            order.transaction_id, order.offer_id, order.rollout_id, order.generation, outcome, code, "",
            started_ms=self.clock.now_ms(),
        )  # fmt: skip

    def _applier(self, transaction: Transaction) -> NpmApplier | Refused:
        labels = {a.architecture.partition("-in-")[0] for a in transaction.actions}
        found = [f for f in folders(self.runner) if f.label in labels]
        if len(labels) != 1 or len(found) != 1:
            return Refused("refused", "The order is not for exactly one folder of npm on this endpoint.")
        trees = Trees(self.runner, found[0], self.back_dir)
        return NpmApplier(self.clock, self.runner, self.work_dir, found[0], trees, self.stopping)

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:  # noqa: ARG002 - it needs no registry: it always goes
        """What is left to do of the way back that was stored for this rollout."""
        stored = Trees(self.runner, Folder("npm", "/usr/local"), self.back_dir).keeper.stored(rollout_id)
        if stored is None:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        left = left_to_do(stored, by_key(self._installed()))
        return left if isinstance(left, Refused) else replace(stored, transaction=left)

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:  # noqa: ARG002
        """None: what a package of npm is configured by is outside of its directory, and npm touches none of it."""
        return ()

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        return rules.unproven(transaction, by_key(self._installed()))
