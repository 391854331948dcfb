"""One drill on real endpoints, from its rollout to the moment at which everybody knows the end. Doing.

The rollout is made and steered by the same service as any other; whatever happens, it is withdrawn when `go` returns,
so that nothing of it can be resumed or is watched any longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from brakeline.core.errors import Fault as WorldFault
from brakeline.drills import decide_real
from brakeline.drills.model import Drill, Report, State
from brakeline.drills.run import Parts
from brakeline.platform.observe import logger
from brakeline.rollout import drilling
from brakeline.rollout.view import RolloutView
from brakeline.tenancy.approvals import Agreed
from brakeline.tenancy.model import Principal, system_principal

LOOK_S: Final = (0.5, 3.0)  # between looks: few endpoints, and thousands, whose view costs more
MANY: Final = 500
OVER: Final = "its drill is over"


class RealRun:
    """See the module."""

    simulated = False

    def __init__(self, parts: Parts, drill: Drill, by: Principal, endpoint_ids: Sequence[str], fails: int) -> None:
        self._parts, self.drill, self._by, self._ids, self._fails = parts, drill, by, endpoint_ids, fails
        self.tenant_id = by.tenant_id
        self._policy = drilling.policy_of(len(endpoint_ids))
        self._view: RolloutView | None = None
        self._told: dict[str, int] = {}
        self._heard: frozenset[str] = frozenset()
        self._evidence_ms, self._begun_ms = 0, parts.clock.now_ms()
        self._held_from_s = parts.clock.monotonic_s()
        self.rollout_id = ""
        self.stop_by = ""

    def report(self) -> Report:
        """What is known now."""
        return decide_real.report_of(self._view, len(self._ids), self._told, self._heard, self._evidence_ms)

    def told(self, state: State) -> str:
        return decide_real.told_of(state, self.report())

    def endpoint_ids(self) -> Sequence[str]:
        """Of simulated endpoints that are removed afterwards: none."""
        return ()

    def stop(self, by: str) -> None:
        """End it at the next look."""
        self.stop_by = by

    async def make(self) -> str:
        """Its rollout, as a draft; the id."""
        change = drilling.change_of(self.drill.id, self._fails)
        rollout = self._parts.rollouts
        self.rollout_id = await rollout.create(self._by, f"Drill {self.drill.id}", change, self._policy, self._ids)
        rollout.told[self.rollout_id] = self._told
        return self.rollout_id

    async def go(self) -> State:
        """How it ended. Raises `Fault` where the world is in the way."""
        try:
            agreed = Agreed(self._by, f"{self._by.name} (drill)", 1, "")
            await self._parts.rollouts.start_agreed(agreed, self.rollout_id, "")
            return await self._watch()
        finally:
            await asyncio.shield(self._withdraw())

    async def _withdraw(self) -> None:
        """A drill that cannot be withdrawn now is withdrawn at the next start (`service.open`)."""
        self._parts.rollouts.told.pop(self.rollout_id, None)
        try:
            who = system_principal(self.tenant_id, "drill")
            await self._parts.rollouts.withdraw(who, self.rollout_id, OVER)
        except WorldFault as e:
            logger.warning("drill-not-withdrawn", rollout=self.rollout_id, reason=str(e))

    async def _watch(self) -> State:
        clock, begun_s = self._parts.clock, self._parts.clock.monotonic_s()
        longest_s = decide_real.longest_s(self._policy, len(self._ids))
        while clock.monotonic_s() - begun_s < longest_s:
            try:
                await self._look()
            except WorldFault as e:  # the database may be away for a while: the drill sees what it then comes to
                logger.info("drill-not-seen", reason=str(e))
            if self.stop_by:
                return State.STOPPED
            if (end := self._over()) is not None:
                return end
            await asyncio.sleep(LOOK_S[len(self._ids) > MANY])
        return State.MISSED if self._view is None or self._view.state != "halted" else State.HALTED

    async def _look(self) -> None:
        self._view = await self._parts.rollouts.show(self._by, self.rollout_id)
        self._evidence_ms = self._evidence_ms or decide_real.evidence_ms(self._view)
        presence = await self._parts.fleet.presence(self.tenant_id, list(self._ids))
        self._heard = frozenset(e for e, p in presence.items() if p.last_check_in_ms >= self._begun_ms)

    def _over(self) -> State | None:
        if self._view is None:
            return None
        now_s = self._parts.clock.monotonic_s()
        if self._view.state != "holding":
            self._held_from_s = now_s
        return decide_real.over(
            self._view, self._fails, self._told, self._heard, now_s - self._held_from_s, self._policy
        )  # fmt: skip
