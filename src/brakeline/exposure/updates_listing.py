"""The filter of the list of updates: `priority:act closes:yes held:no openssl`, and its order. Pure.

Terms are joined by *and*; a word without a key is part of a package's or a source's name, and so is a name with its
label (`black:pypi-black`); unknown keys and values are errors with a suggestion, as in the list of vulnerabilities
(`listing`). Invariant: what is most urgent comes first, however few endpoints have it; whoever cuts the list cuts it
after that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from brakeline.exposure.priority import ORDER, Level
from brakeline.exposure.terms import split
from brakeline.fleet.model import FleetUpdate
from brakeline.protocol.managers import asked_of

NOTHING: Final = "none"  # of `priority`: closes nothing that is known
_YES_NO: Final = ("yes", "no")
_VALUES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "priority": (*(level.value for level in Level), NOTHING), "kev": _YES_NO, "due": ("overdue",), "closes": _YES_NO,
    "held": _YES_NO, "security": _YES_NO,
})  # fmt: skip
KEYS: Final = (*_VALUES, "source")
RANK: Final = {level.value: place for level, place in ORDER.items()}


@dataclass(frozen=True, slots=True)
class UpdateGain:
    """One pending update, and what the updates of its source close. `worst`: the most urgent level among them."""

    update: FleetUpdate
    closes: int  # distinct CVEs, in what can run
    kev: int
    overdue: int
    endpoints: int  # on which any of them would be closed now
    held: int  # distinct CVEs that stand behind an update that is held back somewhere
    worst: str = ""  # a Level, "" = it closes nothing that is known


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a query asks for; "" = anything."""

    words: tuple[str, ...] = ()
    priority: str = ""
    kev: str = ""
    due: str = ""
    closes: str = ""
    held: str = ""  # whether an endpoint that has it pending holds it back
    security: str = ""
    source: str = ""


def parse(query: str) -> Wanted:
    """Raises `Invalid`, with what was probably meant."""
    words, terms = split(query, KEYS, _VALUES, lambda word: bool(asked_of(word)))
    return Wanted(words, **terms)


def selected(found: Iterable[UpdateGain], wanted: Wanted) -> list[UpdateGain]:
    """Those that match, the most urgent first."""
    return sorted((one for one in found if _matches(one, wanted)), key=_urgency)


def _matches(one: UpdateGain, wanted: Wanted) -> bool:
    def fits(asked: str, fact: bool) -> bool:
        return not asked or fact == (asked == "yes")

    u = one.update
    return (
        wanted.priority in ("", one.worst or NOTHING) and wanted.source in ("", u.source)
        and fits(wanted.kev, one.kev > 0) and fits(wanted.closes, one.closes > 0)
        and fits(wanted.held, u.available < u.endpoints) and fits(wanted.security, u.security)
        and (not wanted.due or one.overdue > 0)
        and all(word in u.name.lower() or word in u.source.lower() for word in wanted.words)
    )  # fmt: skip


def _urgency(one: UpdateGain) -> tuple[int, int, int, int, str, str]:
    return (
        RANK.get(one.worst, len(RANK)), -one.kev, -one.overdue, -one.closes, one.update.name, one.update.candidate
    )  # fmt: skip
