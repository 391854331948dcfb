"""Cells and leads: over `cells` and `rollout.conducting`."""

from __future__ import annotations

from brakeline.cells.model import superseded
from brakeline.console import present_cells
from brakeline.console.desk_base import DeskBase
from brakeline.console.screens import Visitor
from brakeline.console.views_cells import CellsView
from brakeline.core.errors import NotFound
from brakeline.tenancy.two_people import Request

LEADS_SHOWN = 20


class DeskCells(DeskBase):
    """See the module."""

    async def cells(self, who: Visitor) -> CellsView:
        may, now_ms = who.may("limits.write"), self.s.clock.now_ms()
        members = await self.s.cells.members(who.principal)
        leads = (await self.s.conducting.list(who.principal))[:LEADS_SHOWN]
        return CellsView(
            tuple(present_cells.member_row(m, now_ms, may) for m in members),
            tuple(present_cells.lead_card(x, who.may) for x in leads),
            present_cells.link_facts(await self.s.cells.link(who.principal), now_ms), may, superseded(members),
            tuple(map(present_cells.orphan_row, await self.s.conducting.taking.orphans(who.principal))),
            who.may("policy.write"), present_cells.lead_updates(members) if who.may("rollout.create") else "",
        )  # fmt: skip

    async def cell_act(self, who: Visitor, name: str, act: str, reason: str) -> str:
        if act == "restore":
            found = await self.s.cells.restore(who.principal, name, reason)
            return found.approval_id if isinstance(found, Request) else ""
        acts = {"drain": self.s.cells.drain, "isolate": self.s.cells.isolate}
        if act not in acts:
            raise NotFound("a cell is drained, isolated or restored")
        await acts[act](who.principal, name, reason)
        return ""

    async def isolate_self(self, who: Visitor, reason: str) -> None:
        await self.s.cells.isolate_self(who.principal, reason)

    async def take_lead(self, who: Visitor, lead_id: str, reason: str) -> str:
        found = await self.s.conducting.take(who.principal, lead_id, reason)
        return found.approval_id if isinstance(found, Request) else ""

    async def brake_lead(self, who: Visitor, lead_id: str) -> None:
        await self.s.conducting.brake(who.principal, lead_id)
