"""How a group takes a change: who is there takes it, nights and weekends make it wait, each onset shows in its time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from brakeline.sim.incidents import (
    After,
    AtDate,
    AtLocalMidnight,
    AtReboot,
    AtUtcWindow,
    Creep,
    Immediate,
    Onset,
)
from brakeline.sim.rates import EVERYBODY
from brakeline.sim.uptake import Opening, everybody, shown, steps_of, taken, together

MONDAY_9 = Opening(at_h=9, spread_h=1, steps=steps_of(96), first_h=9)
FRIDAY_9 = Opening(at_h=4 * 24 + 9, spread_h=1, steps=steps_of(96), first_h=9)
ONSETS = (Immediate(), After(2), AtReboot(), AtLocalMidnight(), Creep(48), AtUtcWindow(22, 2), AtDate(24))


def after(curve: tuple[float, ...], hours: float) -> float:
    return curve[steps_of(hours)]


def test_offers_go_out_evenly_to_those_who_are_there() -> None:
    curve = everybody(EVERYBODY, MONDAY_9)
    assert curve[0] == 0
    assert after(curve, 0.5) == pytest.approx(after(curve, 1) / 2, rel=0.01)
    assert after(curve, 1) == pytest.approx(0.626, abs=0.01)  # servers, desktops, and the laptops of three zones
    assert after(curve, 24) > 0.88
    assert after(curve, 72) > 0.97


def test_a_weekend_makes_laptops_wait() -> None:
    monday, friday = (together(taken(EVERYBODY, "laptop", o)) for o in (MONDAY_9, FRIDAY_9))
    assert after(monday, 48) > after(friday, 48) > after(friday, 24)
    assert together(taken(EVERYBODY, "server", FRIDAY_9))[-1] == pytest.approx(0.2, rel=0.01)


@pytest.mark.parametrize("onset", ONSETS)
def test_nothing_shows_before_it_is_taken_and_nothing_is_undone(onset: Onset) -> None:
    for opening in (MONDAY_9, FRIDAY_9):
        took, showed = everybody(EVERYBODY, opening), everybody(EVERYBODY, opening, onset)
        assert len(took) == len(showed) == opening.steps
        assert all(a <= b + 1e-12 for a, b in zip(showed, took, strict=True))
        assert all(a <= b + 1e-12 for a, b in pairwise(showed))
        assert showed[-1] > 0


def test_each_onset_shows_in_its_time() -> None:
    took = everybody(EVERYBODY, MONDAY_9)
    show = {type(o): everybody(EVERYBODY, MONDAY_9, o) for o in ONSETS}
    assert show[Immediate] == took
    assert after(show[After], 2) == 0
    assert after(show[After], 5) == after(took, 3)
    assert after(show[Creep], 1) < 0.02
    assert after(show[Creep], 72) > 0.85
    assert after(show[AtDate], 23.75) == 0
    assert after(show[AtDate], 24) == after(took, 24)
    assert after(show[AtUtcWindow], 12.75) == 0  # 21:45 UTC
    assert after(show[AtUtcWindow], 13) == after(took, 13)
    assert after(show[AtUtcWindow], 24) == after(took, 16.75)  # what was taken by the end of the window, 02:00
    servers = shown(EVERYBODY, "server", MONDAY_9, AtReboot())
    assert after(servers, 24) == pytest.approx(0.2 * 23.5 / 24 / 30, rel=0.03)


def test_midnight_comes_zone_by_zone_and_finds_sleeping_laptops_asleep() -> None:
    show = everybody(EVERYBODY, MONDAY_9, AtLocalMidnight())
    assert after(show, 4.75) == 0  # 13:45 UTC: the first zone's midnight is at 14:00
    assert after(show, 5) == pytest.approx((0.2 + 0.25 * 0.9 + 0.55 * 0.01) / 8, rel=0.05)
    assert after(show, 24) < 0.55


def test_a_date_is_past_for_those_who_take_later() -> None:
    late = everybody(EVERYBODY, FRIDAY_9, AtDate(24))
    assert late == everybody(EVERYBODY, FRIDAY_9)
