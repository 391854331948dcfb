"""The flatpak provider: the contract of `providers.model` over the system-wide installation of one endpoint.

Reading starts no flatpak and needs no privilege, `plan` included: it goes by what the last `refresh` was told by the
remotes. `refresh` and `apply` run as root. Expected trouble comes back as values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key, problems_of
from brakeline.agent.providers.apt.inverse import left_to_do
from brakeline.agent.providers.apt.runner import Machine, Runner
from brakeline.agent.providers.flatpak.apply import FlatpakApplier
from brakeline.agent.providers.flatpak.lists import Lists
from brakeline.agent.providers.flatpak.refs import Head, older, parse_ref
from brakeline.agent.providers.flatpak.store import Store
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refreshed, Refused
from brakeline.agent.providers.pip.keep import Keeper
from brakeline.core.clock import Clock
from brakeline.protocol.content import BUILT_IN, Rules
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
)

MASKED = "Masked on this endpoint by its owner (flatpak mask)."


@dataclass(frozen=True, slots=True)
class FlatpakProvider:
    """flatpak of one endpoint. `work_dir`, `back_dir`: root's directories on the endpoint."""

    clock: Clock
    runner: Runner = field(default_factory=Machine)
    work_dir: str = "/var/lib/brakeline-helper/tx"
    stopping: Callable[[], bool] = bool
    name: str = "flatpak"
    rules: Rules = BUILT_IN
    back_dir: str = "/var/lib/brakeline-helper/back-flatpak"
    sleep: Callable[[float], None] = time.sleep

    @property
    def store(self) -> Store:
        return Store(self.runner)

    def inventory(self) -> tuple[Package, ...]:
        """Every application and runtime, with the remote it comes from."""
        return self._inventory(self.store.installed())

    def _inventory(self, have: tuple[Installed, ...]) -> tuple[Package, ...]:
        return tuple(
            Package(p.name, p.architecture, p.version, p.name, p.version, p.state,
                    self.store.origin(self.store.ref_of(p.name, p.architecture)), "flatpak")
            for p in have
        )  # fmt: skip

    def available(self) -> tuple[PendingUpdate, ...]:
        """What the last refresh found newer, as far as it is still older here."""
        return self._waits(self.store.installed())

    def _waits(self, have: tuple[Installed, ...]) -> tuple[PendingUpdate, ...]:
        heads, waits = Lists(self.runner).heads(), []
        for p in have:
            ref = str(self.store.ref_of(p.name, p.architecture))
            newest = heads[ref][-1] if heads.get(ref) else None
            if newest is not None and older(p.version, newest.version):
                state, reason = self._state(p, newest, heads)
                waits.append(
                    PendingUpdate(p.name, p.architecture, p.version, newest.version, newest.remote, False, state,
                                  reason, newest.download_bytes)
                )  # fmt: skip
        return tuple(waits)

    def _state(self, p: Installed, newest: Head, heads: Mapping[str, tuple[Head, ...]]) -> tuple[UpdateState, str]:
        if p.held:
            return UpdateState.HELD, MASKED
        if not newest.runtime or self._has(newest.runtime):
            return UpdateState.AVAILABLE, ""
        if heads.get(newest.runtime):
            return UpdateState.NEEDS_NEW, f"Needs {newest.runtime} to be installed."
        return UpdateState.KEPT_BACK, f"Needs {newest.runtime}, which its remote does not have."

    def _has(self, ref: str) -> bool:
        found = parse_ref(ref)
        return found is not None and bool(self.store.active(found))

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        have = self.store.installed()
        return self._inventory(have), self._waits(have)

    def health(self) -> PackageManagerHealth:
        """What is deployed only half, who holds the lock, age and trouble of the lists."""
        found, lists = problems_of(self.store.installed()), Lists(self.runner).read()
        return PackageManagerHealth(
            healthy=not found,
            problems=found,
            lock_holder=self.store.lock_holder(),
            lists_refreshed_ms=int(lists.get("succeeded_ms", 0)),
            lists_problem=str(lists.get("problem", "")),
        )

    def reboot_need(self) -> RebootNeed:
        return RebootNeed(required=False)

    def refresh(self) -> Refreshed | Refused:
        """Ask the remotes what they have; what could not be asked keeps its last answer."""
        return Lists(self.runner).refresh(self.clock.now_ms())

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact transaction: commits, and runtimes that they need and that are not here."""
        asked = {u.name: u.version for u in updates}
        have = self.store.installed()
        targets = [p for p in have if asked.get(p.key, p.version) != p.version]
        if not targets:
            return Refused(
                "nothing_to_do", "Every update is installed already, or its package is not on this endpoint."
            )
        free = [p for p in targets if not p.held]
        if not free:
            return Refused("held", f"Masked on this endpoint by its owner: {rules.named(p.name for p in targets)}.")
        if holder := self.store.lock_holder():
            return Refused("locked", f"flatpak's lock is held by {holder}.")
        actions = self._actions(free, asked)
        if isinstance(actions, Refused):
            return actions
        made = rules.make_transaction(actions)
        refused = rules.refuse_quarantined(made, bounds.without) or rules.refuse_beyond(made, bounds, frozenset())
        skipped = tuple(f"{p.name} is masked by the owner" for p in targets if p.held)
        names = tuple(p.name for p in free)
        return refused or rules.refuse_broken(made, self.rules) or Planned(made, rollback=names, skipped=skipped)

    def _actions(self, free: list[Installed], asked: Mapping[str, str]) -> list[Action] | Refused:
        heads, made = Lists(self.runner).heads(), dict[str, Action]()
        for p in free:
            ref = str(self.store.ref_of(p.name, p.architecture))
            found = next((o for o in heads.get(ref, ()) if o.version == asked[p.key]), None)
            if found is None:
                return Refused("lists_stale", f"The lists of this endpoint do not have {p.name} {asked[p.key]}.")
            kind = ActionKind.DOWNGRADE if older(found.version, p.version) else ActionKind.UPGRADE
            made[ref] = Action(kind, p.name, p.architecture, p.version, found.version)
            if found.runtime and not self._has(found.runtime):
                needed, known = parse_ref(found.runtime), heads.get(found.runtime, ())
                if needed is None or not known:
                    return Refused("refused", f"{p.name} needs {found.runtime}, which its remote does not have.")
                made[found.runtime] = Action(ActionKind.INSTALL, needed.id, needed.label, "", known[-1].version)
        return list(made.values())

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        """Do exactly the ordered transaction, or refuse."""
        blank = self._blank(order, Outcome.REFUSED, "refused")
        done = self._applier().apply(order, blank, log)
        return replace(done, health=self.health(), ended_ms=self.clock.now_ms())

    def recover(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        blank = self._blank(order, Outcome.INTERRUPTED, "interrupted_unchanged")
        done = self._applier().recover(order, blank, log)
        return replace(done, health=self.health(), ended_ms=self.clock.now_ms())

    def _blank(self, order: Order, outcome: Outcome, code: str) -> TransactionResult:
        return TransactionResult(
            order.transaction_id, order.offer_id, order.rollout_id, order.generation, outcome, code, "",
            started_ms=self.clock.now_ms(),
        )  # fmt: skip

    def _applier(self) -> FlatpakApplier:
        keeper = Keeper(self.runner, self.back_dir)
        return FlatpakApplier(self.clock, self.runner, self.work_dir, keeper, self.stopping, self.sleep)

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:  # noqa: ARG002 - it needs no remote: it always goes
        """What is left to do of the way back that was stored for this rollout."""
        stored = Keeper(self.runner, self.back_dir).stored(rollout_id)
        if stored is None:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        left = left_to_do(stored, by_key(self.store.installed()))
        return left if isinstance(left, Refused) else replace(stored, transaction=left)

    def changed_conffiles(self, transaction: Transaction) -> tuple[str, ...]:  # noqa: ARG002
        """None: what is deployed cannot be changed, and settings of applications lie in their users' directories."""
        return ()

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        return rules.unproven(transaction, by_key(self.store.installed()))
