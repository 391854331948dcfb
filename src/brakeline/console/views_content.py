"""What the page of advisory data shows: feeds with their age, what is held and why, the bounds. Frozen words."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.console.views import Badge


@dataclass(frozen=True, slots=True)
class FeedRow:
    """`problem`: why the last attempt changed nothing; "" = it did, or there was nothing new."""

    feed: str
    state: Badge
    version: str
    newest: str  # entry, as a day
    loaded: str
    rows: int
    problem: str = ""
    how_old: str = ""  # or that it is missing, and what that means
    origin: str = ""
    fetch: bool = False  # its address can be asked now
    limits: str = ""  # what it cannot know


@dataclass(frozen=True, slots=True)
class HeldCard:
    """Content that waits. `sha256` travels with the forms: an act is about exactly what was seen."""

    feed: str
    version: str
    sha256: str
    reason: str
    since: str
    figures: str
    outlook: str  # when it is live by itself, or who has to agree
    provisional: tuple[str, ...] = ()  # exploited CVEs that it would add
    decided: str = ""


@dataclass(frozen=True, slots=True)
class ContentView:
    feeds: tuple[FeedRow, ...]
    held: tuple[HeldCard, ...]
    bounds: str
    may_decide: bool = False
