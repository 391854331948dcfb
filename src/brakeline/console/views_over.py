"""View-models of where a change goes: into this cell, or over cells as a lead; see `views` for what holds of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class OverForm:
    """As chosen. `cells`: those that are ticked, of which nothing is asked unless it goes `over` cells."""

    over: bool = False
    cells: tuple[str, ...] = ()
    exploited: bool = False


HERE: Final = OverForm()


@dataclass(frozen=True, slots=True)
class CellChoice:
    name: str
    region: str
    chosen: bool = True


@dataclass(frozen=True, slots=True)
class OverOffer:
    """`cells`: in the order in which they open; () = this server conducts nobody, and the form has no such choice."""

    cells: tuple[CellChoice, ...] = ()
    over: bool = False
    exploited: bool = False


NO_OFFER: Final = OverOffer()


@dataclass(frozen=True, slots=True)
class LeadPreview:
    """What a press on Draft would lead. `fields` travel with it to `action`."""

    action: str
    fields: tuple[tuple[str, str], ...]
    what: tuple[tuple[str, str], ...]  # name and version
    whom: str
    over: tuple[str, ...]
    notes: tuple[str, ...]
    command: str = ""
    more: int = 0  # of what is led, beyond those that are listed
    may_draft: bool = True
