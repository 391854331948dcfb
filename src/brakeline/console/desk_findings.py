"""Accepted risk, terms, exposure over time, updates: over `exposure`."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.console import present_findings, present_updates
from brakeline.console.desk_base import DeskBase
from brakeline.console.screens import Visitor
from brakeline.console.views_findings import AcceptancesView, TermsView, TrendView, UpdatesView, UpdateView
from brakeline.core.errors import Invalid, NotFound
from brakeline.exposure.acceptance import Acceptance
from brakeline.exposure.accepting import terms_of
from brakeline.exposure.due import CLASSES
from brakeline.exposure.times import ExposureDay
from brakeline.rollout.declining import Declining

UPDATES_SHOWN: Final = 200


class DeskFindings(DeskBase):
    """See the module."""

    async def acceptances(self, who: Visitor, *, every: bool) -> AcceptancesView:
        found = await self.s.accepting.acceptances(who.principal, every=every)
        now_ms, may = self.s.clock.now_ms(), who.may("policy.write")
        return present_findings.acceptances_view(found, now_ms, every=every, may_write=may)

    async def accept_cve(self, who: Visitor, cve: str, reason: str, days: str, filter_text: str) -> str:
        """The id of the request where it takes a second person, else ""."""
        made = await self.s.accepting.accept(
            who.principal, cve, reason=reason, days=_days(days), filter_text=filter_text
        )
        return "" if isinstance(made, Acceptance) else made.approval_id

    async def end_acceptance(self, who: Visitor, acceptance_id: str, reason: str) -> None:
        await self.s.accepting.end(who.principal, acceptance_id, reason)

    async def terms(self, who: Visitor) -> TermsView:
        found, summary = await self.s.accepting.terms(who.principal), await self.s.exposure.summary(who.principal)
        return present_findings.terms_view(found, summary, may_write=who.may("policy.write"))

    async def set_terms(self, who: Visitor, form: dict[str, str]) -> str:
        plain = {name: _days(form.get(name, "")) for name in CLASSES}
        wanted = terms_of({**plain, "catalogue": "catalogue" in form, "two_people": form.get("two_people", "")})
        asked = await self.s.accepting.set_terms(who.principal, wanted)
        return asked.approval_id if asked is not None else ""

    async def trend(self, who: Visitor, days: int, query: str = "") -> TrendView:
        of, error, found = " ".join(query.split()), "", tuple[ExposureDay, ...]()
        try:
            found = await self.s.trend.days(who.principal, days, of)
        except NotFound as wrong:
            error = wrong.detail
        view = present_updates.trend_view(found, await self.s.trend.times(who.principal, days), days)
        followed = await self.s.trend.following.followed(who.principal)
        rows = tuple(present_updates.followed_row(one, of, days) for one in followed)
        return replace(view, of=of, followed=rows, may_follow=who.may("policy.write"), error=error)

    async def follow(self, who: Visitor, query: str) -> str:
        return (await self.s.trend.following.follow(who.principal, query)).query

    async def unfollow(self, who: Visitor, query: str) -> None:
        await self.s.trend.following.unfollow(who.principal, query)

    async def updates(self, who: Visitor, query: str) -> UpdatesView:
        try:
            found = await self.s.updates.pending(who.principal, query, limit=UPDATES_SHOWN)
        except Invalid as wrong:
            return present_updates.updates_refused(query, wrong)
        return present_updates.updates_view(found, query)

    async def update(self, who: Visitor, name: str) -> UpdateView:
        found = await self.s.updates.show(who.principal, name)
        kept_out = await self.s.rollout.quarantined(who.principal) if who.may("rollout.read") else ()
        return present_updates.update_view(
            found, may_deploy=who.may("rollout.create"), kept_out=kept_out, may_decline=who.may("rollout.brake"),
            may_allow=who.may("rollout.resume"),
        )  # fmt: skip

    async def decline_update(self, who: Visitor, name: str, version: str, reason: str) -> None:
        await Declining(self.s.rollout).decline(who.principal, name, version, reason)

    async def allow_update(self, who: Visitor, name: str, version: str, reason: str) -> None:
        await Declining(self.s.rollout).allow(who.principal, name, version, reason)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise Invalid("a number of days is needed, such as 30", got=text[:20])
    return int(text)
