"""One live drill, from enrolling the simulated endpoints to the moment at which everybody knows the end. Doing.

`Run.go` takes as long as the drill; `Run.report` is what is known at any moment. Whatever happens, the lines of all
simulated endpoints have ended when it returns, so that nothing of them can be written any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from brakeline.core.clock import Clock
from brakeline.core.errors import Fault as WorldFault
from brakeline.drills import decide
from brakeline.drills.decide import Twin
from brakeline.drills.model import REGIONS, Drill, Fault, Report, State
from brakeline.drills.wire import Line, Refused
from brakeline.fleet.service import FleetService
from brakeline.platform.observe import Asgi, logger
from brakeline.rollout.service import RolloutService
from brakeline.rollout.view import RolloutView
from brakeline.tenancy.approvals import Agreed
from brakeline.tenancy.model import system_principal

AT_ONCE: Final = 8  # enrolments at once: real ones go on beside
LOOK_S: Final = 0.5
AGAIN_S: Final = 2.0  # after a refused message
ENROL_TTL_S: Final = 600
NAME: Final = "drill"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a drill stands on."""

    plane: Asgi
    fleet: FleetService
    rollouts: RolloutService
    clock: Clock


class Run:
    """See the module. `tenant_id` is the drill organisation's."""

    simulated = True

    def __init__(self, parts: Parts, drill: Drill, fault: Fault, tenant_id: str, real: int) -> None:
        self._parts, self.drill, self._fault, self.tenant_id, self._real = parts, drill, fault, tenant_id, real
        self._who = system_principal(tenant_id, NAME)
        self._policy = decide.policy_of(drill.endpoints)
        self._twins = [Twin(n) for n in range(drill.endpoints)]
        self._lines = [Line(parts.plane, parts.clock, t.name) for t in self._twins]
        self._view: RolloutView | None = None
        self._enrolled_ms = 0
        self._held_from_s = parts.clock.monotonic_s()
        self._ended = False
        self.stop_by = ""

    def report(self) -> Report:
        """What is known now."""
        return decide.report_of(
            self._fault, self._policy, self._view, self._twins, self._real, self._enrolled_ms
        )  # fmt: skip

    def told(self, state: State) -> str:
        return decide.told(state, self.report())

    def endpoint_ids(self) -> Sequence[str]:
        return [t.endpoint_id for t in self._twins if t.endpoint_id]

    def stop(self, by: str) -> None:
        """End it at the next look."""
        self.stop_by = by

    async def go(self) -> State:
        """How it ended. Raises `Fault` where the world is in the way."""
        begun_s = self._parts.clock.monotonic_s()
        await self._enrol()
        rollout_id = await self._start()
        speaking = [asyncio.create_task(self._speak(n, rollout_id), name=f"drill {n}") for n in range(len(self._twins))]
        try:
            return await self._watch(rollout_id, begun_s)
        finally:
            self._ended = True  # the plane answers a cancelled request as one that the server's end cut off
            for task in speaking:
                task.cancel()
            await asyncio.gather(*speaking, return_exceptions=True)

    async def _enrol(self) -> None:
        tokens = {
            region: (await self._parts.fleet.create_token(
                self._who, region=region, tags=("drill",), uses=len(self._twins), ttl_s=ENROL_TTL_S
            )).token
            for region in REGIONS
        }  # fmt: skip
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(n: int) -> None:
            async with turns:
                await self._lines[n].enrol(tokens[self._twins[n].region])
                self._twins[n] = replace(self._twins[n], endpoint_id=self._lines[n].endpoint_id)
                await self._lines[n].check_in(decide.check_in_of(self._twins[n]), 0)

        async with asyncio.TaskGroup() as group:
            for n in range(len(self._twins)):
                group.create_task(one(n))
        self._enrolled_ms = self._parts.clock.now_ms()

    async def _start(self) -> str:
        """The rollout, for the simulated endpoints and nobody else, started in the name of who asked for the drill."""
        rollouts, change = self._parts.rollouts, decide.change_of(self._fault)
        rollout_id = await rollouts.create(self._who, change.title, change, self._policy, self.endpoint_ids())
        agreed = Agreed(self._who, f"{self.drill.asked_by} (drill)", 1, "")
        await rollouts.start_agreed(agreed, rollout_id, "")
        return rollout_id

    async def _speak(self, n: int, rollout_id: str) -> None:
        """One simulated endpoint, until it falls silent or the drill is over."""
        every_s = self._policy.check_in_interval_s
        await asyncio.sleep(every_s * n / len(self._twins))  # not all in the same moment
        while not (self._twins[n].silent or self._ended):
            try:
                reply = await self._lines[n].check_in(decide.check_in_of(self._twins[n]), every_s)
                now_ms = self._parts.clock.now_ms()
                self._twins[n] = twin = decide.answer(self._twins[n], reply, rollout_id, self._fault, now_ms)
                if twin.result is not None:
                    await self._lines[n].tell(twin.result)
                    self._twins[n] = replace(twin, result=None)
                if twin.told_ms:
                    await asyncio.sleep(every_s)
            except Refused as e:
                if not self._ended:
                    logger.info("drill-endpoint-refused", endpoint=self._twins[n].name, reason=e.detail[:120])
                    await asyncio.sleep(AGAIN_S)

    async def _watch(self, rollout_id: str, begun_s: float) -> State:
        longest_s = decide.longest_s(self._policy)
        while self._parts.clock.monotonic_s() - begun_s < longest_s:
            try:
                self._view = await self._parts.rollouts.show(self._who, rollout_id)
            except WorldFault as e:  # the database may be away for a while: the drill sees what it then comes to
                logger.info("drill-not-seen", reason=str(e))
            if self.stop_by:
                return State.STOPPED
            if (end := self._over()) is not None:
                return end
            await asyncio.sleep(LOOK_S)
        return State.MISSED if self._view is None or self._view.state != "halted" else State.HALTED

    def _over(self) -> State | None:
        """How it has ended as it stands now."""
        if self._view is None:
            return None
        now_s = self._parts.clock.monotonic_s()
        if self._view.state != "holding":
            self._held_from_s = now_s
        return decide.over(self._fault, self._view, self._twins, now_s - self._held_from_s, self._policy)
