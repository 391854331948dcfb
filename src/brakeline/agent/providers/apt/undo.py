"""Looks up the way back from what a rollout did here, and whether apt would go it now. Changes nothing.

What comes out is only ever a part of an inverse that this endpoint stored itself, with archives that still have the
hashes they were stored with. Next: `apply` does it like any other order, under the same hook.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key
from brakeline.agent.providers.apt.inverse import arguments, left_to_do
from brakeline.agent.providers.apt.keep import Keeper
from brakeline.agent.providers.apt.planner import Planner
from brakeline.agent.providers.model import Bounds, Inverse, Refused
from brakeline.protocol.messages import Transaction

BOUNDS = Bounds(allow_removals=True, allow_downgrades=True)  # of exactly what was stored, which the hook proves


@dataclass(frozen=True, slots=True)
class Undo:
    """Ways back on one endpoint, as root."""

    planner: Planner
    keeper: Keeper

    def left(self, rollout_id: str, *, look: bool) -> Inverse | Refused:
        """The stored inverse with what is left of it to do; `look`: only if apt would do exactly that."""
        stored = self.keeper.of_rollout(rollout_id)
        if stored is None:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        installed = self.planner.queries.installed()
        found = left_to_do(stored, by_key(installed))
        if isinstance(found, Refused):
            return found
        if damaged := self.keeper.damaged(stored):
            return Refused("no_way_back", f"The kept archive of {damaged} is damaged or gone.")
        if look and (refused := self._would_not_go(stored, found, installed)):
            return refused
        return replace(stored, transaction=found)

    def _would_not_go(self, stored: Inverse, found: Transaction, installed: tuple[Installed, ...]) -> Refused | None:
        held = frozenset(p.key for p in installed if p.held)
        targets = {f"{a.name}:{a.architecture}" for a in found.actions}
        if refused := rules.refuse_beyond(found, BOUNDS, held) or self.planner.sick(installed, targets):
            return refused
        would = self.planner.simulate(arguments(found, stored.archives), installed, BOUNDS)
        if isinstance(would, Refused):
            return would
        unlike = rules.difference(found, would)
        return Refused("refused", f"apt would not do exactly the way back: {unlike}.") if unlike else None
