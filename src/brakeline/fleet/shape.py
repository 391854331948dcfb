"""The shape of a fleet: how many endpoints of which kind, and when they are there. Counts alone, no endpoint. Pure.

Made from the inventory and from a line an hour and class (`Hour`) that check-ins leave behind, as rates that a
simulation can run with. What the history is too short for is left out and said (`Habit.short`): whoever uses a shape
takes named defaults instead. Hours of the week are UTC, moved by one offset for the whole fleet: that of its people's
working day. Next: `shaping` (samples and answers), `sim.own` (a population of it).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from brakeline.core.errors import Invalid

SCHEMA: Final = 1
CLASSES: Final = ("server", "desktop", "laptop")
AGES_S: Final = (1_800, 8_100, 22_500, 93_600, 259_200)  # 30 min, 2 h 15, 6 h 15, 26 h, 72 h after ready
HOUR_MS: Final = 3_600_000
DAY_H, WEEK_H, SATURDAY = 24, 168, 5
THURSDAY: Final = 3  # 1970-01-01 was one; Monday is 0
OFFICE_H: Final = (9, 17)
SAMPLES_MIN: Final = 150  # of the 168 hours of a week, and a week between the first and the last
ENDPOINTS_MIN: Final = 20  # of a class: fewer, and a rate is that of single machines
DARK_MAX: Final = 20.0
FLAT: Final = 0.05  # a working day that differs less from the rest tells nothing of the time zone
NAMES_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Hour:
    """One class at one moment of one hour; see migration 0191."""

    machine_class: str
    hour_ms: int
    enrolled: int
    online: int
    heard: int
    within: tuple[int, ...]
    restarts: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of a class: online in office hours, at night, over the weekend; not heard at `AGES_S` after ready, looked
    for in office hours; `dark`: times so many where it is looked for after them, on the same day."""

    office: float
    night: float
    weekend: float
    not_seen: tuple[float, ...]
    over_weekend: float
    restarts_per_day: float
    dark: float


@dataclass(frozen=True, slots=True)
class Habit:
    """One class. `rates` None = its history is too short, `short` says of what."""

    machine_class: str
    endpoints: int
    hours: int
    rates: Rates | None = None
    short: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """How many endpoints have this class, region, system or tag."""

    name: str
    endpoints: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A fleet in numbers. `zone_h`: hours from UTC of its people's working day."""

    schema: int
    made_ms: int
    endpoints: int
    classes: tuple[Kind, ...]
    regions: tuple[Kind, ...]
    os: tuple[Kind, ...]
    tags: tuple[Kind, ...]
    zone_h: float
    habits: tuple[Habit, ...]
    sentences: tuple[str, ...]


def shape(made_ms: int, counts: Mapping[str, Mapping[str, int]], hours: Sequence[Hour]) -> Shape:
    """`counts`: by class, region, os and tag. `hours`: what is kept, in any order."""
    lit = _lit(hours)
    zone_h = _zone_h([h for h in lit if h.machine_class != "server"])
    classes = {c: counts["class"].get(c, 0) for c in CLASSES}
    habits = tuple(_habit(c, classes[c], [h for h in lit if h.machine_class == c], zone_h) for c in CLASSES)
    return Shape(
        SCHEMA, made_ms, sum(classes.values()), tuple(Kind(c, n) for c, n in classes.items()),
        _some(counts["region"]), _some(counts["os"]), _some(counts["tag"]), zone_h, habits, tuple(map(told, habits)),
    )  # fmt: skip


def told(h: Habit) -> str:
    """One class in a sentence."""
    if h.rates is None:
        return f"{h.machine_class}: {h.endpoints:,} endpoints; {h.short}, so the defaults of `sim.rates` are used."
    r = h.rates
    return (
        f"{h.machine_class}: {h.endpoints:,} endpoints, own history of {h.hours} h: online {r.office:.0%} in office "
        f"hours, {r.night:.0%} at night, {r.weekend:.0%} at the weekend; not heard after 30 min {r.not_seen[0]:.1%}, "
        f"26 h {r.not_seen[3]:.1%}, times up to {r.dark:.2g} in the evening; {r.restarts_per_day:.2g} restarts a day."
    )


def check(found: Shape) -> Shape:
    """A shape that came from outside. `Invalid` says what in it cannot be."""
    if found.schema != SCHEMA:
        raise Invalid(f"schema {found.schema} of a shape is unknown; known: {SCHEMA}")
    if [h.machine_class for h in found.habits] != [*CLASSES]:
        raise Invalid(f"a shape has the habits of {', '.join(CLASSES)}, in this order")
    if found.endpoints < 1 or min((h.endpoints for h in found.habits), default=0) < 0:
        raise Invalid("a shape has at least one endpoint, and no class less than none")
    if not -14 <= found.zone_h <= 14:
        raise Invalid(f"zone_h {found.zone_h} is no offset from UTC: -14 to 14")
    for h in found.habits:
        if h.rates is not None and (wrong := _impossible(h.rates)):
            raise Invalid(f"{h.machine_class}: {wrong}")
    return found


