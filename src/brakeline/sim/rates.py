"""The population that simulations of large fleets assume: classes, time zones, who is heard when, who restarts.

Invariants: shares of classes and of zones sum to 1; every rate is a probability or a mean per day; nothing here draws
or reads a clock: the hour of the week comes in. Simulated time zero is a Monday, 00:00 UTC. All figures are
assumptions and not field data; where a comment names no other source, they are those under which the rings of the
brake were designed. Next: `uptake` and `peers` use them at expectation level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Final

from brakeline.rollout.model import CHECKPOINTS_S, LAST_CHECKPOINT_S

HOURS_A_DAY: Final = 24
DAYS_A_WEEK: Final = 7
SATURDAY: Final = 5  # Monday is 0
START_H: Final = 9.0  # hours since time zero: rollouts start on a Monday at 09:00 UTC
AGES_S: Final = (*CHECKPOINTS_S, LAST_CHECKPOINT_S)  # seconds after ready at which not-seen rates are given
OFFICE_H: Final = (9.0, 17.0)  # local hours, from and until: own choice, a plain working day
DUSK_H: Final = (16.0, 18.0)  # local hours: the late afternoon, in which people leave; own choice
DAY_H: Final = (7.0, 22.0)  # local hours in which an endpoint that was ready is not one of the night's; own choice
ZONES_H: Final = (-8.0, -5.0, -3.0, 0.0, 1.0, 5.0, 8.0, 10.0)  # hours from UTC: own choice of eight inhabited zones


@dataclass(frozen=True, slots=True)
class ClassRates:
    """Habits of one class of endpoints.

    `office`, `night`, `weekend`: probability to be online then. `not_seen`: probability that one who was ready is not
    heard at the ages of `AGES_S`. `dusk`, `dark`: factors on it in the late afternoon and after it, on the same day,
    for those who were ready by day. `over_weekend`: the least of it if ready on a working day and looked for on
    Saturday or Sunday.
    """

    share: float
    office: float
    night: float
    weekend: float
    not_seen: tuple[float, float, float, float, float]
    over_weekend: float
    restarts_per_day: float
    dusk: float = 1.0
    dark: float = 1.0


# 72 h after ready it is the same hour of another day, as 26 h nearly is: that rate is taken twice.
LAPTOP: Final = ClassRates(0.55, 0.75, 0.10, 0.15, (0.02, 0.06, 0.12, 0.12, 0.12), 0.55, 1 / 3, dusk=3.0, dark=5.0)
# Online rates of desktops and servers: what their not-seen rates leave (26 h; over a weekend).
DESKTOP: Final = ClassRates(0.25, 0.95, 0.95, 0.60, (0.003, 0.01, 0.04, 0.05, 0.05), 0.40, 1 / 5)
SERVER: Final = ClassRates(0.20, 0.998, 0.998, 0.998, (0.0002, 0.0005, 0.001, 0.002, 0.002), 0.0, 1 / 30)


@dataclass(frozen=True, slots=True)
class Population:
    """Who the endpoints of a simulated fleet are. `zone_weights`: equal, as nothing better is assumed."""

    server: ClassRates = SERVER
    desktop: ClassRates = DESKTOP
    laptop: ClassRates = LAPTOP
    zones_h: tuple[float, ...] = ZONES_H
    zone_weights: tuple[float, ...] = (1 / len(ZONES_H),) * len(ZONES_H)

    def rates(self, machine_class: str) -> ClassRates:
        """The habits of a class: "server", "desktop" or "laptop"."""
        return {"server": self.server, "desktop": self.desktop, "laptop": self.laptop}[machine_class]


EVERYBODY: Final = Population()


def local(at_h: float, zone_h: float) -> tuple[int, float]:
    """Weekday (Monday is 0) and local hour at so many hours after time zero, in a zone so many hours from UTC."""
    day, hour = divmod(at_h + zone_h, HOURS_A_DAY)
    return int(day) % DAYS_A_WEEK, hour


def online(population: Population, machine_class: str, local_hour: float, weekday: int) -> float:
    """Probability that an endpoint is online at a local hour of a weekday."""
    rates = population.rates(machine_class)
    if weekday >= SATURDAY:
        return rates.weekend
    return rates.office if OFFICE_H[0] <= local_hour < OFFICE_H[1] else rates.night


def not_seen(population: Population, machine_class: str, local_hour_at_check: float, weekday: int,
             age_s: float) -> float:  # fmt: skip
    """Probability that a healthy endpoint that was ready `age_s` ago is not heard at this local hour and weekday."""
    rates = population.rates(machine_class)
    rate = _base(rates, age_s) * _evening(rates, local_hour_at_check, age_s)
    ready_day = int((weekday * HOURS_A_DAY + local_hour_at_check - age_s / 3600) // HOURS_A_DAY) % DAYS_A_WEEK
    if weekday >= SATURDAY and ready_day < SATURDAY:
        rate = max(rate, rates.over_weekend)
    return min(rate, 1.0)


def restarted(population: Population, machine_class: str, hours: float) -> float:
    """Probability of at least one organic restart within so many hours; restarts come at random, at a constant rate."""
    return 1 - exp(-population.rates(machine_class).restarts_per_day * hours / HOURS_A_DAY)


def _base(rates: ClassRates, age_s: float) -> float:
    """Between two ages in a straight line; from nothing at ready, and no more after the last age."""
    before_s, before = 0.0, 0.0
    for at_s, rate in zip(AGES_S, rates.not_seen, strict=True):
        if age_s < at_s:
            return before + (rate - before) * (age_s - before_s) / (at_s - before_s)
        before_s, before = at_s, rate
    return before


def _evening(rates: ClassRates, local_hour: float, age_s: float) -> float:
    """People who were there by day leave; who was there at this hour the day before mostly is again."""
    if age_s >= HOURS_A_DAY * 3600:
        return 1.0
    ready_hour = (local_hour - age_s / 3600) % HOURS_A_DAY
    if not DAY_H[0] <= ready_hour < DAY_H[1]:
        return 1.0
    if DUSK_H[0] <= local_hour < DUSK_H[1]:
        return rates.dusk
    return rates.dark if local_hour >= DUSK_H[1] or local_hour < DAY_H[0] else 1.0
