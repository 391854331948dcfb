"""Peers' rules against the figures that the brake was designed to beat, and against what such rules must not do.

The figures are those of the design's own simulation of the same rules with 8.5 million endpoints: harm with a tireless
human, and with automation alone for 12 days. It was not the program tested here, so they need to agree in kind, within
a factor; where they differ by more, `DIFFERS` says why.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from brakeline.sim.incidents import (
    After,
    AtDate,
    AtLocalMidnight,
    AtReboot,
    Creep,
    Fault,
    Immediate,
    Onset,
    Subset,
    Symptom,
    parse,
)
from brakeline.sim.peer_rules import ACTION1, BREEZE, FIXED_RINGS, HAWKBIT, HAWKBIT_STRICT, NAIVE, RULES, Rule
from brakeline.sim.peers import HORIZON_H, Ending, Fleet, Human, replay

FILE = Path(__file__).parents[2] / "data" / "incidents" / "incidents.json"
FLEET = Fleet(8_500_000)
FRIDAY = replace(FLEET, start_h=4 * 24 + 9)
HUMAN = Human()
FACTOR: Final = 2.1
S10 = replace(FIXED_RINGS, failed=None)  # the design's rings looked at silence only
S30 = replace(S10, silent=0.30)
DEAD, CRASH = Symptom.SILENT, Symptom.CRASH_REVERTS
M, K = 1e6, 1e3


def fault(symptom: Symptom, share: float, onset: Onset) -> Fault:
    return Fault(symptom, share, None, onset)


# fault -> naive with the human; then (with the human, alone) of 50/50, of 90/5, of rings that look at silence
Pair = tuple[float, float]
DESIGN: Final[dict[str, tuple[Fault, float, Pair, Pair, Pair]]] = {
    "dead 100 %": (fault(DEAD, 1, Immediate()), 4.92 * M, (30 * K, 85 * K), (30 * K, 85 * K), (30 * K, 84 * K)),
    "dead 5 %": (fault(DEAD, 0.05, Immediate()), 246 * K, (2 * K, 229 * K), (2 * K, 403 * K), (2 * K, 4.2 * K)),
    "dead 0.1 %": (
        fault(DEAD, 0.001, Immediate()), 4.9 * K, (3.4 * K, 4.5 * K), (3.6 * K, 7.7 * K), (3.6 * K, 8.5 * K),
    ),
    "crash 100 %": (fault(CRASH, 1, Immediate()), 4.92 * M, (30 * K, 44 * K), (6.5 * K, 6.5 * K), (30 * K, 8.49 * M)),
    "crash 5 %": (fault(CRASH, 0.05, Immediate()), 246 * K, (2 * K, 229 * K), (2 * K, 403 * K), (2 * K, 425 * K)),
    "crash 0.2 %": (
        fault(CRASH, 0.002, Immediate()), 9.8 * K, (6.8 * K, 8.9 * K), (1.2 * K, 15 * K), (1.2 * K, 17 * K),
    ),
    "dead after 2 h": (fault(DEAD, 1, After(2)), 5.56 * M, (36 * K, 4.47 * M), (36 * K, 7.67 * M), (36 * K, 84 * K)),
    "reboot 100 %": (fault(DEAD, 1, AtReboot()), 67 * K, (6.1 * K, 3.5 * M), (1.9 * K, 6.16 * M), (1.9 * K, 16 * K)),
    "reboot 5 %": (
        fault(DEAD, 0.05, AtReboot()), 5.3 * K, (4.2 * K, 175 * K), (1.5 * K, 308 * K), (1.1 * K, 332 * K),
    ),
    "creep": (
        fault(Symptom.MEMORY_CREEP, 1, Creep(48)), 163 * K, (7 * K, 4.47 * M), (2.9 * K, 7.67 * M), (2.9 * K, 8.49 * M),
    ),
    "network lost": (
        fault(Symptom.NETWORK_LOST, 1, Immediate()), 4.92 * M, (30 * K, 85 * K), (30 * K, 85 * K), (30 * K, 84 * K),
    ),
    "subset 0.2 %": (
        Fault(DEAD, 1, Subset("cpu_model", 0.002), Immediate()),
        9.8 * K, (6.8 * K, 8.9 * K), (1.2 * K, 15 * K), (1.2 * K, 17 * K),
    ),
    "midnight": (fault(DEAD, 1, AtLocalMidnight()), 166 * K, (11 * K, 3.9 * M), (1.4 * K, 6.44 * M), (1.4 * K, 30 * K)),
}  # fmt: skip
# Within `FACTOR`, but always in one direction: alone, 50/50 harms about twice as many here, because the design counted
# until the last group was passed at 50 % finished, and here that group goes on being offered the change.
DIFFERS: Final = {
    # Whose midnight comes first, five hours after the start, depends on the choice of time zones; the design did not
    # name its own. Here an eighth of the fleet has it at once.
    ("midnight", "naive human"): 3.0,
    ("midnight", "90/5 human"): 4.0,
    ("midnight", "silence human"): 4.0,
    # Failures are told a quarter of an hour late, and a stop takes half an hour, in which offers still go out.
    ("crash 100 %", "90/5 human"): 3.0,
    ("crash 100 %", "90/5 alone"): 3.0,
}


@pytest.mark.parametrize("name", DESIGN)
def test_the_rules_harm_about_as_many_as_in_the_design(name: str) -> None:
    bad, naive, *columns = DESIGN[name]
    found = {"naive human": (replay(NAIVE, bad, FLEET, HUMAN).harmed, naive)}
    for column, rule, (human, alone) in zip(
        ("50/50", "90/5", "silence"), (HAWKBIT, HAWKBIT_STRICT, S10), columns, strict=True
    ):
        found[f"{column} human"] = (replay(rule, bad, FLEET, HUMAN).harmed, human)
        found[f"{column} alone"] = (replay(rule, bad, FLEET).harmed, alone)
    for column, (here, design) in found.items():
        factor = DIFFERS.get((name, column), FACTOR)
        assert design / factor < here < design * factor, (name, column, here, design)


@pytest.mark.parametrize(
    ("rule", "days"), [(NAIVE, 0.3), (HAWKBIT, 0.3), (HAWKBIT_STRICT, 1.4), (S10, 4.4), (BREEZE, None), (ACTION1, None)]
)
def test_a_good_change_comes_to_its_end(rule: Rule, days: float | None) -> None:
    """Naive is done here when 9 of 10 have it, which laptops decide; in the design when everybody online has it."""
    good = replay(rule, None, FLEET)
    assert good.ending is Ending.COMPLETED
    assert not good.harmed
    assert not good.false_halt
    assert good.days_to_complete is not None
    if days is not None:
        assert days / 3.5 < good.days_to_complete < days * 3.5


def test_absolute_limits_of_silence_halt_good_changes_on_a_friday_and_in_an_outage() -> None:
    assert replay(S10, None, FRIDAY).false_halt
    assert replay(S30, None, FRIDAY).false_halt
    assert replay(FIXED_RINGS, None, FRIDAY).hours_to_halt == pytest.approx(30)
    outage = Fault(Symptom.TELEMETRY_OUTAGE, 1, Subset("region", 1 / 8), After(12))
    assert replay(S10, outage, FLEET).false_halt
    assert replay(S30, outage, FLEET).ending is Ending.COMPLETED
    assert not replay(HAWKBIT, None, FRIDAY).false_halt


def test_silence_is_neither_success_nor_failure_to_a_rule_of_reports() -> None:
    half_dead = fault(DEAD, 0.45, Immediate())
    assert replay(HAWKBIT, half_dead, FLEET).ending is Ending.COMPLETED
    assert replay(ACTION1, fault(DEAD, 0.45, After(1)), FLEET).ending is Ending.COMPLETED
    all_dead = replay(HAWKBIT, fault(DEAD, 1, Immediate()), FLEET)
    assert (all_dead.ending, round(all_dead.harmed)) == (Ending.HELD, 85_000)
    assert all_dead.hours_to_halt is None


def test_failures_are_seen_if_they_come_before_the_report_or_if_somebody_watches() -> None:
    at_once, next_day = (fault(Symptom.SERVICE_FAILED, 1, onset) for onset in (Immediate(), AtDate(24)))
    assert replay(HAWKBIT, at_once, FLEET).ending is Ending.HALTED
    assert replay(ACTION1, at_once, FLEET).ending is Ending.HELD
    assert replay(HAWKBIT, next_day, FLEET).harmed > 8 * M
    assert replay(FIXED_RINGS, next_day, FLEET).harmed < 100 * K


@pytest.mark.parametrize("symptom", [Symptom.ACTION_STORM, Symptom.CPU_SATURATED, Symptom.UPDATE_PATH_BROKEN])
def test_what_goes_on_reporting_is_seen_by_nobody_but_the_human(symptom: Symptom) -> None:
    for rule in RULES:
        assert replay(rule, fault(symptom, 1, Immediate()), FLEET).ending is Ending.COMPLETED
        stopped = replay(rule, fault(symptom, 1, Immediate()), FLEET, HUMAN)
        assert (stopped.ending, stopped.by_human) == (Ending.HALTED, True)


def test_the_human_stops_78_minutes_after_the_thousandth_victim() -> None:
    # An instant fault on everybody; 1 % of the fleet over 4 hours, 62 % of them online: 1,000 after some 4.5 minutes.
    stopped = replay(BREEZE, fault(DEAD, 1, Immediate()), FLEET, HUMAN)
    assert stopped.hours_to_halt == pytest.approx(1000 / (85_000 * 0.626 / 4) + 1.3, rel=0.01)
    assert stopped.harmed == pytest.approx(stopped.exposed)
    nobody = replay(NAIVE, fault(DEAD, 1, Immediate()), Fleet(999), HUMAN)
    assert nobody.ending is Ending.COMPLETED  # a fleet that is smaller than what wakes him


def test_no_rule_harms_more_than_it_exposes_nor_more_with_the_human() -> None:
    for incident in parse(FILE.read_text("utf-8")):
        for rule in RULES:
            alone, watched = (replay(rule, incident.fault, FLEET, human) for human in (None, HUMAN))
            for x in (alone, watched):
                assert 0 <= x.harmed <= x.exposed * 1.000001 <= FLEET.size * 1.00001
                assert x.hours_to_halt is None or 0 < x.hours_to_halt < HORIZON_H
                assert (x.ending is Ending.HALTED) == (x.hours_to_halt is not None)
                assert (x.ending is Ending.COMPLETED) == (x.days_to_complete is not None)
            assert watched.harmed <= alone.harmed * 1.000001


def test_harm_in_a_small_fleet_is_the_same_share() -> None:
    bad = fault(DEAD, 0.05, Immediate())
    small, large = (replay(HAWKBIT, bad, Fleet(n)) for n in (600, 8_500_000))
    assert small.harmed / 600 == pytest.approx(large.harmed / 8_500_000)
