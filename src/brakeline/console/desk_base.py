"""What the parts of the desk share: the services, and small questions that several screens ask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from brakeline.console import present_launcher, present_rollout, present_stop
from brakeline.console.screens import Visitor
from brakeline.console.services import Services
from brakeline.console.views import Badge, NavCounts, Need, RolloutRow
from brakeline.console.views_release import LauncherView
from brakeline.core.errors import Forbidden
from brakeline.fleet.model import EndpointDetail, ReleaseStandings
from brakeline.protocol.channels import EARLY
from brakeline.protocol.messages import Mode
from brakeline.remediation.model import DeploymentView
from brakeline.rollout.view import RolloutView
from brakeline.tenancy.two_people import Request

PROMOTED = ("rolling", "holding", "completed")
LIVE_STATES = ("rolling", "holding")
ROLLOUTS_LOOKED_AT = 20  # newest rollouts in which an endpoint is looked for
SHOWN_S = 2.0  # how old a rollout may be on a screen that is not its own
SHOWN_SHARE = 0.1  # of the time goes into counting one rollout for screens
SHOWN_MAX = 200


class DeskBase:
    """Base of the parts."""

    def __init__(self, services: Services) -> None:
        self.s = services
        self._nav: dict[str, tuple[float, NavCounts]] = {}
        self._shown: dict[tuple[str, str], tuple[float, RolloutView]] = {}
        self._looking: dict[tuple[str, str], asyncio.Lock] = {}
        self.standings: dict[str, tuple[float, ReleaseStandings]] = {}
        self.deployments: dict[tuple[str, str], tuple[float, DeploymentView | None]] = {}

    async def waiting_requests(self, who: Visitor) -> tuple[Request, ...]:
        """What waits for a second person; nothing for whom it does not concern."""
        try:
            return await self.s.tenancy.approvals.list(who.principal)
        except Forbidden:
            return ()

    async def stops(self, who: Visitor) -> tuple[Need, ...]:
        """The freeze in force and what waits for a second person: the first things that the overview says."""
        freeze = self.s.freezing.frozen(who.principal.tenant_id)
        return present_stop.needs(freeze, await self.waiting_requests(who), self.s.clock.now_ms())

    async def modes(self, who: Visitor, endpoint_ids: Sequence[str]) -> dict[str, Mode]:
        """Endpoint id -> what policy lets its agent do."""
        answers = await self.s.remediation.patchable(who.principal.tenant_id, list(endpoint_ids))
        return {endpoint_id: Mode.ASSESS if why else Mode.PATCH for endpoint_id, why in answers.items()}

    async def shown(self, who: Visitor, rollout_id: str, least_s: float = SHOWN_S) -> RolloutView:
        """A rollout as it was a moment ago: counting it again takes at most `SHOWN_SHARE` of the time, however large it
        is and however many look, so that nobody who watches a rollout keeps its brake waiting."""
        who.principal.require("rollout.read")
        key = (who.principal.tenant_id, rollout_id)
        async with self._looking.setdefault(key, asyncio.Lock()):
            known, now = self._shown.get(key), self.s.clock.monotonic_s()
            if known is None or known[0] <= now:
                if len(self._shown) >= SHOWN_MAX:
                    self._shown.clear()
                    self._looking = {key: self._looking[key]}
                found = await self.s.rollout.show(who.principal, rollout_id)
                after = self.s.clock.monotonic_s()
                known = self._shown[key] = (after + max(least_s, (after - now) / SHOWN_SHARE), found)
        return known[1]

    def acted(self, who: Visitor, rollout_id: str) -> None:
        """Somebody did something to this rollout: the next look counts anew."""
        self._shown.pop((who.principal.tenant_id, rollout_id), None)

    async def live_rollouts(self, who: Visitor) -> int | None:
        try:
            return len(await self.s.rollout.list(who.principal, states=LIVE_STATES, limit=100))
        except Forbidden:
            return None

    async def rollout_rows(self, who: Visitor, *, live: bool) -> tuple[RolloutRow, ...]:
        """Rollouts for the overview: live ones and those that were halted."""
        states = (*LIVE_STATES, "halted") if live else ()
        found = await self.s.rollout.list(who.principal, states=states, limit=8)
        now = self.s.clock.now_ms()
        return tuple([present_rollout.rollout_row(r, await self.shown(who, r.id), now) for r in found])

    async def views_with(self, who: Visitor, endpoint_id: str, states: Sequence[str]) -> list[RolloutView]:
        """Rollouts in one of `states` that have this endpoint among their targets."""
        found = await self.s.rollout.list(who.principal, states=states, limit=ROLLOUTS_LOOKED_AT)
        views = [await self.shown(who, r.id) for r in found]
        return [v for v in views if any(m.endpoint_id == endpoint_id for m in v.members)]

    async def waiting(self, who: Visitor, endpoint_id: str) -> dict[str, str]:
        """Package -> what its rollout waits for, for one endpoint."""
        found: dict[str, str] = {}
        for view in await self.views_with(who, endpoint_id, (*LIVE_STATES, "halted")):
            for name, text in present_rollout.waiting_texts(view, endpoint_id).items():
                found.setdefault(name, text)
        return found

    async def launcher(self, who: Visitor, detail: EndpointDetail) -> LauncherView:
        """What the launcher of one endpoint says, and why it has not got the newest release."""
        newest = present_launcher.newest_of(await self.s.releases.list(who.principal), "agent")
        rollouts = await self.s.rollout.of_releases(who.principal) if newest else ()
        promoted = any(r.release == newest.release_id and r.state in PROMOTED for r in rollouts) if newest else False
        waiting = await self.waiting(who, detail.summary.id)
        follow = await self.s.remediation.explain_self_update(who.principal, detail.summary.id)
        to = {r.channel for r in rollouts if newest and r.release == newest.release_id and r.state in PROMOTED}
        early = ""
        if newest is not None and to == {EARLY}:
            brought = self.s.releasing.early.brought(who.principal.tenant_id, newest.release_id, detail.summary.id)
            early = present_launcher.why_not_early(follow.channel == EARLY, brought)
        pinned = waiting.get(present_launcher.PIN["agent"], "")
        beside = present_launcher.Beside(newest, promoted, pinned, follow, early)
        return present_launcher.launcher_view(detail, beside, self.s.clock.now_ms())

    async def endpoint_events(self, who: Visitor, endpoint_id: str) -> list[tuple[int, Badge, str, str]]:
        """What rollouts did with this endpoint, for its timeline."""
        found = []
        for view in await self.views_with(who, endpoint_id, ()):
            member = next(m for m in view.members if m.endpoint_id == endpoint_id)
            if member.arm:
                badge = present_rollout.member_badge(member)
                found.append((view.created_ms, badge, f"{view.title}: {member.note or member.state}", view.created_by))
        return found
