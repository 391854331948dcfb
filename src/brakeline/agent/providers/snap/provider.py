"""The snap provider: the contract of `providers.model` over snapd's socket. *Not run on the real system.*

Reading asks snapd, which needs neither privilege nor network; `refresh` asks the store through it and writes down what
it has, `plan` and `available` go by that. snapd refreshes by itself as well, unless its owner holds that: then an order
finds a changed situation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.beside import Beside
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.agent.providers.pip.keep import Keeper
from brakeline.agent.providers.snap.answers import LABEL, Snap, package, snaps, why
from brakeline.agent.providers.snap.apply import SnapApplier
from brakeline.agent.providers.snap.daemon import Snapd, SnapdSilent
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Package,
    PendingUpdate,
    Transaction,
    UpdateRef,
    UpdateState,
)

LISTS: Final = "/var/cache/brakeline/snap-lists.json"  # also in `agent.stamp`
HELD: Final = "Held on this endpoint by its owner (snap refresh --hold), until {until}."
INHIBITED: Final = "Its applications run, and snapd waits for them to end."


@dataclass(frozen=True, slots=True)
class SnapProvider(Beside):
    """snapd of one endpoint. `work_dir`, `back_dir`: root's directories on the endpoint."""

    LISTS: ClassVar[str] = LISTS

    name: str = "snap"
    back_dir: str = "/var/lib/brakeline-helper/back-snap"
    sleep: Callable[[float], None] = time.sleep

    @property
    def snapd(self) -> Snapd:
        return Snapd(self.runner)

    def installed(self) -> tuple[Installed, ...]:
        return tuple(package(s) for s in self.snapd.snaps())

    def inventory(self) -> tuple[Package, ...]:
        """Every snap, with the channel that it follows."""
        return self.survey()[0]

    def available(self) -> tuple[PendingUpdate, ...]:
        """What the last refresh found newer, as far as it is another revision here."""
        return self.survey()[1]

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        there, newer = self.snapd.snaps(), self.lists.newer()
        packages = tuple(
            Package(s.name, LABEL, s.shown, s.name, s.shown, package(s).state, s.channel, LABEL) for s in there
        )
        waits = ((s, newer.get((LABEL, s.name), s.shown)) for s in there)
        return packages, tuple(_waiting(s, version) for s, version in waits if version != s.shown)

    def problems(self) -> tuple[str, ...]:
        try:
            return tuple(f"{s.name}: {s.broken}" for s in self.snapd.snaps() if s.broken)
        except SnapdSilent as e:
            return (str(e),)

    def refresh(self) -> Refreshed | Refused:
        """Ask the store, through snapd, what it has; what could not be asked keeps its last answer."""
        now_ms = self.clock.now_ms()
        try:
            answer = self.snapd.ask("/v2/find?select=refresh")
            there = self.snapd.snaps()
        except SnapdSilent as e:
            return self.lists.asked_each(now_ms, [(LABEL, Refused("snap_failed", str(e)))])
        found = snaps(answer)
        if found is None:
            told = why(answer)
            code = "no_network" if told.code == "network" else told.code
            return self.lists.asked_each(now_ms, [(LABEL, Refused(code, told.reason))])
        here = {s.name for s in there}
        return self.lists.asked_each(now_ms, [(LABEL, tuple((s.name, s.shown) for s in found if s.name in here))])

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        """The exact revisions."""
        asked = {u.name: u.version for u in updates}
        try:
            there = self.snapd.snaps()
        except SnapdSilent as e:
            return Refused("snap_failed", str(e))
        targets = [s for s in there if asked.get(f"{s.name}:{LABEL}", s.shown) != s.shown]
        if not targets:
            return Refused("nothing_to_do", "Every update is installed already, or its snap is not on this endpoint.")
        free = [s for s in targets if not s.held]
        if not free:
            return Refused("held", f"Held on this endpoint by its owner: {rules.named(s.name for s in targets)}.")
        newer = self.lists.newer()
        wanted = {s.name: asked[f"{s.name}:{LABEL}"] for s in free}
        if unknown := [n for n, version in wanted.items() if newer.get((LABEL, n)) != version]:
            return Refused("lists_stale", f"The store did not offer {rules.named(unknown)} as asked when it was asked.")
        if running := [s.name for s in free if s.inhibited]:
            return Refused("busy", f"{rules.named(running)}: {INHIBITED}")
        made = rules.make_transaction(Action(ActionKind.UPGRADE, s.name, LABEL, s.shown, wanted[s.name]) for s in free)
        refused = rules.refuse_quarantined(made, bounds.without) or rules.refuse_beyond(made, bounds, frozenset())
        skipped = tuple(f"{s.name} is held by the owner" for s in targets if s.held)
        names = tuple(s.name for s in free)
        return refused or rules.refuse_broken(made, self.rules) or Planned(made, names, (), skipped)

    def applier(self, transaction: Transaction) -> SnapApplier:  # noqa: ARG002 - there is one snapd
        keeper = Keeper(self.runner, self.back_dir)
        return SnapApplier(self.clock, self.runner, self.work_dir, keeper, self.stopping, self.sleep)

    def stored(self, rollout_id: str) -> Inverse | None:
        return Keeper(self.runner, self.back_dir).stored(rollout_id)

    def undo(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        try:
            return Beside.undo(self, rollout_id, look=look)
        except SnapdSilent as e:
            return Refused("snap_failed", str(e))

    def verify(self, transaction: Transaction) -> tuple[str, ...]:
        try:
            return Beside.verify(self, transaction)
        except SnapdSilent as e:
            return (str(e),)


def _waiting(s: Snap, version: str) -> PendingUpdate:
    state, reason = UpdateState.AVAILABLE, ""
    if s.held:
        state, reason = UpdateState.HELD, HELD.format(until=s.held)
    elif s.inhibited:
        state, reason = UpdateState.KEPT_BACK, INHIBITED
    return PendingUpdate(s.name, LABEL, s.shown, version, s.channel, False, state, reason)
