"""The population behaves as its assumptions say: at every checkpoint, hour and weekday."""

from __future__ import annotations

import pytest

from brakeline.rollout.model import CHECKPOINTS_S, CLASSES, LAST_CHECKPOINT_S
from brakeline.sim.rates import EVERYBODY, local, not_seen, online, restarted

TUESDAY, FRIDAY, SATURDAY, SUNDAY, MONDAY = 1, 4, 5, 6, 0
NOON = 12.0
HOUR_S = 3600


def test_shares_of_classes_and_zones_are_whole() -> None:
    assert sum(EVERYBODY.rates(c).share for c in CLASSES) == pytest.approx(1)
    assert sum(EVERYBODY.zone_weights) == pytest.approx(1)
    assert len(EVERYBODY.zones_h) == len(EVERYBODY.zone_weights) == 8


@pytest.mark.parametrize(
    ("machine_class", "rates"),
    [
        ("laptop", (0.02, 0.06, 0.12, 0.12)),
        ("desktop", (0.003, 0.01, 0.04, 0.05)),
        ("server", (0.0002, 0.0005, 0.001, 0.002)),
    ],
)
def test_a_working_day_gives_the_assumed_rates_at_every_checkpoint(machine_class: str, rates: tuple[float]) -> None:
    seen = [not_seen(EVERYBODY, machine_class, NOON, TUESDAY, age_s) for age_s in CHECKPOINTS_S]
    assert seen == pytest.approx(rates)


def test_laptops_leave_in_the_late_afternoon_and_stay_away_at_night() -> None:
    by_hour = {hour: not_seen(EVERYBODY, "laptop", hour, TUESDAY, CHECKPOINTS_S[2]) for hour in (14, 17, 20, 23)}
    assert by_hour[17] == pytest.approx(3 * by_hour[14])
    assert by_hour[20] == by_hour[23] == pytest.approx(5 * by_hour[14])
    of_the_night = not_seen(EVERYBODY, "laptop", 2, TUESDAY, CHECKPOINTS_S[0])
    assert of_the_night == pytest.approx(0.02)
    assert not_seen(EVERYBODY, "desktop", 20, TUESDAY, CHECKPOINTS_S[0]) == pytest.approx(0.003)


@pytest.mark.parametrize(("machine_class", "weekend"), [("laptop", 0.55), ("desktop", 0.40), ("server", 0.002)])
def test_friday_s_endpoints_are_away_on_saturday_and_back_on_monday(machine_class: str, weekend: float) -> None:
    assert not_seen(EVERYBODY, machine_class, NOON, SATURDAY, CHECKPOINTS_S[3]) == pytest.approx(weekend)
    assert not_seen(EVERYBODY, machine_class, NOON, SUNDAY, LAST_CHECKPOINT_S) == pytest.approx(weekend)
    back = not_seen(EVERYBODY, machine_class, NOON, MONDAY, LAST_CHECKPOINT_S)
    assert back == pytest.approx(not_seen(EVERYBODY, machine_class, NOON, TUESDAY, CHECKPOINTS_S[3]))


def test_a_day_later_the_evening_is_no_other_hour_than_noon() -> None:
    late = [not_seen(EVERYBODY, "laptop", hour, TUESDAY, CHECKPOINTS_S[3]) for hour in (12, 17, 20)]
    assert late == pytest.approx([0.12] * 3)


def test_who_was_ready_on_the_weekend_is_there_on_the_weekend() -> None:
    assert not_seen(EVERYBODY, "laptop", NOON, SUNDAY, CHECKPOINTS_S[3]) == pytest.approx(0.12)


def test_between_checkpoints_the_rate_grows_and_is_always_a_probability() -> None:
    ages = [not_seen(EVERYBODY, "laptop", NOON, TUESDAY, minutes * 60) for minutes in range(0, 150)]
    assert ages == sorted(ages)
    assert ages[0] == 0
    for hour in range(24):
        for day in range(7):
            assert 0 <= not_seen(EVERYBODY, "laptop", hour, day, 26 * HOUR_S) <= 1


def test_laptops_keep_office_hours_and_servers_do_not() -> None:
    assert [online(EVERYBODY, "laptop", h, TUESDAY) for h in (8.9, 9, 16.9, 17)] == [0.1, 0.75, 0.75, 0.1]
    assert online(EVERYBODY, "laptop", NOON, SATURDAY) == 0.15
    assert online(EVERYBODY, "desktop", NOON, SUNDAY) == 0.6
    assert {online(EVERYBODY, "server", h, d) for h in range(24) for d in range(7)} == {0.998}


def test_restarts_come_at_their_mean_rate() -> None:
    assert restarted(EVERYBODY, "laptop", 72) == pytest.approx(0.632, abs=0.001)
    assert restarted(EVERYBODY, "server", 24) == pytest.approx(1 / 30, rel=0.02)
    assert restarted(EVERYBODY, "desktop", 0) == 0


def test_time_zero_is_a_monday_at_midnight_utc() -> None:
    assert local(9, 0) == (MONDAY, 9)
    assert local(9, 10) == (MONDAY, 19)
    assert local(5, -8) == (SUNDAY, 21)
    assert local(7 * 24 + 9, 0) == (MONDAY, 9)
