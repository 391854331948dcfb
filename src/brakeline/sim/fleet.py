"""Simulated endpoints and their habits: servers are always there, laptops sleep at night and over the weekend.

Every habit is drawn once from the generator passed in, so a seed gives the same fleet for ever. Hours are local to the
region. Rates are assumptions, not field data.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from brakeline.rollout.arms import draw

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
REGIONS: Final = (("eu-north", 1), ("us-east", -5), ("ap-south", 5))  # name, hours from UTC
OS_MIX: Final = (("os:debian-12", 0.8), ("os:debian-13", 0.15), ("os:debian-11", 0.05))
REBOOT_DAYS: Final = {"server": 30.0, "desktop": 3.0, "laptop": 1.5}  # mean time between organic restarts


@dataclass(frozen=True, slots=True)
class Habits:
    """When an endpoint is on, in local hours; `weekend`: also on Saturday and Sunday."""

    on_h: float
    off_h: float
    weekend: bool


@dataclass(frozen=True, slots=True)
class SimEndpoint:
    """One endpoint, with everything about it that does not change."""

    endpoint_id: str
    region: str
    utc_h: int
    machine_class: str
    attributes: tuple[str, ...]
    u: int
    habits: Habits
    phase: float  # its own random number in [0, 1): when in a step it asks, who is hit by a partial fault
    reboot_after_ms: int

    def on(self, now_ms: int) -> bool:
        """Whether it is switched on. Day 0 of simulated time is a Monday."""
        if self.machine_class == "server":
            return True
        local_ms = now_ms + self.utc_h * HOUR_MS
        day, hour = (local_ms // DAY_MS) % 7, local_ms % DAY_MS / HOUR_MS
        return self.habits.on_h <= hour < self.habits.off_h and (self.habits.weekend or day < 5)


@dataclass(frozen=True, slots=True)
class Outage:
    """A region that nobody can hear for a while."""

    region: str
    from_ms: int
    until_ms: int


def make_fleet(rng: random.Random, size: int, mix: tuple[float, float, float], salt: bytes) -> tuple[SimEndpoint, ...]:
    """`size` endpoints; `mix` = shares of servers, desktops, laptops."""
    regions = REGIONS[: 1 + rng.randrange(len(REGIONS))]
    return tuple(_endpoint(rng, i, regions[i % len(regions)], mix, salt) for i in range(size))


def _endpoint(rng: random.Random, i: int, region: tuple[str, int], mix: tuple[float, float, float],
              salt: bytes) -> SimEndpoint:  # fmt: skip
    (machine_class,) = rng.choices(("server", "desktop", "laptop"), mix)
    (system,) = rng.choices([o for o, _ in OS_MIX], [w for _, w in OS_MIX])
    always = machine_class == "desktop" and rng.random() < 0.6
    on_h, off_h = rng.uniform(7, 10), rng.uniform(16, 19)
    habits = Habits(0, 24, weekend=True) if always else Habits(on_h, off_h, rng.random() < 0.3)
    reboot_ms = round(rng.expovariate(1 / REBOOT_DAYS[machine_class]) * DAY_MS)
    name = f"ep_{i:05}"
    return SimEndpoint(name, region[0], region[1], machine_class, (system,), draw(salt, name), habits, rng.random(),
                       reboot_ms)  # fmt: skip
