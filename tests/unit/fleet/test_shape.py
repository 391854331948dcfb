"""The shape of a fleet from a line an hour and class: habits, time zone, and what its history is too short for."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from brakeline.core.errors import Invalid
from brakeline.fleet.shape import AGES_S, HOUR_MS, Hour, Shape, check, shape
from brakeline.protocol.codec import to_plain
from brakeline.sim import own
from brakeline.sim.rates import DESKTOP, LAPTOP

MONDAY_MS = 1_764_547_200_000  # 2025-12-01 00:00 UTC
COUNTS = {
    "class": {"server": 400, "laptop": 100, "desktop": 3}, "region": {"eu": 300, "us": 203},
    "os": {"debian-12": 503}, "tag": {"web": 40, "db": 10},
}  # fmt: skip
Online = Callable[[int, float], float]  # weekday, UTC hour -> share


def week(machine_class: str, online: Online, enrolled: int = 100, hours: int = 168, restarts: int = 0) -> list[Hour]:
    found = []
    for i in range(hours):
        share = online(i // 24 % 7, i % 24)
        here = round(enrolled * share)
        most = max(online(i // 24 % 7, h) for h in range(24))
        within = (here, here, round(enrolled * (share + most) / 2), round(enrolled * most), round(enrolled * most))
        found.append(Hour(machine_class, MONDAY_MS + i * HOUR_MS, enrolled, here, here, within, restarts))
    return found


def office(utc_from: float) -> Online:
    return lambda day, hour: 0.1 if day >= 5 else 0.8 if utc_from <= hour < utc_from + 8 else 0.2


def made(*hours: list[Hour]) -> Shape:
    return shape(MONDAY_MS, COUNTS, [h for some in hours for h in some])


def test_a_week_gives_the_habits_of_each_class_and_too_few_of_one_are_said() -> None:
    found = made(week("server", lambda *_: 1.0, 400, restarts=4), week("laptop", office(9)), week("desktop", office(9)))
    server, desktop, laptop = found.habits
    assert server.rates is not None
    assert (server.rates.office, server.rates.weekend, server.rates.not_seen) == (1.0, 1.0, (0.0,) * len(AGES_S))
    assert server.rates.restarts_per_day == pytest.approx(0.24)
    assert laptop.rates is not None
    assert (laptop.rates.office, laptop.rates.night, laptop.rates.weekend) == pytest.approx((0.8, 0.2, 0.1))
    assert list(laptop.rates.not_seen) == sorted(laptop.rates.not_seen)
    assert laptop.rates.not_seen[3] < 0.05, "who was there the day before is there at the same hour"
    assert laptop.rates.not_seen[2] * laptop.rates.dark == pytest.approx(0.5, abs=0.15), "and away in the evening"
    assert server.rates.dark == 1
    assert (desktop.rates, desktop.short) == (None, "fewer than 20 of them")
    assert "so the defaults of `sim.rates` are used" in found.sentences[1]
    assert (found.endpoints, found.zone_h) == (503, 0.0)


@pytest.mark.parametrize(("utc_from", "zone"), [(9, 0.0), (1, 8.0), (14, -5.0), (17, -8.0)])
def test_the_working_day_of_people_gives_the_zone(utc_from: float, zone: float) -> None:
    def around(day: int, hour: float) -> float:
        return 0.8 if (hour - utc_from) % 24 < 8 else 0.2

    found = made(week("laptop", around))
    assert found.zone_h == zone
    assert found.habits[2].rates is not None
    assert found.habits[2].rates.office == pytest.approx(0.8, abs=0.02)


def test_servers_alone_tell_no_zone_and_a_short_history_is_no_history() -> None:
    assert made(week("server", office(1), 400)).zone_h == 0.0
    short = made(week("laptop", office(9), hours=100)).habits[2]
    assert (short.rates, short.short) == (None, "its history of 100 h is too short (a week is needed)")
    assert made().habits[0].short.startswith("its history of 0 h")


def test_hours_in_which_nobody_was_heard_are_ours_and_count_for_nothing() -> None:
    dark = [Hour("laptop", MONDAY_MS + i * HOUR_MS, 100, 0, 0, (0,) * 5, 0) for i in range(168, 178)]
    assert made(week("laptop", office(9)), dark).habits == made(week("laptop", office(9))).habits


def test_it_travels_as_json_and_becomes_a_population_with_named_defaults() -> None:
    found = made(week("laptop", office(1)))
    again = own.parse(json.loads(json.dumps(to_plain(found))))
    assert again == found
    population = own.population(again)
    assert (population.laptop.office, population.zones_h) == (pytest.approx(0.8, abs=0.02), (8.0,))
    assert population.laptop.dusk == LAPTOP.dusk < population.laptop.dark
    assert (population.desktop.office, population.desktop.share) == (DESKTOP.office, 3 / 503)
    assert population.server.share + population.desktop.share + population.laptop.share == pytest.approx(1)
    assert (own.regions(again), own.attributes(again)) == (2, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 2}, "known: 1"), ({"endpoints": 0}, "at least one endpoint"), ({"zone_h": 99}, "no offset"),
        ({"habits": []}, "in this order"), ({"classes": 5}, "cannot be read"),
    ],
)  # fmt: skip
def test_a_shape_from_outside_is_looked_at(change: dict[str, object], says: str) -> None:
    plain = to_plain(made(week("laptop", office(9)))) | change
    with pytest.raises(Invalid, match=says):
        own.parse(plain)


def test_rates_that_cannot_be_and_what_is_no_shape_are_refused() -> None:
    plain = json.loads(json.dumps(to_plain(made(week("laptop", office(9))))))
    plain["habits"][2]["rates"]["office"] = 1.5
    with pytest.raises(Invalid, match="laptop: a share is from 0 to 1"):
        own.parse(plain)
    for wrong in ([], {"schema": 1}):
        with pytest.raises(Invalid, match="fleet shape --json"):
            own.parse(wrong)
    assert check(made()).endpoints == 503
