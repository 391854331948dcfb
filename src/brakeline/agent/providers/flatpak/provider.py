"""The flatpak provider: the contract of `providers.model` over the system-wide installation of one endpoint.

Reading starts no flatpak and needs no privilege, `plan` included: it goes by what the last `refresh` was told by the
remotes. `refresh` and `apply` run as root. Expected trouble comes back as values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.beside import Beside
from brakeline.agent.providers.flatpak.apply import FlatpakApplier
from brakeline.agent.providers.flatpak.lists import LISTS, Lists
from brakeline.agent.providers.flatpak.refs import Head, older, parse_ref
from brakeline.agent.providers.flatpak.store import Store
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.agent.providers.pip.keep import Keeper
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Package,
    PendingUpdate,
    Transaction,
    UpdateRef,
    UpdateState,
)

MASKED = "Masked on this endpoint by its owner (flatpak mask)."


@dataclass(frozen=True, slots=True)
class FlatpakProvider(Beside):
    """flatpak of one endpoint. `work_dir`, `back_dir`: root's directories on the endpoint."""

    LISTS: ClassVar[str] = LISTS

    name: str = "flatpak"
    back_dir: str = "/var/lib/brakeline-helper/back-flatpak"
    sleep: Callable[[float], None] = time.sleep

    @property
    def store(self) -> Store:
        return Store(self.runner)

    def installed(self) -> tuple[Installed, ...]:
        return self.store.installed()

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

    def lock_holder(self) -> str:
        return self.store.lock_holder()

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

    def applier(self, transaction: Transaction) -> FlatpakApplier:  # noqa: ARG002 - there is one installation
        keeper = Keeper(self.runner, self.back_dir)
        return FlatpakApplier(self.clock, self.runner, self.work_dir, keeper, self.stopping, self.sleep)

    def stored(self, rollout_id: str) -> Inverse | None:
        return Keeper(self.runner, self.back_dir).stored(rollout_id)
