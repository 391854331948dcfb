"""The pip provider: the contract of `providers.model` over the environments of `pipx --global`, one at a time.

Reading needs no privilege and starts no Python, except `plan`, which asks the environment's own pip. `refresh` and
`apply` run as root, and only what root alone can write. Expected trouble comes back as values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, problems_of
from brakeline.agent.providers.beside import Beside
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.agent.providers.pip.apply import PipApplier
from brakeline.agent.providers.pip.environments import Environment, damage, environments, leftovers
from brakeline.agent.providers.pip.environments import installed as installed_in
from brakeline.agent.providers.pip.keep import Keeper
from brakeline.agent.providers.pip.report import newer, unreachable, why
from brakeline.agent.providers.pip.resolver import PIP, Resolver
from brakeline.protocol.messages import (
    Package,
    PendingUpdate,
    Transaction,
    UpdateRef,
    UpdateState,
)

REFRESH_S_MAX = 300.0
ORIGIN = "pip"
EXTERNAL = "its Python is the system's, which its distribution manages (PEP 668)"


@dataclass(frozen=True, slots=True)
class PipProvider(Beside):
    """pip of one endpoint. `work_dir`, `back_dir`: root's directories on the endpoint."""

    LISTS: ClassVar[str] = "/var/cache/brakeline/pip-lists.json"  # also in `agent.stamp`

    name: str = "pip"
    back_dir: str = "/var/lib/brakeline-helper/back-pip"

    def inventory(self) -> tuple[Package, ...]:
        """Every distribution of every environment, the system's own Python included."""
        return tuple(
            Package(p.name, p.architecture, p.version, p.name, p.version, p.state, ORIGIN, "pypi")
            for p in self.installed()
        )

    def installed(self) -> tuple[Installed, ...]:
        return tuple(p for e in environments(self.runner) for p in installed_in(self.runner, e))

    def available(self) -> tuple[PendingUpdate, ...]:
        """What the last refresh found newer, as far as it is still older here."""
        known, waits = self.lists.newer(), []
        for p in self.installed():
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

    def problems(self) -> tuple[str, ...]:
        """Half-installed distributions, and what a killed pip left. pip has no lock."""
        left = (line for e in environments(self.runner) for line in leftovers(self.runner, e))
        return problems_of(self.installed()) + tuple(left)

    def refresh(self) -> Refreshed | Refused:
        """Ask the index of each environment what is newer; what could not be asked keeps its last answer."""
        answers = [(e.label, self._newer(e)) for e in environments(self.runner) if e.changeable]
        return self.lists.asked_each(self.clock.now_ms(), answers)

    def _newer(self, environment: Environment) -> tuple[tuple[str, str], ...] | Refused:
        found = self._outdated(environment)
        return Refused(found.code, f"{environment.label}: {found.reason}") if isinstance(found, Refused) else found

    def _outdated(self, environment: Environment) -> tuple[tuple[str, str], ...] | Refused:
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
        targets = [p for p in self.installed() if asked.get(p.key, p.version) != p.version]
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
        have = installed_in(self.runner, environment)
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

    def applier(self, transaction: Transaction) -> PipApplier | Refused:
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

    def stored(self, rollout_id: str) -> Inverse | None:
        return Keeper(self.runner, self.back_dir).stored(rollout_id)

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        """Versions, and every file of every changed package."""
        found = self._environment(transaction)
        if isinstance(found, Refused):
            return (found.reason,)
        names = frozenset(a.name for a in transaction.actions if a.after)
        now = by_key(installed_in(self.runner, found))
        return rules.unproven(transaction, now) + damage(self.runner, found, names)
