"""Where a change goes: in this cell, or over cells as a lead of updates or of a release. Over `rollout.conducting`.

Looking changes nothing; drafting looks again and refuses what is not what was seen. Next: `desk_lead` (settings, and
what people do about a lead).
"""

from __future__ import annotations

from brakeline.cells.model import Member, MemberState, superseded
from brakeline.console import present_over
from brakeline.console.desk_base import DeskBase
from brakeline.console.screens import Visitor
from brakeline.console.views_change import DeploymentForm
from brakeline.console.views_over import NO_OFFER, LeadPreview, OverForm, OverOffer
from brakeline.core.errors import Conflict, Invalid
from brakeline.fleet.query import parse, render
from brakeline.remediation.model import Preview
from brakeline.rollout.model import Change, Pin
from brakeline.tenancy.faults import CountMoved

ACROSS = (
    "over cells each package goes at one version: leave “Across distributions” unticked, and lead each distribution by "
    "itself"
)


class DeskOver(DeskBase):
    """See the module."""

    async def offer(self, who: Visitor, form: OverForm) -> OverOffer:
        """Over which cells this one could lead; nothing where it conducts nobody."""
        if not who.may("rollout.read"):
            return NO_OFFER
        members = await self.s.cells.members(who.principal)
        return NO_OFFER if superseded(members) else present_over.offer(_joined(members), form)

    async def over_cells(self, who: Visitor, form: OverForm) -> tuple[str, ...]:
        """The cells that are meant, in the order in which they open. Raises `Invalid`."""
        members = await self.s.cells.members(who.principal)
        if why := superseded(members):
            raise Conflict(why)
        return present_over.meant(form, _joined(members))

    # --- updates -----------------------------------------------------------------------------------------------------

    async def looked_at_updates(self, who: Visitor, form: DeploymentForm) -> LeadPreview:
        """What would be led. Raises `Invalid` for what cannot be."""
        over = await self.over_cells(who, form.over)
        change, notes = await self._updates(who, form)
        whom, may = render(parse(form.filter)), who.may("rollout.create")
        return present_over.lead_updates(form, change, whom, over, notes, may)

    async def draft_updates(self, who: Visitor, form: DeploymentForm, digest: str) -> str:
        """The id of the draft. Raises CountMoved where other updates would be led than those that were seen."""
        who.principal.require("rollout.create")
        over, (change, _) = await self.over_cells(who, form.over), await self._updates(who, form)
        if digest != present_over.digest(change):
            raise CountMoved("the updates that would be led are not those that you saw")
        pace = present_over.pace_of(form.policy)
        made = await self.s.conducting.create(who.principal, change.title, change, form.filter, over, pace)
        return made.id

    async def _updates(self, who: Visitor, form: DeploymentForm) -> tuple[Change, tuple[str, ...]]:
        """The updates of a lead, and what is to be known of them."""
        if form.across:
            raise Invalid(ACROSS)
        typed, names = present_over.named(form)
        seen = await self._seen(who, form, names) if names or not typed else None
        found = [Pin(u.name, u.version) for u in seen.plan.updates] if seen is not None else []
        pins = present_over.pinned(typed, found, names if form.selection == "names" else ())
        exploited = form.over.exploited or (seen is not None and bool(seen.closing.kev))
        change = Change(pins, exploited=exploited, title=form.name or present_over.title_of(pins))
        notes = [present_over.of_this_cell(seen.plan.release, seen.count)] if seen is not None else []
        return change, (*notes, *await self._kept_out(who, pins))

    async def _seen(self, who: Visitor, form: DeploymentForm, names: tuple[str, ...]) -> Preview:
        return await self.s.remediation.preview(who.principal, form.filter, form.selection, names)

    async def _kept_out(self, who: Visitor, pins: tuple[Pin, ...]) -> tuple[str, ...]:
        """What no rollout of this cell offers, though somebody has typed it."""
        found = await self.s.rollout.quarantined(who.principal)
        return tuple(f"{q.pin.name} {q.pin.version} {q.told} in this cell." for q in found if q.pin in pins)

    # --- a release ---------------------------------------------------------------------------------------------------

    async def draft_release(self, who: Visitor, release_id: str, pace: str, form: OverForm, channel: str) -> str:
        """The id of the draft."""
        over = await self.over_cells(who, form)
        change = await self.s.releasing.change_for(who.principal, release_id, channel)
        made = await self.s.conducting.create(who.principal, change.title, change, "", over, pace)
        return made.id


def _joined(members: tuple[Member, ...]) -> tuple[Member, ...]:
    return tuple(m for m in members if m.state is MemberState.JOINED)
