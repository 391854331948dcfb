"""Asks pacman for the whole upgrade and checks it against the updates asked for, bounds, health and disk space.

Nothing is changed, nothing is locked, no privilege is needed. Next: `apply` runs what came out of here, after asking
again.
"""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.agent.providers.apt import plan as bounded
from brakeline.agent.providers.apt.disk import Disk, mount_of
from brakeline.agent.providers.apt.space import Unpacking, needed, too_small
from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.agent.providers.pacman import plan as rules
from brakeline.agent.providers.pacman.again import explain_again, half_installed
from brakeline.agent.providers.pacman.parse import Configuration, Metadata, Simulation
from brakeline.agent.providers.pacman.queries import Queries
from brakeline.agent.providers.pacman.records import Installed, by_name
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import Transaction, UpdateRef


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The whole upgrade as it would go now."""

    simulation: Simulation
    metadata: dict[str, Metadata]
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans on one endpoint."""

    queries: Queries
    content: Rules = BUILT_IN

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction, which has all of `updates`, or why there is none now."""
        known = self.queries.configuration()
        installed = self.queries.installed(known)
        due = rules.due(updates, installed, self.queries.compare)
        if not due:
            return Refused(
                "nothing_to_do", "Every update is installed already, or its package is not on this endpoint."
            )
        held = tuple(
            f"{p.name} is held on this endpoint by its owner ({rules.held_by(known, p.name)})" for p in due if p.held
        )
        if all(p.held for p in due):
            return Refused("held", f"Held back on this endpoint by its owner: {bounded.named(p.name for p in due)}.")
        again = half_installed(installed, (p.name for p in due))
        if problems := self.queries.problems(installed, again):
            return Refused("unhealthy", f"The package manager is broken: {bounded.named(problems)}.")
        found = self.upgrade(known, installed, bounds, again)
        if isinstance(found, Refused):
            return found
        refused = rules.refuse_unasked(updates, found.transaction, installed, self.queries.compare)
        if refused := refused or self.refuse(found.transaction, installed, bounds):
            return refused
        if short := self.shortage(known, found, installed, bounds):
            return Refused("no_space", f"Too little disk space: {short}.")
        back, gone = self._ways_back(known, found.transaction)
        more = rules.explain_whole(updates, found.transaction)
        return Planned(found.transaction, back, gone, (*held, *explain_again(again), *more))

    def upgrade(
        self, known: Configuration, installed: tuple[Installed, ...], bounds: Bounds, again: tuple[str, ...] = ()
    ) -> Upgrade | Refused:
        """What pacman would do, with what goes away; refused where pacman finds no way or would have to ask."""
        simulation = self.queries.simulate(known, again)
        if simulation.errors:
            return Refused("refused", f"pacman finds no way to do this: {'; '.join(simulation.errors[:3])}.")
        if not simulation.adds:
            return Refused("nothing_to_do", "pacman finds nothing to upgrade.")
        metadata = self.queries.metadata(known, (a.name for a in simulation.adds))
        replaced, conflicting = rules.goes_away(simulation, metadata, installed, self.queries.compare)
        if refused := rules.refuse_conflicts(conflicting, bounds):
            return refused
        gone = [p for p, _ in (*replaced, *conflicting)]
        return Upgrade(simulation, metadata, rules.transaction_of(simulation, metadata, installed, gone))

    def refuse(self, found: Transaction, installed: tuple[Installed, ...], bounds: Bounds) -> Refused | None:
        """What content, quarantine and bounds say against it."""
        held = frozenset(p.key for p in installed if p.held)
        refused = bounded.refuse_broken(found, self.content) or bounded.refuse_quarantined(found, bounds.without)
        return refused or bounded.refuse_beyond(found, bounds, held)

    def shortage(
        self, known: Configuration, found: Upgrade, installed: tuple[Installed, ...], bounds: Bounds
    ) -> str:  # fmt: skip
        """ "" or which file systems are too small. pacman unpacks package by package, as dpkg does."""
        disk, have = Disk(self.queries.runner), by_name(installed)
        mounts = disk.mounts()
        unpackings = []
        for a in found.simulation.adds:
            new = found.metadata.get(a.name, Metadata(a.name)).installed_bytes
            old = have[a.name].installed_bytes if a.name in have else 0
            unpackings.append(Unpacking(a.name, old, new, {mount_of("/usr/lib", mounts): 1.0}))
        cache = mount_of(known.caches[0].rstrip("/"), mounts)
        need = needed(unpackings, found.transaction.download_bytes, cache, mount_of("/boot", mounts))
        return too_small(need, disk.systems(mounts), bounds.disk_reserve_bytes)

    def _ways_back(self, known: Configuration, found: Transaction) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Packages whose former version lies in pacman's cache, and the others."""
        cached = self.queries.cached(known)
        back: list[str] = []
        gone: list[str] = []
        for a in found.actions:
            if a.before:
                (back if rules.archive_of(a.name, a.before, a.architecture, cached) else gone).append(a.name)
        return tuple(back), tuple(gone)
