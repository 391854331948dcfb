"""What would have become of a fleet under other systems' rules: the same change, the same endpoints, expected numbers.

`replay` lets one rule of `peer_rules` run: alone for twelve days, or beside a human who never sleeps. Harm is counted
when the stop takes effect: endpoints on which the fault has shown by then. Invariants: no randomness, no I/O; never
more harmed than exposed, nor with the human than without. Next: `uptake` for how a group takes a change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from brakeline.rollout.model import CLASSES
from brakeline.sim.incidents import After, Creep, Fault, Immediate, Onset
from brakeline.sim.peer_rules import HARMLESS, SAYS_FAILED, SAYS_NOTHING, Rule
from brakeline.sim.rates import EVERYBODY, HOURS_A_DAY, START_H, Population, local, not_seen
from brakeline.sim.uptake import STEP_H, Curve, Opening, everybody, shown, steps_of, taken, together

HORIZON_H: Final = (
    12 * 24.0
)  # hours that automation is left alone, as in the comparison made when the brake was designed
STEPS: Final = steps_of(HORIZON_H) + 1
NEVER: Final = STEPS  # a step that does not come
EFFECT_H: Final = 0.5  # hours from a stop to its effect, the same for everybody
REPORT_H: Final = 0.25  # hours from taking a change to the endpoint's word about it; own choice
CHECK_H: Final = 26.0  # hours after a group's last offer at which its silence is counted
DONE: Final = 0.9  # share of a group that has the change when a rule without a criterion of its own is done


@dataclass(frozen=True, slots=True)
class Human:
    """Somebody who learns of every victim at once and stops everything so long after the last one it takes.

    78 min: from release to withdrawal of the file that took down 8.5 million machines in July 2024.
    """

    victims: int = 1_000
    hours: float = 78 / 60


class Ending(StrEnum):
    """Stopped; every group passed; or neither, for the whole time."""

    HALTED = "halted"
    COMPLETED = "completed"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the fleet. `hours_to_halt`: since the start; `by_human`: and not by the rule."""

    rule: str
    ending: Ending
    harmed: float
    exposed: float
    hours_to_halt: float | None = None
    by_human: bool = False
    days_to_complete: float | None = None

    @property
    def false_halt(self) -> bool:
        """Whether it was stopped though nobody was harmed."""
        return self.ending is Ending.HALTED and not self.harmed


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who is treated, and when it starts (hours after time zero, a Monday 00:00 UTC)."""

    size: int
    population: Population = EVERYBODY
    start_h: float = START_H


@dataclass(frozen=True, slots=True)
class Group:
    """A group that was opened, so many steps after the start. Curves are shares of the whole fleet."""

    at: int
    share: float
    opening: Opening
    taken: Curve
    shown: Curve


@dataclass(frozen=True, slots=True)
class Run:
    """What the rule alone makes of it: steps of its stop and of its completion, `NEVER` if they do not come."""

    groups: tuple[Group, ...]
    halt: int
    done: int


def replay(rule: Rule, fault: Fault | None, fleet: Fleet, human: Human | None = None) -> Outcome:
    """A change with this fault (none: a good one) under a rule, for `HORIZON_H` or until it is stopped."""
    run = _run(rule, fault, fleet)
    harm = _over_time(fleet.size, ((g.at, g.shown) for g in run.groups))
    exposed = _over_time(fleet.size, ((g.at, g.taken) for g in run.groups))
    by_rule = run.halt * STEP_H if run.halt < NEVER else HORIZON_H
    stop = min(by_rule, _noticed(harm, human) if human else HORIZON_H)
    if stop < HORIZON_H:
        end_h = stop + EFFECT_H
        return Outcome(rule.name, Ending.HALTED, _at(harm, end_h), _at(exposed, end_h), stop, by_human=stop < by_rule)
    if run.done < NEVER:
        days = run.done * STEP_H / HOURS_A_DAY
        return Outcome(rule.name, Ending.COMPLETED, harm[-1], exposed[-1], days_to_complete=days)
    return Outcome(rule.name, Ending.HELD, harm[-1], exposed[-1])


@lru_cache(32)  # for the same without the human and with it
def _run(rule: Rule, fault: Fault | None, fleet: Fleet) -> Run:
    groups: list[Group] = []
    halt, at, before = NEVER, 0, 0.0
    for i, until in enumerate(rule.groups):
        group = _open(rule, fault, fleet, at, until - before)
        groups.append(group)
        halt = min(halt, _stops(rule, fault, fleet, group))
        by_time = rule.opens_h[i + 1 : i + 2]
        at, before = steps_of(by_time[0]) if by_time else _passes(rule, fault, group), until
        if at >= halt or at >= STEPS - 1:
            return Run(tuple(groups), halt, NEVER)
    return Run(tuple(groups), halt, at)


def _open(rule: Rule, fault: Fault | None, fleet: Fleet, at: int, share: float) -> Group:
    opening = Opening(fleet.start_h + at * STEP_H, rule.spread_h, STEPS - at, fleet.start_h)
    took = everybody(fleet.population, opening)
    bitten = everybody(fleet.population, opening, fault.onset) if fault else took
    hit = fault.share if fault and fault.symptom not in HARMLESS else 0.0
    return Group(at, share, opening, tuple(x * share for x in took), tuple(x * share * hit for x in bitten))


def _stops(rule: Rule, fault: Fault | None, fleet: Fleet, group: Group) -> int:
    """The step at which this group stops everything."""
    halt = NEVER
    if rule.failed is not None:
        most = rule.failed * group.share
        halt = next((group.at + t for t, x in enumerate(_failed(rule, fault, group)) if x > most), NEVER)
    if rule.silent is None or _check(rule) >= len(group.taken):
        return halt
    return min(halt, group.at + _check(rule)) if _silence(rule, fault, fleet, group) > rule.silent else halt


def _passes(rule: Rule, fault: Fault | None, group: Group) -> int:
    """The step at which this group opens the next one, or the last one is done."""
    if rule.silent is not None:
        return group.at + _check(rule)
    if rule.installed is None:
        return next((group.at + t for t, x in enumerate(group.taken) if x >= DONE * group.share), NEVER)
    answers = zip(_installed(fault, group), _failed(rule, fault, group), strict=True)
    for t, (installed, failed) in enumerate(answers):
        of = installed + failed if rule.of_answers else group.share
        if installed >= max(rule.installed * of, rule.least * group.share) > 0:
            return group.at + t
    return NEVER


def _check(rule: Rule) -> int:
    """Steps from a group's opening to its check."""
    return steps_of(rule.spread_h + CHECK_H)


