"""Bad updates that happened to somebody, as values: what went out, whom it hit, how and when it showed.

`parse` reads the text of a file of incidents ("incidents/1": its head explains the words) and refuses whatever it does
not understand, saying where, what, and which words it knows: a fault that is read wrongly would make a replay prove
nothing. Fields that describe an incident for people are passed over; those of a fault are not. No I/O. Next: `repair`
says which victims need hands, `peers` what other systems' rules would have made of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from brakeline.core.errors import Invalid

SCHEMA: Final = "incidents/1"
HOURS_MAX: Final = 90 * 24.0  # no onset lies later: longer than any rollout or simulation, so beyond it is a slip
DAY_HOURS: Final = 24.0
TEXT_MAX: Final = 500  # characters of an id or a title
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")  # ids and attributes


class BadIncidents(Invalid):
    """This file of incidents cannot be replayed."""


class Symptom(StrEnum):
    """What an observer far away sees of an endpoint that is hit."""

    SILENT = "silent"
    REBOOT_LOOP = "reboot_loop"
    NETWORK_LOST = "network_lost"
    UPDATE_PATH_BROKEN = "update_path_broken"
    CRASH_REVERTS = "crash_reverts"
    CPU_SATURATED = "cpu_saturated"
    MEMORY_CREEP = "memory_creep"
    SERVICE_FAILED = "service_failed"
    ACTION_STORM = "action_storm"
    BLOCKS = "blocks"
    DELETES = "deletes"
    PATCH_FAILURE = "patch_failure"
    JOURNAL_ERRORS = "journal_errors"
    PROBE_FAILS = "probe_fails"
    TAKES_NOTHING = "takes_nothing"
    TELEMETRY_OUTAGE = "telemetry_outage"


class Vector(StrEnum):
    """What went out."""

    CONTENT = "content"
    CODE = "code"
    CONFIG = "config"
    PATCH = "patch"


@dataclass(frozen=True, slots=True)
class Immediate:
    """Shows as soon as the change is there."""


@dataclass(frozen=True, slots=True)
class After:
    """Shows so many hours after the change is there."""

    hours: float


@dataclass(frozen=True, slots=True)
class AtReboot:
    """Shows at the endpoint's next restart."""


@dataclass(frozen=True, slots=True)
class AtLocalMidnight:
    """Shows at the first local midnight that the endpoint sees while it is on."""


@dataclass(frozen=True, slots=True)
class Creep:
    """Shows on more and more of the endpoints that are hit; after so many hours on all."""

    hours: float


@dataclass(frozen=True, slots=True)
class AtUtcWindow:
    """Shows on endpoints that have the change at some time between two hours of a day, UTC; may span midnight."""

    from_h: float
    until_h: float


@dataclass(frozen=True, slots=True)
class AtDate:
    """Shows everywhere at one moment, so many hours after the change was first offered; on later takers at once."""

    hours: float


Onset = Immediate | After | AtReboot | AtLocalMidnight | Creep | AtUtcWindow | AtDate


@dataclass(frozen=True, slots=True)
class Subset:
    """The endpoints with a certain value of an attribute, as a share of the fleet (0..1]."""

    attribute: str
    share: float


@dataclass(frozen=True, slots=True)
class Fault:
    """What the change does: to which share of those who take it (of the subset's, if there is one), and when."""

    symptom: Symptom
    prevalence: float
    subset: Subset | None
    onset: Onset

    @property
    def share(self) -> float:
        """Share of the whole fleet that is hit, were the whole fleet to take it."""
        return self.prevalence * (self.subset.share if self.subset else 1.0)


@dataclass(frozen=True, slots=True)
class Incident:
    """One bad update."""

    id: str
    title: str
    vector: Vector
    fault: Fault

    @property
    def ours(self) -> bool:
        """Whether Brakeline would have rolled it out as a release of its own; otherwise it is a vendor's update."""
        return self.vector is not Vector.PATCH


def parse(text: str) -> tuple[Incident, ...]:
    """The incidents in a file's text, in its order. Raises `BadIncidents`."""
    try:
        head = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as e:
        raise BadIncidents(f"it is no JSON: {e}.") from None
    head = _object(head, "the file", {"schema", "incidents"}, free=True)
    if head["schema"] != SCHEMA:
        raise BadIncidents(f"schema: {head['schema']!r} is unknown; known: {SCHEMA}.")
    _known_words(head, "symptoms", tuple(Symptom))
    _known_words(head, "onsets", tuple(ONSETS))
    incidents = tuple(_incident(x, f"incidents[{i}]") for i, x in enumerate(_list(head["incidents"], "incidents")))
    ids = [x.id for x in incidents]
    if twice := sorted({i for i in ids if ids.count(i) > 1}):
        raise BadIncidents(f"incidents: {', '.join(twice)} is there twice.")
    return incidents


