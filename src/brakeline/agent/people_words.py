"""What people at the machine are told of a restart, in words. Pure. Next: `desk`, which says it to them."""

from __future__ import annotations

from dataclasses import dataclass

from brakeline.agent.people import Waits, Word, left
from brakeline.protocol.messages import PeopleTerms, PeopleWait

DEFER = "brakeline-agent defer"


@dataclass(frozen=True, slots=True)
class Notice:
    """`news` is called out to everybody, "" = nothing new; `standing` stays as the login message."""

    news: str
    standing: str
    left: int  # deferrals


def notice(terms: PeopleTerms, found: Waits, at: str) -> Notice:
    """`at`: the local time at which it goes on, as people read it."""
    n = left(terms, found.warned)
    when = f"at {at}" if found.left_s is not None and terms.deadline_s else "as soon as nobody is logged in"
    if found.left_s is not None and not terms.deadline_s:
        when = f"when nobody is logged in, not before {at}"
    standing = f"This machine restarts {when}, to finish an update. {_can(terms, n)}"
    return Notice(_news(found, terms, n, at, standing), standing, n)


def _can(terms: PeopleTerms, n: int) -> str:
    if not n:
        return "It cannot be put off any more." if terms.deadline_s else "Save your work and log out."
    minutes = f"{terms.defer_s / 60:.0f} min"
    return f"Put it off by {minutes}: {DEFER} ({n} of {terms.deferrals} left)."


def _news(found: Waits, terms: PeopleTerms, n: int, at: str, standing: str) -> str:
    match found.word:
        case None:
            return ""
        case Word.DEFERRED:
            return f"The restart of this machine was put off until {at} ({n} of {terms.deferrals} deferrals left)."
        case Word.NONE_LEFT:
            return f"Nothing is left to put the restart off. {standing}"
        case Word.SOON:
            minutes = max(1, round((found.left_s or 0.0) / 60))
            return f"This machine restarts in {minutes} min, at {at}. Save your work. {_can(terms, n)}"
        case _:
            return standing


OFF = "The restart of this machine was called off."


def told(terms: PeopleTerms, found: Waits, people: int, now_ms: int) -> PeopleWait:
    """The same for the cell."""
    until_ms = 0 if found.left_s is None else now_ms + round(found.left_s * 1000)
    latest_ms = 0 if found.latest_s is None else now_ms + round(found.latest_s * 1000)
    used = min(found.warned.used, terms.deferrals)
    return PeopleWait(people, until_ms, used, terms.deferrals, latest_ms)


def reason(said: PeopleWait) -> str:
    """Why the order waits, for the log."""
    who = f"{said.people} logged in" if said.people else "put off"
    return f"waits for people at the machine ({who}; {said.deferred} of {said.deferrals} deferrals used)"
