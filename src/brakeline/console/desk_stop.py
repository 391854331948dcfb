"""Freeze, emergency and approvals: over rollout's freezing and tenancy's approvals."""

from __future__ import annotations

from typing import Final

from brakeline.console import present_stop
from brakeline.console.desk_base import DeskBase
from brakeline.console.screens import Visitor
from brakeline.console.views_stop import ApprovalsView, ApprovalView, FreezeView

SHOWN: Final = 100


class DeskStop(DeskBase):
    """See the module."""

    def frozen(self, who: Visitor) -> str:
        return self.s.freezing.frozen(who.principal.tenant_id).told

    async def freeze_page(self, who: Visitor) -> FreezeView:
        waiting = await self.s.freezing.waiting(who.principal)
        return present_stop.freeze_view(
            self.s.freezing.state(who.principal), waiting, who.may("rollout.brake"), who.may("rollout.resume"),
            self.s.clock.now_ms(),
        )  # fmt: skip

    async def freeze(self, who: Visitor, reason: str) -> str:
        return (await self.s.freezing.freeze(who.principal, reason)).state

    async def unfreeze(self, who: Visitor, reason: str) -> str:
        found = await self.s.freezing.unfreeze(who.principal, reason)
        return found.approval_id if found is not None else ""

    async def approvals(self, who: Visitor) -> ApprovalsView:
        found = await self.s.tenancy.approvals.list(who.principal, every=True, limit=SHOWN)
        return present_stop.approvals_view(found, self.s.clock.now_ms())

    async def approval(self, who: Visitor, approval_id: str) -> ApprovalView:
        found = await self.s.tenancy.approvals.get(who.principal, approval_id)
        who_can = await self.s.tenancy.approvals.who_can_agree(who.principal, found)
        return present_stop.approval_view(
            found, who_can, who.principal.id, who.principal.permissions, self.s.clock.now_ms()
        )  # fmt: skip

    async def approve(self, who: Visitor, approval_id: str, digest: str, password: str) -> str:
        return (await self.s.tenancy.approvals.approve(who.principal, approval_id, digest, password)).state

    async def reject(self, who: Visitor, approval_id: str, reason: str) -> None:
        await self.s.tenancy.approvals.reject(who.principal, approval_id, reason)
