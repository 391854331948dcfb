"""The pip provider: the contract of `providers.model` over the environments of `pipx --global`, one at a time.

Reading needs no privilege and starts no Python, except `plan`, which asks the environment's own pip. `refresh` and
`apply` run as root, and only what root alone can write. Expected trouble comes back as values.
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
from brakeline.agent.providers.pip.apply import PipApplier
from brakeline.agent.providers.pip.environments import Environment, damage, environments, installed, leftovers
from brakeline.agent.providers.pip.keep import Keeper
from brakeline.agent.providers.pip.report import newer, unreachable, why
from brakeline.agent.providers.pip.resolver import PIP, Resolver
from brakeline.core.clock import Clock
from brakeline.protocol.content import BUILT_IN, Rules
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

LISTS = "/var/cache/brakeline/pip-lists.json"  # also in `agent.stamp`
REFRESH_S_MAX = 300.0
ORIGIN = "pip"
EXTERNAL = "its Python is the system's, which its distribution manages (PEP 668)"


@dataclass(frozen=True, slots=True)
class PipProvider:
    """pip of one endpoint. `work_dir`, `back_dir`: root's directories on the endpoint."""

    clock: Clock
    runner: Runner = field(default_factory=Machine)
    work_dir: str = "/var/lib/brakeline-helper/tx"
    stopping: Callable[[], bool] = bool
    name: str = "pip"
    rules: Rules = BUILT_IN
    back_dir: str = "/var/lib/brakeline-helper/back-pip"

    def inventory(self) -> tuple[Package, ...]:
        """Every distribution of every environment, the system's own Python included."""
        return tuple(
            Package(p.name, p.architecture, p.version, p.name, p.version, p.state, ORIGIN, "pypi")
            for p in self._installed()
        )

    def _installed(self) -> tuple[Installed, ...]:
        return tuple(p for e in environments(self.runner) for p in installed(self.runner, e))

    def available(self) -> tuple[PendingUpdate, ...]:
        """What the last refresh found newer, as far as it is still older here."""
        lists = self._lists().get("newer", {})
        known = {(label, name): version for label, found in lists.items() for name, version in found}
        waits = []
        for p in self._installed():
            candidate = known.get((p.architecture, p.name), p.version)
            if candidate != p.version:
                state = UpdateState.HELD if p.held else UpdateState.AVAILABLE
                reason = "Pinned on this endpoint by its owner (pipx pin)." if p.held else ""
                waits.append(
                    PendingUpdate(p.name, p.architecture, p.version, candidate, "pip", False, state, reason)
                )  # fmt: skip
        return tuple(waits)

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        return self.inventory(), self.available()

    def health(self) -> PackageManagerHealth:
        """Half-installed distributions, what a killed pip left, age and trouble of the lists. pip has no lock."""
        found = problems_of(self._installed())
        found += tuple(line for e in environments(self.runner) for line in leftovers(self.runner, e))
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
        """Ask the index of each environment what is newer; what could not be asked keeps its last answer."""
        last, now = self._lists(), self.clock.now_ms()
        lists, trouble = dict(last.get("newer", {})), []
        for e in environments(self.runner):
            if e.changeable:
                answer = self._newer(e)
                if isinstance(answer, Refused):
                    trouble.append((answer.code, f"{e.label}: {answer.reason}"))
                else:
                    lists[e.label] = answer
        succeeded = int(last.get("succeeded_ms", 0)) if trouble else now
        problem = trouble[0][1] if trouble else ""
        record = {"tried_ms": now, "succeeded_ms": succeeded, "problem": problem, "newer": lists}
        write_public(self.runner, LISTS, json.dumps(record))
        return Refused(*trouble[0]) if trouble else Refreshed(now)

    def _newer(self, environment: Environment) -> tuple[tuple[str, str], ...] | Refused:
        if foreign := Resolver(self.runner, environment).foreign():
            return Refused("refused", f"Nothing is run that others could have written: {foreign}.")
        words = (*PIP, "list", "--outdated", "--format=json")
        ran = self.runner.job(environment.python, *words, timeout_s=REFRESH_S_MAX)
        if ran.timed_out or unreachable(ran.text):
            return Refused("no_network", "The package index could not be reached.")
        found = newer(ran.text)
        return why(ran.text) if found is None else found

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction, from pip's own resolver over the whole environment."""
        asked = {u.name: u.version for u in updates}
        targets = [p for p in self._installed() if asked.get(p.key, p.version) != p.version]
        if not targets:
            return Refused(
                "nothing_to_do", "Every update is installed already, or its package is not on this endpoint."
            )
        free = [p for p in targets if not p.held]
        if not free:
            return Refused("held", f"Pinned on this endpoint by its owner: {rules.named(p.name for p in targets)}.")
        labels = sorted({p.architecture for p in free})
        if len(labels) > 1:
            return Refused("several_managers", f"{rules.named(labels)} are environments apart: deploy to each alone.")
        environment = next(e for e in environments(self.runner) if e.label == labels[0])
        if not environment.changeable:
            return Refused("externally_managed", f"{rules.named(p.name for p in free)} stays as it is: {EXTERNAL}.")
        have = installed(self.runner, environment)
        if problems := problems_of(p for p in have if p.key not in {f.key for f in free}):
            return Refused("unhealthy", f"The environment is broken: {rules.named(problems)}.")
        resolver = Resolver(self.runner, environment)
        if foreign := resolver.foreign():
            return Refused("refused", f"Nothing is run that others could have written: {foreign}.")
        found = resolver.resolve([(p.name, asked[p.key]) for p in free], have, bounds)
        if isinstance(found, Refused):
            return found
        refused = rules.refuse_broken(found.transaction, self.rules)
        skipped = tuple(f"{p.name} is pinned by the owner" for p in targets if p.held)
        return refused or Planned(found.transaction, skipped=skipped)  # a way back shows when it is stored

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

    def _applier(self, transaction: Transaction) -> PipApplier | Refused:
        found = self._environment(transaction)
        if isinstance(found, Refused):
            return found
        keeper = Keeper(self.runner, self.back_dir)
        return PipApplier(self.clock, self.runner, self.work_dir, found, keeper, self.stopping)

    def _environment(self, transaction: Transaction) -> Environment | Refused:
        labels = {a.architecture for a in transaction.actions}
        found = [e for e in environments(self.runner) if e.label in labels]
        if len(labels) != 1 or len(found) != 1:
            return Refused("refused", "The order is not for exactly one environment of this endpoint.")
        return found[0] if found[0].changeable else Refused("externally_managed", f"Nothing was changed: {EXTERNAL}.")

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:  # noqa: ARG002 - it needs no index: it always goes
        """What is left to do of the way back that was stored for this rollout."""
        stored = Keeper(self.runner, self.back_dir).stored(rollout_id)
        if stored is None:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        left = left_to_do(stored, by_key(self._installed()))
        return left if isinstance(left, Refused) else replace(stored, transaction=left)

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:  # noqa: ARG002
        """None: what an application of Python is configured by is outside of its environment, and pip touches none."""
        return ()

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        found = self._environment(transaction)
        if isinstance(found, Refused):
            return (found.reason,)
        names = frozenset(a.name for a in transaction.actions if a.after)
        now = by_key(installed(self.runner, found))
        return rules.unproven(transaction, now) + damage(self.runner, found, names)