def _incident(value: Any, where: str) -> Incident:
    found = _object(value, where, {"id", "title", "vector", "fault"}, free=True)
    name = _name(found["id"], f"{where}.id")
    where = f"{where} ({name})"
    vector = Vector(_word(found["vector"], f"{where}.vector", tuple(Vector)))
    return Incident(name, _text(found["title"], f"{where}.title"), vector, _fault(found["fault"], f"{where}.fault"))


def _fault(value: Any, where: str) -> Fault:
    found = _object(value, where, {"symptom", "prevalence", "subset", "onset"})
    symptom = Symptom(_word(found["symptom"], f"{where}.symptom", tuple(Symptom)))
    prevalence = _number(found["prevalence"], f"{where}.prevalence", 0, 1)
    subset = None if found["subset"] is None else _subset(found["subset"], f"{where}.subset")
    return Fault(symptom, prevalence, subset, _onset(found["onset"], f"{where}.onset"))


def _subset(value: Any, where: str) -> Subset:
    found = _object(value, where, {"attribute", "share"})
    share = _number(found["share"], f"{where}.share", 0, 1)
    if not share:
        raise BadIncidents(f"{where}.share: 0 is nobody; without a subset, write null.")
    return Subset(_name(found["attribute"], f"{where}.attribute"), share)


def _onset(value: Any, where: str) -> Onset:
    kind = _word(_object(value, where, {"kind"}, free=True)["kind"], f"{where}.kind", tuple(ONSETS))
    timed, make = ONSETS[kind]
    found = _object(value, where, {"kind", "hours"} if timed else {"kind"})
    return make(found.get("hours"), f"{where}.hours")


def _hours(value: Any, where: str) -> float:
    hours = _number(value, where, 0, HOURS_MAX)
    if not hours:
        raise BadIncidents(f"{where}: 0 hours is no delay; the kind for that is immediate.")
    return hours


def _window(value: Any, where: str) -> AtUtcWindow:
    hours = [_number(x, f"{where}[{i}]", 0, DAY_HOURS) for i, x in enumerate(_list(value, where))]
    if len(hours) != 2 or hours[0] == hours[1]:
        raise BadIncidents(f"{where}: {value!r} is not two different hours of a day, [from, to].")
    return AtUtcWindow(hours[0], hours[1])


# kind -> whether it has hours, and how it is made of them
ONSETS: Final[dict[str, tuple[bool, Callable[[Any, str], Onset]]]] = {
    "immediate": (False, lambda _v, _w: Immediate()),
    "after": (True, lambda v, w: After(_hours(v, w))),
    "at_reboot": (False, lambda _v, _w: AtReboot()),
    "at_local_midnight": (False, lambda _v, _w: AtLocalMidnight()),
    "creep": (True, lambda v, w: Creep(_hours(v, w))),
    "at_utc_window": (True, _window),
    "at_date": (True, lambda v, w: AtDate(_hours(v, w))),
}


def _object(value: Any, where: str, fields: set[str], *, free: bool = False) -> dict[str, Any]:
    """An object with these fields; with others only where it is `free` to have them."""
    if not isinstance(value, dict):
        raise BadIncidents(f"{where}: {_short(value)} is no object with {_list_of(fields)}.")
    if missing := fields - value.keys():
        raise BadIncidents(f"{where}: {_list_of(missing)} is missing.")
    if not free and (more := value.keys() - fields):
        raise BadIncidents(f"{where}: {_list_of(more)} is unknown; known: {_list_of(fields)}.")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadIncidents(f"{where}: {_short(value)} is no list.")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX:
        raise BadIncidents(f"{where}: {_short(value)} is no text of 1 to {TEXT_MAX} characters.")
    return value


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise BadIncidents(f"{where}: {_short(value)} is no name of small letters, digits, - and _.")
    return value


def _word(value: Any, where: str, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise BadIncidents(f"{where}: {_short(value)} is unknown; known: {', '.join(known)}.")
    return value


def _number(value: Any, where: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BadIncidents(f"{where}: {_short(value)} is no number from {least:g} to {most:g}.")
    return float(value)


def _known_words(head: dict[str, Any], field: str, known: tuple[str, ...]) -> None:
    """The head explains the words that the file uses, as "word: meaning" or "word (what else it needs)"."""
    for i, line in enumerate(_list(head.get(field, []), field)):
        _word(re.split(r"[:( ]", _text(line, f"{field}[{i}]"))[0], f"{field}[{i}]", known)


def _no_number(text: str) -> float:
    raise BadIncidents(f"{text} is no number.")


def _list_of(words: set[str]) -> str:
    return ", ".join(sorted(words))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
