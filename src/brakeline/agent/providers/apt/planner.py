"""Asks apt for the exact transaction of some updates and checks it against bounds, health and disk space.

Everything that can be expected to stand in the way is a `Refused` with its code. Nothing is changed, nothing is
locked, no privilege is needed. Next: `apply` runs what came out of here, after asking again.
"""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.disk import ARCHIVES, Disk, archive_name, mount_of
from brakeline.agent.providers.apt.dpkg import Installed, by_key
from brakeline.agent.providers.apt.parse import Policy, Simulation
from brakeline.agent.providers.apt.queries import Queries, Records, apt_name
from brakeline.agent.providers.apt.space import needed, too_small
from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.protocol.content import BUILT_IN, Rules
from brakeline.protocol.messages import Action, ActionKind, Transaction, UpdateRef


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans on one endpoint."""

    queries: Queries
    disk: Disk
    content: Rules = BUILT_IN

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction for `updates`, or why there is none now."""
        installed = self.queries.installed()
        targets = rules.wanted(updates, installed)
        if not targets:
            return Refused(
                "nothing_to_do", "Every update is installed already, or its package is not on this endpoint."
            )
        free = tuple((p, v) for p, v in targets if not p.held)
        skipped = tuple(f"{p.name} is held on this endpoint by its owner" for p, _ in targets if p.held)
        if not free:
            names = rules.named(p.name for p, _ in targets)
            return Refused("held", f"Held back on this endpoint by its owner: {names}.")
        native = self.queries.native()
        if refused := self.sick(installed, {p.key for p, _ in free}) or self._not_to_be_had(free, native):
            return refused
        found = self._settled(rules.named_versions(free), installed, bounds)
        if isinstance(found, Refused):
            return found
        records = self.records(found)
        found = self.sized(found, installed, records)
        held = frozenset(p.key for p in installed if p.held)
        refused = rules.refuse_broken(found, self.content) or rules.refuse_quarantined(found, bounds.without)
        refused = refused or rules.refuse_beyond(found, bounds, held)
        if refused := refused or self._too_small(found, installed, records, bounds):
            return refused
        back, gone = self._ways_back(found, native)
        return Planned(found, back, gone, skipped)

    def sick(self, installed: tuple[Installed, ...], targets: set[str]) -> Refused | None:
        """A package that is broken now poisons every run, unless this very update replaces it."""
        others = [p for p in installed if p.key not in targets]
        targeted = {p.name for p in installed if p.key in targets}
        problems = [x for x in self.queries.problems(others) if x.partition(":")[0] not in targeted]
        if problems:
            return Refused("unhealthy", f"The package manager is broken: {rules.named(problems)}.")
        return None

    def _not_to_be_had(self, targets: tuple[tuple[Installed, str], ...], native: str) -> Refused | None:
        policies = self.queries.policies(apt_name(p.name, p.architecture, native) for p, _ in targets)
        for p, version in targets:
            policy = policies.get(apt_name(p.name, p.architecture, native))
            entry = policy.entry(version) if policy else None
            if entry is None or not entry.sources:
                return self._missing(p, version, policy)
        return None

    def _missing(self, p: Installed, version: str, policy: Policy | None) -> Refused:
        candidate = policy.candidate if policy else ""
        if candidate and rules.is_older(version, candidate):
            return Refused(
                "refused", f"{p.name} {version} cannot be had any more; the repositories now have {candidate}."
            )
        return Refused("lists_stale", f"{p.name} {version} is not in this endpoint's package lists.")

    def _settled(
        self, wanted: tuple[str, ...], installed: tuple[Installed, ...], bounds: Bounds
    ) -> Transaction | Refused:
        """The transaction, proven to be what apt does when it is told all its versions: so it is told in `apply`.

        Where nothing follows from what was asked, that is the very command that was run just now.
        """
        first = self.simulate(wanted, installed, bounds)
        if isinstance(first, Refused) or rules.arguments(first) == wanted:
            return first
        second = self.simulate(rules.arguments(first), installed, bounds)
        if isinstance(second, Refused):
            return second
        if unlike := rules.difference(first, second):
            return Refused("refused", f"apt does not come to the same transaction twice: {unlike}.")
        return second

    def simulate(
        self, wanted: tuple[str, ...], installed: tuple[Installed, ...], bounds: Bounds
    ) -> Transaction | Refused:
        """What apt would do for these arguments now."""
        return as_transaction(self.queries.simulate(*self.options(bounds), "install", *wanted), installed)

    @staticmethod
    def options(bounds: Bounds) -> tuple[str, ...]:
        """Options that a simulation and the real run share, so that both come to the same transaction."""
        recommends = () if bounds.allow_new_packages else ("--no-install-recommends",)
        downgrades = ("--allow-downgrades",) if bounds.allow_downgrades else ()
        return (*recommends, *downgrades)

    def sized(self, found: Transaction, installed: tuple[Installed, ...], records: Records) -> Transaction:
        """With what is to be fetched and what it takes on disk. `records`: see there."""
        have, growth = by_key(installed), 0
        for a in found.actions:
            was = have.get(f"{a.name}:{a.architecture}")
            growth -= was.installed_kib * 1024 if was is not None and was.present else 0
            if a.kind is not ActionKind.REMOVE:
                growth += int(records.get((a.name, a.after), {}).get("installed-size", "0")) * 1024
        return rules.make_transaction(found.actions, self.disk.to_download(archives(found, records)), growth)

    def records(self, transaction: Transaction) -> Records:
        """Package records of everything that the transaction would unpack, by name and version; asked once a run."""
        new = [a for a in transaction.actions if a.kind is not ActionKind.REMOVE]
        return self.queries.records(rules.argument(a.name, a.architecture, a.after) for a in new) if new else {}

    def lies_ready(self, found: Transaction, records: Records) -> bool:
        """Whether apt would fetch nothing: it looks for names and sizes in its cache, as this does."""
        return all(size and self.disk.cached(name, size) for name, size in archives(found, records).items())

    def _too_small(
        self, found: Transaction, installed: tuple[Installed, ...], records: Records, bounds: Bounds
    ) -> Refused | None:
        short = self.shortage(found, installed, records, bounds)
        return Refused("no_space", f"Too little disk space: {short}.") if short else None

    def shortage(
        self, found: Transaction, installed: tuple[Installed, ...], records: Records, bounds: Bounds
    ) -> str:  # fmt: skip
        """ "" or which file systems are too small for the transaction."""
        mounts = self.disk.mounts()
        have = by_key(installed)
        unpackings = []
        for a in found.actions:
            kib = int(records.get((a.name, a.after), {}).get("installed-size", "0"))
            unpackings.append(self.disk.unpacking(a, kib, have.get(f"{a.name}:{a.architecture}"), mounts))
        need = needed(unpackings, found.download_bytes, mount_of(ARCHIVES, mounts), mount_of("/boot", mounts))
        return too_small(need, self.disk.systems(mounts), bounds.disk_reserve_bytes)

    def _ways_back(self, found: Transaction, native: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Packages whose old version can still be had (a repository or the download cache has it), and the others."""
        changed = [a for a in found.actions if a.before]
        policies = self.queries.policies(apt_name(a.name, a.architecture, native) for a in changed)
        back: list[str] = []
        gone: list[str] = []
        for a in changed:
            policy = policies.get(apt_name(a.name, a.architecture, native))
            entry = policy.entry(a.before) if policy else None
            had = bool(entry and entry.sources) or self._archived(a)
            (back if had else gone).append(a.name)
        return tuple(back), tuple(gone)

    def _archived(self, action: Action) -> bool:
        name = archive_name(action.name, action.before, action.architecture)
        return self.disk.runner.path(f"{ARCHIVES}/{name}").is_file()


def archives(found: Transaction, records: Records) -> dict[str, int]:
    """The archives of everything that is unpacked: file name in apt's cache -> size, 0 = not known."""
    return {
        archive_name(a.name, a.after, a.architecture): int(records.get((a.name, a.after), {}).get("size", "0"))
        for a in found.actions
        if a.kind is not ActionKind.REMOVE
    }


def as_transaction(simulation: Simulation, installed: tuple[Installed, ...]) -> Transaction | Refused:
    """A simulation as a transaction; apt's own reason if it would do nothing."""
    if simulation.errors:
        reason = simulation.unmet[0] if simulation.unmet else simulation.errors[0]
        return Refused("refused", f"apt finds no way to do this: {reason}")
    found = rules.transaction_of(simulation, by_key(installed))
    return found if found.actions else Refused("nothing_to_do", "apt finds nothing to change.")
