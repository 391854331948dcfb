"""Raising a limit takes two people: a higher budget, one removed, a freeze window ended before its time.

`limits` finds out that an act widens, inside its own transaction and before anything is written, and asks here. What
was agreed to is done against the limit that it was agreed about, or not at all. The mechanism: `tenancy.approvals`.
"""

from __future__ import annotations

from brakeline.rollout.lanes import REHEARSAL_MAX
from brakeline.rollout.limits import Widens
from brakeline.rollout.service import RolloutService
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Act, Request


class LimitActs:
    """See the module. Puts itself into the limits."""

    def __init__(self, service: RolloutService, approvals: Approvals) -> None:
        self._rollouts, self._approvals = service, approvals
        service.limits.acts = self
        approvals.register(Act.LIMITS, self)

    async def before(self, principal: Principal, act: Widens) -> Request | None:
        """The request that waits for a second person; None = one may, who tries things out in the first week."""
        endpoints = await self._rollouts.fleet.count_matching(principal, "state:active")
        if endpoints <= REHEARSAL_MAX and await self._approvals.in_first_week(principal.tenant_id):
            return None
        return await self._approvals.ask(
            principal, Act.LIMITS, act.object_id, act.parameters, act.says, act.situation
        )  # fmt: skip

    async def situation(self, tenant_id: str, request: Request) -> str:
        """For `approvals.Performer`: the limit as it is now."""
        return await self._rollouts.limits.situation(tenant_id, request.parameters)

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """For `approvals.Performer`."""
        await self._rollouts.limits.agreed_to(agreed, request.parameters, request.situation)
