"""Releases of our own, their promotion, the acts on them, and the keys: over releases, rollout and fleet."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from brakeline.console import (
    present,
    present_keys,
    present_over,
    present_release,
    present_release_acts,
    present_rollout,
)
from brakeline.console.desk_change import PACES
from brakeline.console.desk_over import DeskOver
from brakeline.console.screens import RELEASE_ACTS, Visitor
from brakeline.console.views import Link
from brakeline.console.views_change import Choice
from brakeline.console.views_over import OverForm
from brakeline.console.views_release import (
    ActLink,
    PromotionView,
    ReleaseActView,
    ReleaseKeysView,
    ReleasesView,
    ReleaseView,
)
from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.fleet.model import ReleaseStanding, ReleaseStandings
from brakeline.releases.model import Release
from brakeline.rollout.reading import ReleaseRollout

PAGE: Final = 25
NAMES_SHOWN: Final = 12
TRIALS_SHOWN: Final = 20
ROLLOUTS_SHOWN: Final = 10
STANDINGS_S: Final = 4.0  # the sum over a large fleet is dear, and a live page asks all the time


class DeskRelease(DeskOver):
    """See the module."""

    async def releases(self, who: Visitor, after: str) -> ReleasesView:
        found = await self.s.releases.list(who.principal)
        page, more = _page(found, after)
        standings, now = await self._standings(who), self.s.clock.now_ms()
        newest = _newest(await self.s.rollout.of_releases(who.principal))
        status = self.s.releases.status()
        return ReleasesView(
            tuple(
                present_release.release_row(r, _standing(standings, r.release_id), newest.get(r.release_id), now)
                for r in page
            ),
            present_release.launchers_text(standings), Link("Keys", "/releases/keys"),
            present_keys.keys_headline(status), "/releases" if after else "",
            f"/releases?{urlencode({'after': page[-1].release_id})}" if more else "",
        )  # fmt: skip

    async def release(self, who: Visitor, release_id: str) -> ReleaseView:
        r = await self._known(who, release_id)
        standings, now = await self._standings(who), self.s.clock.now_ms()
        standing = _standing(standings, release_id)
        trials = await self.s.fleet.release_trials(who.principal, release_id, limit=TRIALS_SHOWN)
        rollouts = await self.s.rollout.list(who.principal, release=release_id, limit=ROLLOUTS_SHOWN)
        return present_release.release_view(
            r, standing, await self._names(who, standing), trials,
            tuple(present_rollout.rollout_row(x, None, now) for x in rollouts),
            present_release.launchers_text(standings),
            self._acts(who, r), now, present_release.promoted_to(rollouts),
        )  # fmt: skip

    async def release_keys(self, who: Visitor) -> ReleaseKeysView:
        who.principal.require("release.read")
        return present_keys.keys_view(self.s.releases.status(), self.s.clock.now_ms())

    async def release_act(self, who: Visitor, release_id: str, verb: str) -> ReleaseActView:
        r = await self._known(who, release_id)
        possible = dict(zip(("promote", *RELEASE_ACTS), self._acts(who, r), strict=True))[verb]
        standing = _standing(await self._standings(who), release_id)
        return present_release_acts.act_view(r, standing, verb, possible)

    async def act_on_release(self, who: Visitor, release_id: str, verb: str, reason: str) -> str:
        if verb == "pardon":
            return (await self.s.releases.pardon(who.principal, release_id, reason)).approval_id
        act = {"withdraw": self.s.releases.withdraw, "recall": self.s.releases.recall}
        await act[verb](who.principal, release_id, reason)
        return ""

    async def promotion(self, who: Visitor, release_id: str, pace: str, over: OverForm, channel: str) -> PromotionView:
        view = await self._promotion(who, release_id, pace, over, channel)
        return replace(view, channel=channel, channels=present_release_acts.channels(channel))

    async def _promotion(self, who: Visitor, release_id: str, pace: str, over: OverForm, channel: str) -> PromotionView:
        r = await self._known(who, release_id)
        if pace not in {k for k, _, _ in PACES}:
            raise Invalid(f"no pace {pace[:20]!r}; there are {', '.join(k for k, _, _ in PACES)}")
        paces = tuple(Choice(k, label, note, k == pace) for k, label, note in PACES)
        offer = await self.offer(who, over)
        try:
            plan = await self.s.releasing.plan(who.principal, release_id, pace=pace, channel=channel)
            cells = await self.over_cells(who, over) if over.over else ()
        except (Conflict, Invalid) as wrong:
            return present_release_acts.refused_promotion(r, paces, present_release_acts.refusal(wrong), offer)
        may = who.may("release.publish")
        if cells:
            led = present_over.lead_release(r, pace, cells, may and who.may("rollout.create"), channel)
            return present_release_acts.refused_promotion(r, paces, "", offer, led)
        return replace(present_release_acts.promotion_view(r, plan, paces, may), offer=offer)

    async def promote(self, who: Visitor, release_id: str, pace: str, expect_count: int, channel: str) -> str:
        return await self.s.releasing.promote(
            who.principal, release_id, pace=pace, expect_count=expect_count, start=True, channel=channel
        )  # fmt: skip

    # --- questions -------------------------------------------------------------------------------------------------

    def _acts(self, who: Visitor, r: Release) -> tuple[ActLink, ...]:
        return present_release_acts.acts(r, who.may("release.publish"), who.may("release.recall"))

    async def _known(self, who: Visitor, release_id: str) -> Release:
        found = await self.s.releases.list(who.principal)
        known = next((r for r in found if r.release_id == release_id), None)
        if known is None:
            raise NotFound("there is no such release; Releases lists them", id=release_id[:60])
        return known

    async def _standings(self, who: Visitor) -> ReleaseStandings:
        key, now = who.principal.tenant_id, self.s.clock.monotonic_s()
        known = self.standings.get(key)
        if known is None or known[0] <= now:
            found = await self.s.fleet.release_standings(who.principal)
            known = self.standings[key] = (now + STANDINGS_S, found)
        return known[1]

    async def _names(self, who: Visitor, s: ReleaseStanding) -> dict[str, tuple[Link, ...]]:
        """The first endpoints of each kind that there is, by host name."""
        names: dict[str, tuple[Link, ...]] = {}
        counts = {
            "running": s.running,
            "confirmed": s.confirmed,
            "probation": s.probation,
            "quarantined": s.quarantined,
        }
        for key in (k for k, n in counts.items() if n):
            page = await self.s.fleet.list_endpoints(who.principal, f"{key}:{s.release_id}", limit=NAMES_SHOWN)
            names[key] = tuple(Link(e.hostname or e.id, f"{present.endpoint_href(e.id)}/agent") for e in page.items)
        return names


def _page(found: tuple[Release, ...], after: str) -> tuple[tuple[Release, ...], bool]:
    """The releases behind `after`, and whether more follow."""
    ids = [r.release_id for r in found]
    if after and after not in ids:
        raise Invalid("the list does not go on there; open it from the beginning", got=after[:60])
    start = ids.index(after) + 1 if after else 0
    return found[start : start + PAGE], len(found) > start + PAGE


def _standing(standings: ReleaseStandings, release_id: str) -> ReleaseStanding:
    found = next((s for s in standings.items if s.release_id == release_id), None)
    return found or ReleaseStanding(release_id)


def _newest(rollouts: tuple[ReleaseRollout, ...]) -> dict[str, ReleaseRollout]:
    """The newest rollout of each release; they come newest first."""
    found: dict[str, ReleaseRollout] = {}
    for r in rollouts:
        found.setdefault(r.release, r)
    return found
