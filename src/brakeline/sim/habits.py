"""The habits of `rates` as tables: a row a region, a column a class, kept once computed. Pure.

A rollout of ten days asks for the same hours and ages in every history, so what one seed has computed serves the next.
Regions that are dark come out of here as any other; `cohorts` knows which are. Next: `cohorts`, `counting`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from brakeline.rollout.model import CLASSES
from brakeline.sim import rates
from brakeline.sim.rates import Population

Floats = NDArray[np.float64]
Key = TypeVar("Key")
TABLES_MAX: Final = 50_000  # of 24 figures each: some 20 MB, more hours than any history has


class Habits:
    """Who is there and who is not heard, in regions of so many hours from UTC. Tables are shared: never change one."""

    def __init__(self, population: Population, zones_h: tuple[float, ...]) -> None:
        self._population, self._zones_h = population, zones_h
        self._there: dict[float, Floats] = {}
        self._away: dict[tuple[float, float], Floats] = {}

    def there(self, at_h: float) -> Floats:
        """Probability to be online now."""
        found = self._there.get(at_h)
        if found is None:
            found = np.array([[self._online(at_h, z, c) for c in CLASSES] for z in self._zones_h])
            _keep(self._there, at_h, found)
        return found

    def away(self, at_h: float, age_h: float) -> Floats:
        """Probability that a healthy endpoint, ready so long ago, is not heard now."""
        found = self._away.get((at_h, age_h))
        if found is None:
            found = np.array([[self._not_seen(at_h, z, c, age_h) for c in CLASSES] for z in self._zones_h])
            _keep(self._away, (at_h, age_h), found)
        return found

    def _online(self, at_h: float, zone_h: float, machine_class: str) -> float:
        weekday, hour = rates.local(at_h, zone_h)
        return rates.online(self._population, machine_class, hour, weekday)

    def _not_seen(self, at_h: float, zone_h: float, machine_class: str, age_h: float) -> float:
        weekday, hour = rates.local(at_h, zone_h)
        return min(1.0, rates.not_seen(self._population, machine_class, hour, weekday, age_h * 3600))


def _keep(tables: dict[Key, Floats], key: Key, table: Floats) -> None:
    if len(tables) >= TABLES_MAX:
        tables.clear()
    tables[key] = table


@lru_cache(maxsize=8)
def habits(population: Population, zones_h: tuple[float, ...]) -> Habits:
    """The same tables for every history of one population."""
    return Habits(population, zones_h)
