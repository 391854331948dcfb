"""View-models of drafting a lead of settings, ready for a template; see `views` for what holds of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views_change import Choice, PolicyForm


@dataclass(frozen=True, slots=True)
class LeadForm:
    """As typed; "" = says nothing of it. `cells`: names, in the order in which they open; "" = all that have joined."""

    policy: PolicyForm
    refresh_interval_s: str = ""
    inventory_interval_s: str = ""
    cells: str = ""
    pace: str = ""


@dataclass(frozen=True, slots=True)
class LeadSettingsView:
    """`words`: what would be led, for people; () = nobody has looked yet. `joined`: cells that could take part."""

    form: LeadForm
    joined: tuple[str, ...]
    paces: tuple[Choice, ...]
    words: tuple[str, ...] = ()
    whom: str = ""
    over: tuple[str, ...] = ()
    takes_away: bool = False
    error: str = ""
