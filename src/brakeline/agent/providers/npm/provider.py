"""The npm provider: the contract of `providers.model` over the global packages of one endpoint, a folder at a time.

Reading needs no privilege and starts no Node.js, except `plan`, which asks npm's own resolver in an empty directory.
`refresh` and `apply` run as root, and only where root alone can write. Expected trouble comes back as values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, problems_of
from brakeline.agent.providers.beside import Beside
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.agent.providers.npm.answers import older, origin, own_registries
from brakeline.agent.providers.npm.apply import NpmApplier
from brakeline.agent.providers.npm.folders import Folder, folders, foreign, leftovers
from brakeline.agent.providers.npm.folders import installed as installed_in
from brakeline.agent.providers.npm.keep import Trees
from brakeline.agent.providers.npm.resolver import NPM, Resolver
from brakeline.protocol.managers import belongs, inside
from brakeline.protocol.messages import (
    Package,
    PendingUpdate,
    Transaction,
    UpdateRef,
    UpdateState,
)

CONFIG_S_MAX = 60.0
HELD = "Held on this endpoint by its owner (/etc/brakeline/npm.hold, or a link of npm's)."


@dataclass(frozen=True, slots=True)
class NpmProvider(Beside):
    """npm of one endpoint. `work_dir`, `back_dir`: root's directories on the endpoint."""

    LISTS: ClassVar[str] = "/var/cache/brakeline/npm-lists.json"  # also in `agent.stamp`

    name: str = "npm"
    back_dir: str = "/var/lib/brakeline-helper/back-npm"

    def inventory(self) -> tuple[Package, ...]:
        """Every global package and everything in the trees below them."""
        owned = self.lists.read().get("registries")
        return tuple(
            Package(p.name, p.architecture, p.version, p.name, p.version, p.state, origin(p.name, owned), "npm")
            for p in self.installed()
        )

    def installed(self) -> tuple[Installed, ...]:
        return tuple(p for f in folders(self.runner) for p in installed_in(self.runner, f))

    def available(self) -> tuple[PendingUpdate, ...]:
        """What the last refresh found newer of the global packages, as far as it is still older here."""
        return self._waits(self.installed())

    def _waits(self, have: tuple[Installed, ...]) -> tuple[PendingUpdate, ...]:
        known = self.lists.newer()
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

    def problems(self) -> tuple[str, ...]:
        """Packages that cannot be read, and what a killed npm left. npm has no lock."""
        left = (path for f in folders(self.runner) for path in leftovers(self.runner, f))
        return problems_of(self.installed()) + tuple(
            f"{path} was left behind by a run of npm that was ended" for path in left
        )

    def refresh(self) -> Refreshed | Refused:
        """Ask the registry what is newer, folder by folder; what could not be asked keeps its last answer."""
        answers = [(f.label, self._newer(f)) for f in folders(self.runner)]
        owned = own_registries(self.runner.job(*NPM, "config", "list", timeout_s=CONFIG_S_MAX).text)
        return self.lists.asked_each(self.clock.now_ms(), answers, registries=owned)

    def _newer(self, folder: Folder) -> tuple[tuple[str, str], ...] | Refused:
        if told := foreign(self.runner, folder):
            return Refused("refused", f"Nothing is run that others could have written: {told}.")
        have = {p.name: p.version for p in installed_in(self.runner, folder) if p.architecture == folder.label}
        return Resolver(self.runner, folder).newer(have) if have else ()

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction, the trees of the packages included, from npm's own resolver."""
        asked = {u.name: u.version for u in updates}
        have = self.installed()
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

    def applier(self, transaction: Transaction) -> NpmApplier | Refused:
        labels = {a.architecture.partition("-in-")[0] for a in transaction.actions}
        found = [f for f in folders(self.runner) if f.label in labels]
        if len(labels) != 1 or len(found) != 1:
            return Refused("refused", "The order is not for exactly one folder of npm on this endpoint.")
        trees = Trees(self.runner, found[0], self.back_dir)
        return NpmApplier(self.clock, self.runner, self.work_dir, found[0], trees, self.stopping)

    def stored(self, rollout_id: str) -> Inverse | None:
        return Trees(self.runner, Folder("npm", "/usr/local"), self.back_dir).keeper.stored(rollout_id)
