"""Samples of the page that drafts a lead of settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.console.present_lead import form_view, looked_at
from brakeline.console.views_change import PolicyForm
from brakeline.console.views_lead import LeadForm

JOINED = ("berlin-1", "dallas-1", "oslo-1")
NIGHTS = LeadForm(
    PolicyForm("nights", "os:debian tag:db", "leave", windows="mon-fri 22:00/05:00", conffiles="hold", nice="10"),
    cells="berlin-1 dallas-1",
)
EMPTY = form_view(LeadForm(PolicyForm(mode="leave")), JOINED)

LEAD_SETTINGS: Final = {
    "empty": EMPTY,
    "looked at": looked_at(form_view(NIGHTS, JOINED)),
    "takes away": looked_at(form_view(LeadForm(PolicyForm("nights", "os:debian tag:db", "leave")), JOINED)),
    "wrong": replace(form_view(replace(NIGHTS, cells="paris-1"), JOINED),
                     error="no cell 'paris-1' has joined; there are berlin-1, dallas-1, oslo-1"),
    "no cell": form_view(LeadForm(PolicyForm(mode="leave")), ()),
}  # fmt: skip
