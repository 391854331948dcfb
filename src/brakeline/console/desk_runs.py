"""Runs of an endpoint, what changed on it, and one endpoint of a rollout: over `runlog` and `rollout`."""

from __future__ import annotations

from dataclasses import replace

from brakeline.console.desk_base import LIVE_STATES, DeskBase
from brakeline.console.present_runs import changes_view, day_ms, place_row, runs_view
from brakeline.console.screens import Visitor
from brakeline.console.views_runs import ChangesView, PlaceRow, RunsView
from brakeline.core.errors import Invalid, NotFound

RUNS_SHOWN = 20
SPAN, NET = "..", "net"


class DeskRuns(DeskBase):
    """See the module."""

    async def runs_of(self, who: Visitor, endpoint_id: str, transaction_id: str) -> RunsView:
        """`transaction_id` "" = the newest."""
        found = await self.s.runlog.runs(who.principal, endpoint_id, limit=RUNS_SHOWN)
        try:
            shown = await self.s.runlog.run(who.principal, endpoint_id, transaction_id)
        except NotFound:
            if transaction_id:
                raise
            shown = None
        return runs_view(found, shown, await self._places(who, endpoint_id), self.s.clock.now_ms())

    async def _places(self, who: Visitor, endpoint_id: str) -> tuple[PlaceRow, ...]:
        """Rollouts that go on and have it among their targets."""
        found = []
        for view in await self.views_with(who, endpoint_id, LIVE_STATES):
            member = next(m for m in view.members if m.endpoint_id == endpoint_id)
            may_stop, may_retry = who.may("rollout.brake"), who.may("rollout.resume")
            found.append(place_row(view, member, may_stop=may_stop, may_retry=may_retry))
        return tuple(found)

    async def changes_of(self, who: Visitor, endpoint_id: str, query: str) -> ChangesView:
        """`query`: SINCE..UNTIL as days, with " net" behind for the difference of the two ends."""
        days, _, mark = query.partition(" ")
        since, _, until = days.partition(SPAN)
        net = mark == NET
        try:
            story = await self.s.runlog.story(
                who.principal, endpoint_id, day_ms(since), day_ms(until, end=True), net=net
            )
        except Invalid as wrong:
            story = await self.s.runlog.story(who.principal, endpoint_id, net=net)
            return replace(changes_view(story, since, until, net=net, now_ms=self.s.clock.now_ms()), error=wrong.detail)
        return changes_view(story, since, until, net=net, now_ms=self.s.clock.now_ms())

    async def stop_one(self, who: Visitor, rollout_id: str, endpoint_id: str, reason: str) -> str:
        """What came of it, in one word."""
        answer = await self.s.single.stop(who.principal, rollout_id, endpoint_id, reason)
        self.acted(who, rollout_id)
        return answer.state

    async def retry_one(self, who: Visitor, rollout_id: str, endpoint_id: str, reason: str) -> str:
        answer = await self.s.single.retry(who.principal, rollout_id, endpoint_id, reason)
        self.acted(who, rollout_id)
        return answer.state
