"""The pool of organisations: over `rollout.pools`."""

from __future__ import annotations

from brakeline.console import present
from brakeline.console.desk_base import DeskBase
from brakeline.console.present_cells import STATES
from brakeline.console.screens import Visitor
from brakeline.console.views_pool import PartnerRow, PooledRow, PoolPage
from brakeline.rollout.pools import PooledRollout


class DeskPool(DeskBase):
    """See the module."""

    async def pool(self, who: Visitor) -> PoolPage:
        view, now_ms = await self.s.pools.view(who.principal), self.s.clock.now_ms()
        since = f"since {present.ago(view.given_ms, now_ms)}, by {view.given_by}"
        rows = tuple(PooledRow(r.id, r.title, STATES[r.state], says(r)) for r in view.rollouts)
        partners = tuple(
            PartnerRow(p.name, p.public_key[:16] + "…", present.ago(p.taken_ms, now_ms)) for p in view.partners
        )
        return PoolPage(since if view.given_ms else "", rows, partners, view.key, who.may("limits.write"))

    async def pool_join(self, who: Visitor) -> str:
        found = await self.s.pools.consent(who.principal)
        return found.approval_id if found is not None else ""

    async def pool_leave(self, who: Visitor) -> None:
        await self.s.pools.withdraw(who.principal)

    async def pool_part(self, who: Visitor, name: str) -> None:
        await self.s.pools.remove_partner(who.principal, name)


def says(r: PooledRollout) -> str:
    """With whom a rollout is compared."""
    if r.alone:
        return f"alone: {r.alone}"
    if not r.others:
        return "no other organisation has told any of this change yet"
    return f"judged together with {r.others} other organisation{'' if r.others == 1 else 's'}"
