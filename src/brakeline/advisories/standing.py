"""How old each feed is, and whether that is too old to rest upon. Pure.

Invariants: the age is that of what is live, counted from when its makers issued it, never from when it was loaded; a
feed that was never loaded is said as missing. EPSS speaks of 30 days, so older than that it says nothing any more and
is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.advisories.arrivals import age_of
from brakeline.advisories.model import FeedState
from brakeline.core.days import days_since

EPSS_DAYS_MAX: Final = 30
OLD_DAYS: Final = {"advisories": 7, "kev": 7, "epss": 3, "cvss": 45, "osv": 30, "eol": 180}
KNOWN: Final = (("epss", "epss"), ("cisa-kev", "kev"), ("cvss", "cvss"))  # those that can be imported, and their kinds


@dataclass(frozen=True, slots=True)
class Standing:
    """One feed. `age_days` None = nothing of it is live; `says` is one sentence for people."""

    feed: str
    kind: str
    version: str
    issued: str
    rows: int
    age_days: int | None
    old: bool
    origin: str
    address: str  # where it is fetched from, "" = nowhere
    asked_ms: int  # when it was last asked there
    problem: str
    says: str
    limits: str = ""  # what it cannot know, and what of it was left out


def standing(state: FeedState, address: str, asked_ms: int, now_ms: int) -> Standing:
    """What there is of one feed."""
    age = age_days(state, now_ms)
    old = age is None or age > OLD_DAYS[state.kind]
    return Standing(
        state.feed, state.kind, state.version, age_of(state), state.rows, age, old, state.origin, address, asked_ms,
        state.problem, _says(state, age, old), state.limits if age is not None else "",
    )  # fmt: skip


def missing(feed: str, kind: str, address: str, asked_ms: int) -> Standing:
    """A feed of which nothing ever came."""
    return Standing(feed, kind, "", "", 0, None, True, "", address, asked_ms, "", f"{WITHOUT[kind]}{_how(feed)}")


WITHOUT: Final = {
    "epss": "Nothing says how likely exploitation is, except the catalogue of what is exploited already. ",
    "eol": "Nothing says which releases their vendors no longer look after. ",
    "cvss": "Nothing says how bad a flaw would be. ",
    "kev": "Nothing says what is exploited already. ",
    "advisories": "Nothing can be assessed. ",
    "osv": "Its packages are not assessed, and questions about them are refused. ",
}  # fmt: skip


def age_days(state: FeedState, now_ms: int) -> int | None:
    """Of what is live; None = nothing is, or it has no day."""
    if not state.sha256:
        return None
    try:
        return max(0, days_since(age_of(state), now_ms))
    except ValueError:
        return None


def usable(feeds: tuple[FeedState, ...], now_ms: int) -> bool:
    """Whether the EPSS that is live still speaks of today."""
    ages = [age_days(feed, now_ms) for feed in feeds if feed.kind == "epss"]
    return any(age is not None and age <= EPSS_DAYS_MAX for age in ages)


def too_old(feeds: tuple[FeedState, ...], now_ms: int) -> str:
    """What must be said where EPSS is there and too old; "" otherwise."""
    for feed in feeds:
        age = age_days(feed, now_ms) if feed.kind == "epss" else None
        if age is not None and age > EPSS_DAYS_MAX:
            return f"EPSS is {age} days old and is not used: it speaks of the {EPSS_DAYS_MAX} days after its date."
    return ""


def epss_note(feeds: tuple[FeedState, ...], now_ms: int, *, told: bool) -> str:
    """Of which day the EPSS is, or why it says nothing of some CVEs; "" where none is loaded."""
    for feed in feeds:
        age = age_days(feed, now_ms) if feed.kind == "epss" else None
        if age is not None:
            day = f"of {age_of(feed)[:10]}, {age} {'day' if age == 1 else 'days'} old"
            if age > EPSS_DAYS_MAX:
                return f"EPSS is too old to be used ({day})"
            return day if told else f"EPSS {day} lists none of them"
    return ""


def _says(state: FeedState, age: int | None, old: bool) -> str:
    if age is None:
        return f"nothing of it is live. {WITHOUT[state.kind]}{_how(state.feed)}"
    text = f"of {age_of(state)[:10]}, {age} {'day' if age == 1 else 'days'} old"
    if state.kind == "epss" and age > EPSS_DAYS_MAX:
        return f"{text}: not used any more. {_how(state.feed)}"
    return f"{text}: older than it should be. {_how(state.feed)}" if old else text


def _how(feed: str) -> str:
    return f"brakeline content import {feed} FILE"
