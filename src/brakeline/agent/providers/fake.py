"""A provider in memory that keeps the same contract as the real ones: for tests, drills and demonstrations.

It passes the contract suite that apt passes (tests/contract). Its world is plain attributes: publish versions, hold
packages, take the lock, cut the network or the power; nothing here is patched from outside. Not thread-safe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, changes_between, problems_of
from brakeline.agent.providers.apt.inverse import inverse_of, left_to_do
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refreshed, Refused
from brakeline.core.clock import Clock
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Outcome,
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Transaction,
    TransactionResult,
    UpdateRef,
    UpdateState,
    WayBack,
)

ARCHITECTURE = "all"


class PowerCut(Exception):
    """The endpoint lost its power in the middle of a transaction."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version in the fake repository. `needs`: (package, version) that must be there too; `breaks`: must go."""

    name: str
    version: str
    suite: str = "Fake:1/stable"
    security: bool = False
    needs: tuple[UpdateRef, ...] = ()
    breaks: tuple[str, ...] = ()
    phased_out: bool = False  # the vendor has not reached this endpoint yet
    script_fails: bool = False
    download_bytes: int = 1000
    installed_kib: int = 10


@dataclass(slots=True)
class FakeProvider:
    """An endpoint's packages, all in memory."""

    clock: Clock
    published: list[Version] = field(default_factory=list)  # what the repositories have
    lists: list[Version] = field(default_factory=list)  # what this endpoint knows of it since the last refresh
    packages: dict[str, Installed] = field(default_factory=dict)  # by "name:architecture"
    locked_by: str = ""
    network: bool = True
    free_bytes: int = 1 << 30
    cut_power_after: int | None = None  # actions
    reboot: RebootNeed = field(default_factory=lambda: RebootNeed(required=False))
    before: dict[str, tuple[Installed, ...]] = field(default_factory=dict)  # snapshots by transaction id
    inverses: dict[str, Inverse] = field(default_factory=dict)  # by rollout id
    changed: dict[str, tuple[str, ...]] = field(default_factory=dict)  # package -> configuration files changed here
    refreshed_ms: int = 0
    refresh_problem: str = ""
    name: str = "fake"

    # --- the world ---

    def publish(self, *versions: Version) -> None:
        """Put versions into the repositories; endpoints know of them after their next refresh."""
        self.published += versions

    def have(self, name: str, version: str, state: str = "ii") -> None:
        """A package is installed."""
        package = Installed(name, ARCHITECTURE, version, name, version, state, 10)
        self.packages[package.key] = package

    def hold(self, name: str) -> None:
        """The endpoint's owner holds a package."""
        package = self.packages[f"{name}:{ARCHITECTURE}"]
        self.packages[package.key] = replace(package, state="h" + package.state[1:])

    # --- reading ---

    def inventory(self) -> tuple[Package, ...]:
        known = {(v.name, v.version): v.suite.partition(":")[0] for v in self.lists}
        return tuple(
            Package(
                p.name,
                p.architecture,
                p.version,
                p.source,
                p.source_version,
                p.state,
                known.get((p.name, p.version), ""),
            )
            for p in self.packages.values()
        )

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        return self.inventory(), self.available()

    def available(self) -> tuple[PendingUpdate, ...]:
        found = []
        for p in self.packages.values():
            newest = self._newest(p.name)
            if p.present and newest is not None and rules.is_older(p.version, newest.version):
                state, reason = self._state(p, newest)
                found.append(
                    PendingUpdate(
                        p.name, p.architecture, p.version, newest.version, newest.suite, newest.security, state, reason,
                        newest.download_bytes,
                    )
                )  # fmt: skip
        return tuple(sorted(found, key=lambda u: u.name))

    def _state(self, p: Installed, newest: Version) -> tuple[UpdateState, str]:
        if p.held:
            return UpdateState.HELD, "Held on this endpoint by its owner."
        if newest.phased_out:
            return UpdateState.PHASED, "Phased: not yet offered to this machine."
        found = self._resolve({p.name: newest.version})
        if isinstance(found, Refused):
            return UpdateState.KEPT_BACK, found.reason
        if gone := [a.name for a in found if a.kind is ActionKind.REMOVE]:
            return UpdateState.NEEDS_REMOVAL, f"Needs {rules.named(gone)} to be removed."
        if new := [a.name for a in found if a.kind is ActionKind.INSTALL]:
            return UpdateState.NEEDS_NEW, f"Needs new packages: {rules.named(new)}."
        return UpdateState.AVAILABLE, ""

    def health(self) -> PackageManagerHealth:
        problems = problems_of(self.packages.values())
        return PackageManagerHealth(not problems, problems, self.locked_by, self.refreshed_ms, self.refresh_problem)

    def reboot_need(self) -> RebootNeed:
        return self.reboot

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:
        return tuple(f for a in transaction.actions if a.before and a.after for f in self.changed.get(a.name, ()))

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        return rules.unproven(transaction, self.packages) + problems_of(self.packages.values())

    # --- planning ---

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        targets = rules.wanted(updates, self.packages.values())
        if not targets:
            return Refused("nothing_to_do", "Every update is installed already, or its package is not here.")
        free = [(p, v) for p, v in targets if not p.held]
        if not free:
            return Refused("held", f"Held by the owner: {rules.named(p.name for p, _ in targets)}.")
        others = [p for p in self.packages.values() if p.key not in {t.key for t, _ in free}]
        if problems := problems_of(others):
            return Refused("unhealthy", f"The package manager is broken: {rules.named(problems)}.")
        found = self._transaction({p.name: v for p, v in free}, bounds)
        if isinstance(found, Refused):
            return found
        known = {(v.name, v.version) for v in self.lists}
        changed = [a for a in found.actions if a.before]
        return Planned(
            found,
            tuple(a.name for a in changed if (a.name, a.before) in known),
            tuple(a.name for a in changed if (a.name, a.before) not in known),
            tuple(f"{p.name} is held by the owner" for p, _ in targets if p.held),
        )

    def _transaction(self, wanted: dict[str, str], bounds: Bounds) -> Transaction | Refused:
        actions = self._resolve(wanted)
        if isinstance(actions, Refused):
            return actions
        sizes = {(v.name, v.version): v for v in self.lists}
        taken = [sizes[a.name, a.after] for a in actions if a.after]
        download = sum(v.download_bytes for v in taken)
        found = rules.make_transaction(actions, download, sum(v.installed_kib * 1024 for v in taken))
        held = frozenset(p.key for p in self.packages.values() if p.held)
        if refused := rules.refuse_quarantined(found, bounds.without) or rules.refuse_beyond(found, bounds, held):
            return refused
        if self.free_bytes < download + max(0, found.disk_bytes) + bounds.disk_reserve_bytes:
            return Refused("no_space", f"Too little disk space: {self.free_bytes} bytes are free.")
        return found

    def _resolve(self, wanted: dict[str, str]) -> tuple[Action, ...] | Refused:
        actions: dict[str, Action] = {}
        queue = list(wanted.items())
        while queue:
            name, version = queue.pop()
            offered = next((v for v in self.lists if (v.name, v.version) == (name, version)), None)
            if offered is None:
                newest = self._newest(name)
                gone = newest is not None and rules.is_older(version, newest.version)
                code, why = ("refused", "cannot be had any more") if gone else ("lists_stale", "is not in the lists")
                return Refused(code, f"{name} {version} {why}.")
            was = self.packages.get(f"{name}:{ARCHITECTURE}")
            before = was.version if was is not None and was.present else ""
            kind = ActionKind.UPGRADE if before else ActionKind.INSTALL
            actions[name] = Action(kind, name, ARCHITECTURE, before, version)
            queue += [(n.name, n.version) for n in offered.needs if n.name not in actions and self._lacks(n)]
            for gone_name in offered.breaks:
                victim = self.packages.get(f"{gone_name}:{ARCHITECTURE}")
                if victim is not None and victim.present:
                    actions[gone_name] = Action(ActionKind.REMOVE, gone_name, ARCHITECTURE, victim.version, "")
        return tuple(actions.values())

    def _lacks(self, need: UpdateRef) -> bool:
        have = self.packages.get(f"{need.name}:{ARCHITECTURE}")
        return have is None or not have.present or rules.is_older(have.version, need.version)

    def _newest(self, name: str) -> Version | None:
        best = None
        for v in self.lists:
            if v.name == name and (best is None or rules.is_older(best.version, v.version)):
                best = v
        return best

    # --- changing ---

    def refresh(self) -> Refreshed | Refused:
        if self.locked_by:
            return Refused("locked", f"The package lists are locked by {self.locked_by}.")
        if not self.network:
            self.refresh_problem = "The repositories could not be reached."
            return Refused("no_network", self.refresh_problem)
        self.lists, self.refreshed_ms, self.refresh_problem = list(self.published), self.clock.now_ms(), ""
        return Refreshed(self.refreshed_ms)

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        if refused := self._refusal(order):
            log(f"Refused, nothing was changed: {refused.reason}")
            return self._result(order, Outcome.REFUSED, refused.code, refused.reason)
        before = tuple(self.packages.values())
        self.before[order.transaction_id] = before
        if order.inverse is None:
            back = Inverse(order.transaction_id, order.rollout_id, inverse_of(order.transaction), ())
            self.inverses[order.rollout_id] = back
        failed = ""
        for count, action in enumerate(order.transaction.actions):
            if self.cut_power_after == count:
                raise PowerCut
            failed = self._carry_out(action) or failed
            log(f"{action.kind.value} {action.name} {action.after}")
        wrong = self.verify(order.transaction)
        outcome, code = (Outcome.FAILED, "maintainer_script_failed") if wrong else (Outcome.INSTALLED, "ok")
        detail = f"{failed}: its maintainer script failed." if wrong else "Every package is as ordered."
        return replace(
            self._result(order, outcome, code, detail), changes=changes_between(before, self.packages.values()),
            way_back=self._way_back(order),
        )  # fmt: skip

    @staticmethod
    def _way_back(order: Order) -> WayBack:
        if order.inverse is not None:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        return WayBack(True, len(order.transaction.actions))

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:  # noqa: ARG002 - here it always goes
        stored = self.inverses.get(rollout_id)
        if stored is None:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        found = left_to_do(stored, self.packages)
        return found if isinstance(found, Refused) else replace(stored, transaction=found)

    def _refusal(self, order: Order) -> Refused | None:
        if self.locked_by:
            return Refused("lock_timeout", f"The lock is held by {self.locked_by}.")
        if not rules.unproven(order.transaction, self.packages):
            return Refused("nothing_to_do", "Everything that was ordered is installed already.")
        if order.inverse is not None:
            return None
        wanted = {a.name: a.after for a in order.transaction.actions if a.before and a.after}
        found = self._transaction(wanted, order.bounds)
        if isinstance(found, Refused):
            code = found.code if found.code in ("no_space", "held") else "changed"
            return Refused(code, f"The situation has changed since the plan: {found.reason}")
        if unlike := rules.difference(order.transaction, found):
            return Refused("changed", f"The situation has changed since the plan: {unlike}.")
        return None if self.network else Refused("network", "The packages could not be downloaded.")

    def _carry_out(self, action: Action) -> str:
        """The name of the package if its maintainer script failed."""
        key = f"{action.name}:{action.architecture}"
        if action.kind is ActionKind.REMOVE:
            del self.packages[key]
            return ""
        known = (v for v in self.lists if (v.name, v.version) == (action.name, action.after))
        fails = any(v.script_fails for v in known)
        self.have(action.name, action.after, "iF" if fails else "ii")
        return action.name if fails else ""

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        before = self.before.get(order.transaction_id)
        changes = changes_between(before, self.packages.values()) if before is not None else ()
        wrong = rules.unproven(order.transaction, by_key(self.packages.values()))
        log("Examined after a lost run.")
        if not changes:
            code, detail = "interrupted_unchanged", "The run was lost before anything was changed."
        elif problems := problems_of(self.packages.values()):
            code, detail = "interrupted_broken", f"The run was lost. Still broken: {rules.named(problems)}."
        elif wrong:
            code, detail = "interrupted_partial", f"The run was lost. {rules.named(wrong)}."
        else:
            code, detail = "interrupted_complete", "The run was lost. Every package is as ordered and sound."
        return replace(self._result(order, Outcome.INTERRUPTED, code, detail), changes=changes)

    def _result(self, order: Order, outcome: Outcome, code: str, detail: str) -> TransactionResult:
        now = self.clock.now_ms()
        return TransactionResult(
            order.transaction_id, order.offer_id, order.rollout_id, order.generation, outcome, code, detail,
            health=self.health(), started_ms=now, ended_ms=now,
        )  # fmt: skip
