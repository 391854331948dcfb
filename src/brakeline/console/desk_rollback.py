"""The way back from a halted rollout: over `rollout.undoing`."""

from __future__ import annotations

from brakeline.console import present_rollback
from brakeline.console.desk_base import DeskBase
from brakeline.console.screens import Visitor
from brakeline.console.views_rollback import RollbackView
from brakeline.rollout.undoing import Undoing


class DeskRollback(DeskBase):
    """See the module."""

    async def rollback(self, who: Visitor, rollout_id: str) -> RollbackView:
        plan = await Undoing(self.s.rollout).plan(who.principal, rollout_id)
        return present_rollback.rollback_view(plan, may_make=who.may("rollout.create"))

    async def make_rollback(self, who: Visitor, rollout_id: str, expect_count: int) -> str:
        return await Undoing(self.s.rollout).create(who.principal, rollout_id, expect_count=expect_count)