def _installed(fault: Fault | None, group: Group) -> Iterator[float]:
    """Who has said "installed" so far: nobody who has failed or fallen silent before that."""
    lost = fault.share * _before_word(fault.onset) if fault and fault.symptom in SAYS_FAILED | SAYS_NOTHING else 0.0
    return (x * (1 - lost) for x in _said(group.taken))


def _failed(rule: Rule, fault: Fault | None, group: Group) -> Iterator[float]:
    """Who has said "failed" so far; unless somebody watches, an endpoint that has said "installed" says no more."""
    if fault is None or fault.symptom not in SAYS_FAILED:
        return (0.0 for _ in group.taken)
    if rule.watched:
        return iter(_said(group.shown))
    return (x * fault.share * _before_word(fault.onset) for x in _said(group.taken))


def _said(curve: Curve) -> Curve:
    """When it is known."""
    return ((0.0,) * steps_of(REPORT_H) + curve)[: len(curve)]


def _before_word(onset: Onset) -> float:
    """The share of those who are hit on which it shows before they have said how the change went."""
    match onset:
        case Immediate():
            return 1.0
        case After(hours):
            return float(hours <= REPORT_H)
        case Creep(hours):
            return min(1.0, REPORT_H / hours)
        case _:
            return 0.0  # a restart, a midnight, a date: not waited for


def _silence(rule: Rule, fault: Fault | None, fleet: Fleet, group: Group) -> float:
    """The share of those who took the change while it was offered that is not heard at the check, for any reason."""
    people, check = fleet.population, _check(rule)
    mute = fault.share if fault and fault.symptom in SAYS_NOTHING else 0.0
    of = dark = 0.0
    for c in CLASSES:
        there = together(taken(people, c, group.opening))[steps_of(rule.spread_h)]
        gone = min(there, shown(people, c, group.opening, fault.onset)[check]) * mute if fault else 0.0
        of += there
        dark += gone + (there - gone) * _away(people, c, group.opening.hour(check))
    return dark / of


def _away(people: Population, machine_class: str, at_h: float) -> float:
    """The share of a class that is not heard `CHECK_H` after ready though all is well with it."""
    share = 0.0
    for zone_h, weight in zip(people.zones_h, people.zone_weights, strict=True):
        weekday, hour = local(at_h, zone_h)
        share += weight * not_seen(people, machine_class, hour, weekday, CHECK_H * 3600)
    return share


def _over_time(size: int, parts: Iterator[tuple[int, Curve]]) -> list[float]:
    """Endpoints at each step since the start, all groups together."""
    total = [0.0] * STEPS
    for at, curve in parts:
        for t, share in enumerate(curve, at):
            total[t] += share * size
    return total


def _noticed(harm: list[float], human: Human) -> float:
    """Hours from the start to the human's stop; victims between two steps come evenly."""
    t = next((t for t, x in enumerate(harm) if x >= human.victims), NEVER)
    if t in (0, NEVER):
        return HORIZON_H
    return (t - (harm[t] - human.victims) / (harm[t] - harm[t - 1])) * STEP_H + human.hours


def _at(curve: list[float], hours: float) -> float:
    """The value between two steps, on a straight line; after the last one, that."""
    step, part = divmod(hours / STEP_H, 1)
    now, after = (curve[min(int(step) + i, len(curve) - 1)] for i in (0, 1))
    return now + (after - now) * part
