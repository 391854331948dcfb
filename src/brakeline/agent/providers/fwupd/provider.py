"""The fwupd provider: the contract of `providers.model` over the devices of one endpoint.

Reading asks the daemon and needs no privilege, `plan` included; `refresh` and `apply` run as root. The inventory is
what runs in a device. What was written and waits for a restart is told three times: with the transaction's result, as
the reason of the update that still shows, and as a reason to restart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.runner import AnswerLost
from brakeline.agent.providers.beside import Beside
from brakeline.agent.providers.fwupd.apply import FwupdApplier
from brakeline.agent.providers.fwupd.daemon import Daemon, Unanswered, package
from brakeline.agent.providers.fwupd.devices import FAILED, Device, Release
from brakeline.agent.providers.fwupd.keep import no_way_back
from brakeline.agent.providers.fwupd.lists import LISTS, Lists
from brakeline.agent.providers.fwupd.words import HELD_BY_OWNER, blocked_told
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.agent.providers.pip.keep import Keeper
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Package,
    PendingUpdate,
    RebootNeed,
    Transaction,
    UpdateRef,
    UpdateState,
)

HELD = "Held on this endpoint by its owner (/etc/brakeline/fwupd.hold)."


@dataclass(frozen=True, slots=True)
class FwupdProvider(Beside):
    """fwupd of one endpoint. `work_dir`, `back_dir`: root's directories on the endpoint."""

    LISTS: ClassVar[str] = LISTS

    name: str = "fwupd"
    back_dir: str = "/var/lib/brakeline-helper/back-fwupd"
    sleep: Callable[[float], None] = time.sleep

    @property
    def daemon(self) -> Daemon:
        return Daemon(self.runner)

    def installed(self) -> tuple[Installed, ...]:
        """As it will be without anything more being written: what undo and verify go by."""
        held = self.daemon.holds()
        return tuple(package(d, held) for d in self.daemon.devices())

    def inventory(self) -> tuple[Package, ...]:
        """What runs in every device that tells a version."""
        return self.survey()[0]

    def available(self) -> tuple[PendingUpdate, ...]:
        """What the endpoint's lists have that is newer than what runs."""
        return self.survey()[1]

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        there, held = self.daemon.devices(), self.daemon.holds()
        packages = tuple(
            Package(d.name, d.label, d.version, d.name, d.version, package(d, held).state,
                    next((r.remote for r in d.releases), ""), "fwupd")
            for d in there
        )  # fmt: skip
        waits = (self._waiting(d, package(d, held).held) for d in there)
        return packages, tuple(u for u in waits if u is not None)

    def _waiting(self, device: Device, held: bool) -> PendingUpdate | None:
        newer = next((r for r in device.releases if "is-upgrade" in r.flags), None)
        candidate = device.staged or (newer.version if newer else "")
        if not candidate:
            return None
        state, reason = standing(device, newer, held)
        remote, security, size = (newer.remote, newer.security, newer.size) if newer else ("", False, 0)
        return PendingUpdate(
            device.name, device.label, device.version, candidate, remote, security, state, reason, size
        )

    def problems(self) -> tuple[str, ...]:
        """Devices that stayed in their bootloader, or whose last update failed; a daemon that gives no answer."""
        try:
            there = self.daemon.devices()
        except (AnswerLost, Unanswered) as e:
            return (str(e),)
        stuck = [f"{d.name}: left in its bootloader by an update" for d in there if "is-bootloader" in d.flags]
        failed = [d for d in there if d.update_state == FAILED]
        return (*stuck, *(f"{d.name}: its last update failed: {d.update_error or 'no reason told'}" for d in failed))

    def reboot_need(self) -> RebootNeed:
        """Firmware that is written and waits, each with its version."""
        waits = [d for d in self.daemon.devices() if d.staged]
        told = tuple(f"firmware of {d.name}: {d.staged} written, {d.version} running" for d in waits)
        return RebootNeed(any(d.waits_for == "restart" for d in waits), told)

    def refresh(self) -> Refreshed | Refused:
        """Have fwupd fetch its lists; what could not be fetched keeps its last answer."""
        return Lists(self.runner).refresh(self.clock.now_ms())

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact releases, one action for each device. Asks nobody but the daemon."""
        try:
            return self._plan(updates, bounds)
        except (AnswerLost, Unanswered) as e:
            return Refused("fwupd_failed", f"fwupd could not be asked: {e}")

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        try:
            return Beside.undo(self, rollout_id, look=look)
        except (AnswerLost, Unanswered) as e:
            return Refused("fwupd_failed", f"fwupd could not be asked: {e}")

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        try:
            return Beside.verify(self, transaction)
        except (AnswerLost, Unanswered) as e:
            return (str(e),)

    def _plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        asked, held = {u.name: u.version for u in updates}, self.daemon.holds()
        targets = [d for d in self.daemon.devices() if asked.get(d.key, d.settled) != d.settled]
        if not targets:
            return Refused("nothing_to_do", "Every update is written already, or its device is not on this endpoint.")
        free = [d for d in targets if not package(d, held).held]
        if not free:
            return Refused("held", f"Held on this endpoint by its owner: {rules.named(d.name for d in targets)}.")
        made = self._actions(free, asked)
        if isinstance(made, Refused):
            return made
        transaction, back, gone = made
        refused = rules.refuse_quarantined(transaction, bounds.without)
        refused = refused or rules.refuse_beyond(transaction, bounds, frozenset())
        skipped = tuple(f"{d.name} is held by the owner" for d in targets if d not in free)
        return refused or rules.refuse_broken(transaction, self.rules) or Planned(transaction, back, gone, skipped)

    def _actions(
        self, free: list[Device], asked: Mapping[str, str]
    ) -> tuple[Transaction, tuple[str, ...], tuple[str, ...]] | Refused:
        actions, back, gone, size = list[Action](), list[str](), list[str](), 0
        for found in free:
            device, version = self.daemon.full(found), asked[found.key]
            release = device.release(version)
            if release is None:
                return Refused("lists_stale", f"The lists of this endpoint do not have {device.name} {version}.")
            if refused := self._not_now(device, release):
                return refused
            kind = ActionKind.DOWNGRADE if "is-downgrade" in release.flags else ActionKind.UPGRADE
            actions.append(Action(kind, device.name, device.label, device.settled, version))
            (gone if no_way_back(device, device.settled) else back).append(device.name)
            size += release.size
        return rules.make_transaction(actions, size), tuple(back), tuple(gone)

    def _not_now(self, device: Device, release: Release) -> Refused | None:
        if told := device.refuses:
            return Refused("unhealthy", f"{device.name} takes no update now: {told}.")
        if device.staged:
            return Refused("busy", f"{device.name} waits for a {device.waits_for}, to become {device.staged}.")
        if blocked := blocked_told(release.flags):
            return Refused("held", f"{device.name} {release.version} {blocked}.")
        unlike = Lists(self.runner).unlike(device.label, release)
        return Refused("refused", f"{device.name} {unlike}.") if unlike else None

    def applier(self, transaction: Transaction) -> FwupdApplier:  # noqa: ARG002 - there is one daemon
        keeper = Keeper(self.runner, self.back_dir)
        return FwupdApplier(self.clock, self.runner, self.work_dir, keeper, self.stopping, self.sleep)

    def stored(self, rollout_id: str) -> Inverse | None:
        return Keeper(self.runner, self.back_dir).stored(rollout_id)


def standing(device: Device, newer: Release | None, held: bool) -> tuple[UpdateState, str]:
    """Whether a device would take its update now, and if not, why not."""
    if device.staged:
        return UpdateState.KEPT_BACK, f"{device.staged} is written and takes effect with the next {device.waits_for}."
    if held:
        return UpdateState.HELD, HELD
    if newer is not None and (blocked := blocked_told(newer.flags)):
        return UpdateState.HELD, f"{newer.version} {blocked}."
    if told := device.refuses:
        owner = bool(HELD_BY_OWNER.intersection(device.problems))
        return (UpdateState.HELD if owner else UpdateState.KEPT_BACK), f"Takes no update now: {told}."
    return UpdateState.AVAILABLE, ""
