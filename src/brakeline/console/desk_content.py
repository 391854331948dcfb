"""Advisory data, and what of it is held: over `exposure.holding`."""

from __future__ import annotations

from brakeline.console.desk_base import DeskBase
from brakeline.console.present_content import content_view
from brakeline.console.screens import Visitor
from brakeline.console.views_content import ContentView


class DeskContent(DeskBase):
    """See the module."""

    async def content(self, who: Visitor) -> ContentView:
        found = await self.s.holding.content(who.principal)
        standings = await self.s.importing.status(who.principal)
        return content_view(found, standings, self.s.clock.now_ms(), may_decide=who.may("policy.write"))

    async def fetch_content(self, who: Visitor, feed: str) -> None:
        await self.s.importing.fetch(who.principal, feed)

    async def accept_content(self, who: Visitor, feed: str, sha256: str) -> str:
        found = await self.s.holding.accept(who.principal, feed, sha256)
        return found.approval_id if found is not None else ""

    async def refuse_content(self, who: Visitor, feed: str, sha256: str, reason: str) -> None:
        await self.s.holding.refuse(who.principal, feed, sha256, reason)
