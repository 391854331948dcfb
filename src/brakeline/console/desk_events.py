"""Receivers of events: over `events.service`."""

from __future__ import annotations

from brakeline.console.desk_base import DeskBase
from brakeline.console.present_events import sink_row
from brakeline.console.screens import Visitor
from brakeline.console.views_events import EventsView
from brakeline.core.errors import Conflict, Invalid


class DeskEvents(DeskBase):
    """See the module."""

    async def events(self, who: Visitor) -> EventsView:
        now_ms = self.s.clock.now_ms()
        rows = tuple(sink_row(view, now_ms) for view in await self.s.events.sinks(who.principal))
        return EventsView(rows, who.may("audit.read") and who.may("token.manage"))

    async def add_sink(self, who: Visitor, name: str, address: str, kinds: str) -> EventsView:
        """The page with the key, which is shown this once; or with what is wrong."""
        key = error = ""
        try:
            key = (await self.s.events.add(who.principal, name, address, kinds.replace(",", " ").split())).key
        except (Invalid, Conflict) as wrong:
            error = wrong.detail
        view = await self.events(who)
        kept = (name, address, kinds) if error else ("", "", "")
        return EventsView(view.rows, view.may_write, key, error, *kept)

    async def sink_act(self, who: Visitor, sink_id: str, act: str) -> None:
        """test, replay or remove."""
        if act == "test":
            await self.s.events.test(who.principal, sink_id)
        elif act == "replay":
            await self.s.events.replay(who.principal, sink_id)
        else:
            await self.s.events.remove(who.principal, sink_id)
