"""What takes two people about cells: to believe a conductor, and to let a cell take part again that was taken out.

Asked before the act, done after the agreement, bound to the link or the cell as it was. In its first week an
organisation of few endpoints may do it alone. The mechanism is `tenancy.approvals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brakeline.cells.service import BELIEVE, RESTORE, CellsService
from brakeline.fleet.service import FleetService
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Act, Request

FEW: Final = 20  # endpoints of an organisation that tries things out


class CellActs:
    """See the module. Puts itself into the cells."""

    def __init__(self, cells: CellsService, approvals: Approvals, fleet: FleetService) -> None:
        self._cells, self._approvals, self._fleet = cells, approvals, fleet
        cells.acts = self
        approvals.register(Act.CELLS, self)

    async def before(
        self, principal: Principal, parameters: Mapping[str, str], says: tuple[str, ...], situation: str
    ) -> Request | None:
        """The request that waits for a second person; None = one may."""
        few = await self._fleet.count_matching(principal, "state:active") <= FEW
        if few and await self._approvals.in_first_week(principal.tenant_id):
            return None
        object_id = f"cell:{parameters['cell']}"
        return await self._approvals.ask(principal, Act.CELLS, object_id, parameters, says, situation)

    async def situation(self, tenant_id: str, request: Request) -> str:
        """For `approvals.Performer`: the cell, or the link, as it is now."""
        return await self._cells.situation(tenant_id, request.parameters)

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """For `approvals.Performer`."""
        act = {RESTORE: self._cells.restore_agreed, BELIEVE: self._cells.believe_agreed}[request.parameters["act"]]
        await act(agreed, request.parameters, request.situation)
