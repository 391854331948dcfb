"""People at machines that shall restart: what is told of them, and on which terms they are asked. Pure.

The organisation gives terms with a rollout of restarts; root of each endpoint has its own, and whichever is kinder to
people holds there (`agent.people.kinder`). An endpoint says how many people it waits for and until when, never who.
Next: `restart_offering` writes it down, `reading` shows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from brakeline.core.days import day_of
from brakeline.core.errors import Invalid
from brakeline.protocol.codec import decode, encode
from brakeline.protocol.messages import PeopleTerms, PeopleWait
from brakeline.rollout.model import Line, State

GATE: Final = "people"
NAMED_MAX: Final = 5
WARN_MIN_MAX: Final = 24 * 60
DEFERRALS_MAX: Final = 9
DEFER_MIN_MAX: Final = 8 * 60
DEADLINE_H_MAX: Final = 7 * 24


class WrongTerms(Invalid):
    """The terms on which people at the machines would be asked make no sense."""

    code = "wrong-people-terms"
    hint = (
        "For instance --warn 15 --deferrals 3 --defer 60; without any of them root's own terms count at each machine."
    )


def terms(warn_min: int = 0, deferrals: int = 0, defer_min: int = 0, deadline_h: int = 0) -> PeopleTerms | None:
    """As people give them; None = nothing is asked for. `WrongTerms`."""
    bounds = (("warning", warn_min, WARN_MIN_MAX, "min"), ("number of deferrals", deferrals, DEFERRALS_MAX, ""),
              ("length of a deferral", defer_min, DEFER_MIN_MAX, "min"),
              ("deadline", deadline_h, DEADLINE_H_MAX, "h"))  # fmt: skip
    for name, value, most, unit in bounds:
        if not 0 <= value <= most:
            raise WrongTerms(f"the {name} is 0 to {most} {unit}".rstrip() + f", not {value}")
    if (deferrals or defer_min or deadline_h) and not warn_min:
        raise WrongTerms("nobody can put off what nobody is warned of: give a warning too")
    if bool(deferrals) is not bool(defer_min):
        raise WrongTerms("a number of deferrals and their length belong together")
    if not warn_min:
        return None
    return PeopleTerms(warn_min * 60, deferrals, defer_min * 60, deadline_h * 3600)


def said(found: PeopleTerms | None) -> str:
    """The terms in words."""
    if found is None:
        return "asked on the terms of each machine's own root"
    text = f"who is logged in is warned {found.warn_s // 60} min before"
    if found.deferrals:
        text += f" and puts it off up to {found.deferrals} times by {found.defer_s // 60} min"
    if found.deadline_s:
        text += f"; nobody is overruled within {found.deadline_s // 3600} h"
    return f"{text}; where root's own terms are kinder those hold, and nobody is overruled unless root allows it"


def terms_line(found: PeopleTerms) -> Line:
    return Line("people-terms", State.OK, f"people at the machines: {said(found)}")


def text_of(wait: PeopleWait | None) -> str:
    """As a target's row keeps it."""
    return encode(wait).decode() if wait is not None else ""


def read(text: str) -> PeopleWait | None:
    return decode(PeopleWait, text.encode()) if text else None


def words(wait: PeopleWait) -> str:
    """For whom one waits and until when."""
    left = max(0, wait.deferrals - wait.deferred)
    who = "put off by people" if wait.deferred else f"{wait.people} logged in there"
    text = f"{who}, {'until ' + _moment(wait.until_ms) if wait.until_ms else 'until nobody is logged in'}"
    text += f", {left} of {wait.deferrals} deferrals left" if wait.deferrals else ""
    return text + (f", {_moment(wait.latest_ms)} at the latest" if wait.latest_ms else "")


def lines(waits: Iterable[tuple[str, PeopleWait]]) -> tuple[Line, ...]:
    """One line for those who wait alike, the earliest end first; those without an end last. Names are host names."""
    alike: dict[tuple[int, int, int], list[str]] = defaultdict(list)
    for name, w in waits:
        alike[w.until_ms // 60_000, max(0, w.deferrals - w.deferred), w.deferrals].append(name)
    ordered = sorted(alike.items(), key=lambda item: (item[0][0] == 0, item[0]))
    return tuple(_line(minute, left, of, sorted(names)) for (minute, left, of), names in ordered)


def _line(minute: int, left: int, of: int, names: list[str]) -> Line:
    count = f"{len(names)} endpoint{'s' if len(names) != 1 else ''}"
    if not minute:
        text = f"{count}: wait until nobody is logged in"
    else:
        text = f"{count}: people {'deferred' if left < of else 'were warned, it goes on'} {_until(left < of, minute)}"
    text += f", {left} of {of} deferrals left" if of else ""
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    data = {"endpoints": len(names), "until_ms": minute * 60_000, "left": left, "of": of}
    return Line(GATE, State.WAIT, f"{text} ({', '.join(names[:NAMED_MAX])}{more})", data)


def _until(deferred: bool, minute: int) -> str:
    return f"{'until' if deferred else 'at'} {_moment(minute * 60_000)}"


def _moment(at_ms: int) -> str:
    minute = at_ms // 60_000
    return f"{day_of(at_ms)} {minute // 60 % 24:02}:{minute % 60:02} UTC"
