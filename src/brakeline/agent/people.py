"""People at the machine before a restart: when they are warned, how often they may put it off, when it goes on. Pure.

Protocol machine of one boot, in seconds since the start (`up_s`): no clock that somebody sets can shorten a warning.
Invariants: without root's deadline nobody is ever overruled; a warning always runs in full, again after whatever kept
us from looking (sleep, an agent that was away, a damaged record), and its last minute is told; a deferral is counted
once, and what cannot be read has none left. Nobody there, and nothing put off: it goes on at once.
Next: `reboots` (keeps the record, judges the order first), `desk` (who is there, how they are told).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from brakeline.protocol.messages import PeopleTerms

WARN_S_MAX: Final = 24 * 3600
DEFERRALS_MAX: Final = 9
DEFER_S_MAX: Final = 8 * 3600
DEADLINE_S_MAX: Final = 7 * 24 * 3600
GAP_S: Final = 600.0  # not looked at for so long: whoever sits there now may have seen no warning
FORGOTTEN_S: Final = 3 * 24 * 3600.0  # then a boot's deferrals count anew: another order, in another week
STEPS_S: Final = (300.0, 60.0)  # before it goes on, people are told once more
LAST_S: Final = STEPS_S[-1]


@dataclass(frozen=True, slots=True)
class Warned:
    """What a boot's people were told and did. `used` may exceed what terms give: then nothing is left."""

    boot_id: str
    since_s: float  # when they were warned first
    due_s: float  # not before, unless nobody is there
    seen_s: float  # when it was looked at last
    used: int = 0
    told: int = 0  # how many of STEPS_S
    off: bool = False  # taken back, and said so


class Word(StrEnum):
    """What people are told now."""

    WARNED = "warned"
    DEFERRED = "deferred"
    NONE_LEFT = "none_left"  # somebody asked, and there is nothing to be had any more
    SOON = "soon"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Goes:
    """The restart goes on; `over`: though people are there, as root allows."""

    over: bool = False


@dataclass(frozen=True, slots=True)
class Waits:
    """It waits. `left_s`: until it goes on; None = until nobody is there. `latest_s`: nobody can put it off beyond;
    None = there is no such moment."""

    warned: Warned
    word: Word | None
    left_s: float | None
    latest_s: float | None


class Damaged:
    """There is a record of this boot's people, and it cannot be read."""


def kinder(root: PeopleTerms, order: PeopleTerms | None) -> PeopleTerms:
    """Root's terms, and more where an order is kinder to people. Only root can let anybody be overruled."""
    asked = order or PeopleTerms()
    deadline_s = max(root.deadline_s, asked.deadline_s) if root.deadline_s > 0 else 0
    return PeopleTerms(
        min(max(root.warn_s, asked.warn_s, 0), WARN_S_MAX),
        min(max(root.deferrals, asked.deferrals, 0), DEFERRALS_MAX),
        min(max(root.defer_s, asked.defer_s, 0), DEFER_S_MAX),
        min(deadline_s, DEADLINE_S_MAX),
    )


def judge(terms: PeopleTerms, known: Warned | Damaged | None, boot_id: str, people: int, asked: bool,
          up_s: float) -> Goes | Waits:  # fmt: skip
    """Whether a restart may go on now. `people`: how many are logged in; `asked`: one of them puts it off."""
    if not terms.warn_s:
        return Goes()
    w = _known(terms, known, boot_id, up_s)
    if not people and (w is None or not w.used or up_s >= w.due_s):
        return Goes()
    if w is None:
        return _waits(terms, _anew(terms, Warned(boot_id, up_s, up_s, up_s), up_s), people, Word.WARNED, up_s)
    missed = w.off or up_s - w.seen_s > GAP_S
    if missed:
        w = _anew(terms, w, up_s)
    later = _put_off(terms, w, up_s) if asked else None
    if later is not None:
        return _waits(terms, later, people, Word.DEFERRED, up_s)
    found = _waits(terms, w, people, Word.WARNED, up_s) if missed else _goes_by(terms, w, people, up_s)
    return replace(found, word=Word.NONE_LEFT) if asked and isinstance(found, Waits) else found


def stood_down(known: Warned | Damaged | None, up_s: float) -> Warned | None:
    """The record after an order was taken back; what was put off stays counted. None = nobody was warned."""
    if not isinstance(known, Warned) or known.off:
        return None
    return replace(known, off=True, seen_s=up_s, told=0)


def left(terms: PeopleTerms, warned: Warned) -> int:
    """Deferrals that are left."""
    return max(0, terms.deferrals - warned.used) if terms.defer_s else 0


def _known(terms: PeopleTerms, known: Warned | Damaged | None, boot_id: str, up_s: float) -> Warned | None:
    if known is None or (isinstance(known, Warned) and known.boot_id != boot_id):
        return None
    if isinstance(known, Damaged) or not _possible(known, up_s):
        return Warned(boot_id, up_s, up_s, up_s - GAP_S - 1, used=terms.deferrals)
    over = up_s - known.seen_s > FORGOTTEN_S or (known.off and not known.used)
    return None if over else known


def _anew(terms: PeopleTerms, w: Warned, up_s: float) -> Warned:
    """Warned once more, in full, and no less than what was put off."""
    return replace(w, due_s=max(w.due_s, up_s + terms.warn_s), told=0, off=False)


def _possible(w: Warned, up_s: float) -> bool:
    """Whether this can have been written within this boot."""
    furthest_s = w.seen_s + WARN_S_MAX + DEFERRALS_MAX * DEFER_S_MAX + LAST_S
    return 0 <= w.since_s <= w.seen_s <= up_s and w.since_s <= w.due_s <= furthest_s and w.used >= 0 and w.told >= 0


def _put_off(terms: PeopleTerms, w: Warned, up_s: float) -> Warned | None:
    """Later by `defer_s`, and not beyond the deadline. None = there is nothing to be had."""
    due_s = max(w.due_s, up_s) + terms.defer_s
    if terms.deadline_s:
        due_s = min(due_s, w.since_s + terms.deadline_s)
    if not left(terms, w) or due_s <= max(w.due_s, up_s + LAST_S):
        return None
    w = replace(w, due_s=due_s, used=w.used + 1)
    return replace(w, told=_steps(w, up_s))


def _goes_by(terms: PeopleTerms, w: Warned, people: int, up_s: float) -> Goes | Waits:
    """Looked at all the while: another minute has passed."""
    if not terms.deadline_s:
        return _waits(terms, w, people, None, up_s)
    steps = _steps(w, up_s)
    if steps < len(STEPS_S):
        return _waits(terms, replace(w, told=max(w.told, steps)), people, Word.SOON if steps > w.told else None, up_s)
    if w.told < len(STEPS_S):  # its last minute was not told yet
        told = replace(w, due_s=max(w.due_s, up_s + LAST_S), told=len(STEPS_S))
        return _waits(terms, told, people, Word.SOON, up_s)
    return Goes(over=people > 0) if up_s >= w.due_s else _waits(terms, w, people, None, up_s)


def _steps(w: Warned, up_s: float) -> int:
    return sum(w.due_s - up_s <= s for s in STEPS_S)


def _waits(terms: PeopleTerms, w: Warned, people: int, word: Word | None, up_s: float) -> Waits:
    w = replace(w, seen_s=up_s)
    put_off = w.used > 0 and w.due_s > up_s
    ends = terms.deadline_s > 0 or put_off or not people
    latest_s = max(0.0, w.since_s + terms.deadline_s - up_s) if terms.deadline_s else None
    return Waits(w, word, max(0.0, w.due_s - up_s) if ends else None, latest_s)
