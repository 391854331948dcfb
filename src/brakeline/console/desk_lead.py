"""Drafting leads of settings, and what people do about a lead: over `remediation.leading` and `rollout.conducting`."""

from __future__ import annotations

from dataclasses import replace

from brakeline.console import present_lead
from brakeline.console.desk_base import DeskBase
from brakeline.console.screens import Visitor
from brakeline.console.views_lead import LeadForm, LeadSettingsView
from brakeline.core.errors import Fault, NotFound
from brakeline.tenancy.two_people import Request


class DeskLead(DeskBase):
    """See the module."""

    async def lead_settings(self, who: Visitor, form: LeadForm, ask: bool) -> LeadSettingsView:
        who.principal.require("policy.write")
        cells = present_lead.joined(await self.s.cells.members(who.principal))
        view = present_lead.form_view(form, cells)
        if not ask:
            return view
        try:
            return present_lead.looked_at(view)
        except Fault as wrong:
            return replace(view, error=wrong.detail or wrong.title)

    async def draft_settings(self, who: Visitor, form: LeadForm) -> None:
        cells = present_lead.joined(await self.s.cells.members(who.principal))
        meant, pace = present_lead.wished(form), form.pace or present_lead.CAREFUL
        await self.s.remediation.lead_settings(who.principal, meant, present_lead.over(form, cells), pace)

    async def lead_act(self, who: Visitor, lead_id: str, act: str, reason: str) -> str:
        if act == "start":
            found = await self.s.conducting.start(who.principal, lead_id)
            return found.approval_id if isinstance(found, Request) else ""
        if act == "pause":
            await self.s.conducting.pause(who.principal, lead_id, reason)
        elif act == "resume":
            await self.s.conducting.resume(who.principal, lead_id, reason)
        else:
            raise NotFound("a lead is started, paused, resumed, braked or taken over")
        return ""
