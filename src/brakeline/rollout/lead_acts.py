"""What takes two people about leads: to take one over from a conductor that is lost, and to start one in the fast lane.

Asked before the act, done after the agreement, bound to what cells had told and to the lead as it was. In its first
week an organisation of few endpoints may do it alone. The mechanism is `tenancy.approvals`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from brakeline.rollout.lanes import REHEARSAL_MAX
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Act, Request

TAKE, FAST = "take", "fast"
Perform = Callable[[Agreed, str, Mapping[str, Any], str], Awaitable[None]]
Situation = Callable[[str, str, str], Awaitable[str]]


class LeadActs:
    """See the module. `conducting.Conducting` makes one and gives it what it performs."""

    def __init__(self, approvals: Approvals, situation: Situation, performs: Mapping[str, Perform]) -> None:
        self._approvals, self._situation, self.performs = approvals, situation, dict(performs)
        approvals.register(Act.LEADS, self)

    async def before(self, principal: Principal, act: str, lead_id: str, says: tuple[str, ...], situation: str,
                     size: int, reason: str = "") -> Request | None:  # fmt: skip
        """The request that waits for a second person; None = one may. `size`: endpoints of all its cells."""
        if size <= REHEARSAL_MAX and await self._approvals.in_first_week(principal.tenant_id):
            return None
        parameters: Final = {"act": act, "reason": reason}
        return await self._approvals.ask(principal, Act.LEADS, lead_id, parameters, says, situation)

    async def situation(self, tenant_id: str, request: Request) -> str:
        """For `approvals.Performer`: what it is about, as it is now."""
        return await self._situation(tenant_id, str(request.parameters["act"]), request.object_id)

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """For `approvals.Performer`."""
        perform = self.performs[str(request.parameters["act"])]
        await perform(agreed, request.object_id, request.parameters, request.situation)
