"""From what people type of a lead of settings to its words, and what the page says of them. Pure."""

from __future__ import annotations

from typing import Final

from brakeline.cells.model import Member, MemberState
from brakeline.console.present_settings import policy_words, whole_number
from brakeline.console.views_change import Choice
from brakeline.console.views_lead import LeadForm, LeadSettingsView
from brakeline.core.errors import Invalid
from brakeline.fleet.query import parse, render
from brakeline.remediation.led import wished_of
from brakeline.rollout.wished import Wished, told

CAREFUL: Final = "careful"
PACES: Final = (
    (CAREFUL, "careful", "watches each ring for 26 h"),
    ("fast", "fast", "6 h 15 a ring; a second person agrees, and every cell has to allow it"),
    ("emergency", "emergency", "as fast, in fewer and larger rings"),
    ("rehearsal", "rehearsal", "minutes, for 20 endpoints in an organisation's first week"),
)


def wished(form: LeadForm) -> Wished:
    """The words that would be led. `Invalid` names the field that is wrong."""
    p = form.policy
    refresh = whole_number("refresh_interval_s", form.refresh_interval_s)
    inventory = whole_number("inventory_interval_s", form.inventory_interval_s)
    return wished_of(p.name, render(parse(p.filter)), p.mode, policy_words(p), refresh, inventory)


def over(form: LeadForm, joined: tuple[str, ...]) -> tuple[str, ...]:
    """The cells that are meant, in the order in which they open."""
    return known(tuple(form.cells.replace(",", " ").split()), joined) or joined


def known(named: tuple[str, ...], joined: tuple[str, ...]) -> tuple[str, ...]:
    """Cells by name, each of which has joined. Raises `Invalid`."""
    if unknown := [name for name in named if name not in joined]:
        raise Invalid(f"no cell {unknown[0][:40]!r} has joined; there are {', '.join(joined) or 'none'}")
    if len(set(named)) != len(named):
        raise Invalid("each cell opens once: name it once")
    if not joined:
        raise Invalid("no cell has joined yet; invite one: brakeline cell add NAME --region REGION")
    return named


def joined(members: tuple[Member, ...]) -> tuple[str, ...]:
    return tuple(m.cell for m in members if m.state is MemberState.JOINED)


def form_view(form: LeadForm, cells: tuple[str, ...]) -> LeadSettingsView:
    """The form as it is, before anybody has looked what it would come to."""
    pace = form.pace or CAREFUL
    return LeadSettingsView(form, cells, tuple(Choice(k, label, note, k == pace) for k, label, note in PACES))


def looked_at(view: LeadSettingsView) -> LeadSettingsView:
    """What would be led, in words; `Invalid` for what cannot be."""
    meant, cells = wished(view.form), over(view.form, view.joined)
    if not any(c.chosen for c in view.paces):
        raise Invalid(f"no pace {view.form.pace[:20]!r}; there are {', '.join(k for k, _, _ in PACES)}")
    return LeadSettingsView(
        view.form, view.joined, view.paces, told(meant), meant.filter or "every endpoint", cells, meant.takes_away
    )