def _impossible(r: Rates) -> str:
    shares = (r.office, r.night, r.weekend, *r.not_seen, r.over_weekend)
    if len(r.not_seen) != len(AGES_S):
        return f"not_seen has {len(r.not_seen)} figures, {len(AGES_S)} are needed"
    if not all(0 <= x <= 1 for x in shares):
        return "a share is from 0 to 1"
    if not 1 <= r.dark <= DARK_MAX:
        return f"dark {r.dark}: 1 to {DARK_MAX:g}"
    return "" if 0 <= r.restarts_per_day <= DAY_H else f"{r.restarts_per_day} restarts a day: 0 to {DAY_H}"


def _some(found: Mapping[str, int]) -> tuple[Kind, ...]:
    """The largest of them."""
    return tuple(Kind(name, n) for name, n in sorted(found.items(), key=lambda x: (-x[1], x[0]))[:NAMES_MAX])


def _lit(hours: Sequence[Hour]) -> list[Hour]:
    """Without the hours in which nobody at all was heard: then it was we who were away."""
    heard: dict[int, int] = defaultdict(int)
    for h in hours:
        heard[h.hour_ms] += h.online
    return [h for h in hours if heard[h.hour_ms]]


def _local(hour_ms: int, zone_h: float) -> tuple[int, float]:
    """Weekday (Monday is 0) and hour."""
    day, hour = divmod(hour_ms / HOUR_MS + zone_h, DAY_H)
    return (int(day) + THURSDAY) % 7, hour


def _zone_h(hours: Sequence[Hour]) -> float:
    """The offset at which the eight busiest hours of a working day are the office's; 0 where none stand out."""
    online, enrolled = [0] * DAY_H, [0] * DAY_H
    for h in hours:
        weekday, hour = _local(h.hour_ms, 0)
        if weekday < SATURDAY:
            online[int(hour)] += h.online
            enrolled[int(hour)] += h.enrolled
    shares = [o / e if e else 0.0 for o, e in zip(online, enrolled, strict=True)]
    length = OFFICE_H[1] - OFFICE_H[0]
    means = [sum(shares[(s + i) % DAY_H] for i in range(length)) / length for s in range(DAY_H)]
    if not all(enrolled) or max(means) - min(means) < FLAT:
        return 0.0
    start = means.index(max(means))
    offset = OFFICE_H[0] - start
    return float(offset - DAY_H if offset > 12 else offset + DAY_H if offset <= -12 else offset)


def _habit(machine_class: str, endpoints: int, hours: Sequence[Hour], zone_h: float) -> Habit:
    known = len(hours)
    if endpoints < ENDPOINTS_MIN:
        return Habit(machine_class, endpoints, known, None, f"fewer than {ENDPOINTS_MIN} of them")
    stamps = [h.hour_ms for h in hours]
    week = bool(stamps) and max(stamps) - min(stamps) >= (WEEK_H - 2) * HOUR_MS
    if known < SAMPLES_MIN or not week:
        return Habit(machine_class, endpoints, known, None, f"its history of {known} h is too short (a week is needed)")
    parts: dict[str, list[Hour]] = {"office": [], "night": [], "weekend": []}
    for h in hours:
        weekday, hour = _local(h.hour_ms, zone_h)
        working = OFFICE_H[0] <= hour < OFFICE_H[1]
        parts["weekend" if weekday >= SATURDAY else "office" if working else "night"].append(h)
    night = [_not_seen(parts["night"], j) if age_s < DAY_H * 3600 else 0.0 for j, age_s in enumerate(AGES_S)]
    not_seen = [max(_not_seen(parts["office"], j), night[j] / DARK_MAX) for j in range(len(AGES_S))]
    dark = max((n / s for n, s in zip(night, not_seen, strict=True) if s), default=1.0)
    rising = tuple(max(not_seen[: j + 1]) for j in range(len(AGES_S)))
    a_day = DAY_H * sum(h.restarts for h in hours) / max(1, sum(h.enrolled for h in hours))
    return Habit(
        machine_class, endpoints, known,
        Rates(
            _online(parts["office"]), _online(parts["night"]), _online(parts["weekend"]), rising,
            _not_seen(parts["weekend"], len(AGES_S) - 1), a_day, max(1.0, dark),
        ),
    )  # fmt: skip


def _online(hours: Sequence[Hour]) -> float:
    enrolled = sum(h.enrolled for h in hours)
    return min(1.0, sum(h.online for h in hours) / enrolled) if enrolled else 0.0


def _not_seen(hours: Sequence[Hour], age: int) -> float:
    """Of those heard within that age, the share not heard now."""
    within = sum(h.within[age] for h in hours)
    return max(0.0, 1 - sum(h.heard for h in hours) / within) if within else 0.0
