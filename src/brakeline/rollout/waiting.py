"""Cells whose answer is held open at the conductor until there is something new for them. In memory, one loop.

Invariants: one place a cell, so a newer message of it ends the older one's waiting; so many places and no more, beyond
them answers come at once; nobody waits longer than it asked for and `cells.model.HELD_S_MAX` allows; what a step of a
lead grants is seen by everybody who waits, in the moment in which it was committed. Whoever calls more often than
`CALLS_PER_S` for long is refused: no exchange of ours does. What is lost here (a restart, another process) costs the
rest of one waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from brakeline.cells.decide import essence
from brakeline.cells.model import Grant

PLACES_MAX: Final = 256  # connections held open
CALLS_PER_S: Final = 8.0  # of one cell: twice what its own floor lets it send
BURST: Final = 40.0

Key = tuple[str, str]  # organisation, cell


class Place:
    """One answer that is held open. `given`: by lead what it would say now."""

    def __init__(self) -> None:
        self.given: dict[str, Grant] = {}
        self._news, self._over = asyncio.Event(), False

    def tell(self, lead_id: str, grant: Grant | None) -> None:
        """What a step of a lead grants to the cell by now."""
        known = self.given.get(lead_id)
        if grant is None:
            self.given.pop(lead_id, None)
        else:
            self.given[lead_id] = grant
        if (known is None) != (grant is None) or (known and grant and essence((known,)) != essence((grant,))):
            self._news.set()

    def end(self) -> None:
        """Answer now, with what there is."""
        self._over = True
        self._news.set()

    async def until_news(self, has: str, seconds: float) -> bool:
        """Waits until `given` says something else than the cell `has`; False = it does not, and the time is over."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not self._over and essence(self.given.values()) == has:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                return False
        return True


class Waiting:
    """All places, and how often each cell calls."""

    def __init__(self) -> None:
        self._places: dict[Key, Place] = {}
        self._budgets: dict[Key, tuple[float, float]] = {}

    def too_often(self, tenant_id: str, cell: str, now_s: float) -> bool:
        """Spends one call of a cell; whether it had none left."""
        left, since_s = self._budgets.get((tenant_id, cell), (BURST, now_s))
        left = min(BURST, left + max(0.0, now_s - since_s) * CALLS_PER_S) - 1
        self._budgets[tenant_id, cell] = (max(left, 0.0), now_s)
        return left < 0

    def take(self, tenant_id: str, cell: str) -> Place | None:
        """The place of a cell from now on; the answer that was held in it before goes out. None = all are taken."""
        self.leave(tenant_id, cell)
        if len(self._places) >= PLACES_MAX:
            return None
        place = self._places[tenant_id, cell] = Place()
        return place

    def leave(self, tenant_id: str, cell: str, place: Place | None = None) -> None:
        """The place is free again, unless by now it is somebody else's than `place`."""
        found = self._places.get((tenant_id, cell))
        if found is not None and place in (None, found):
            del self._places[tenant_id, cell]
            found.end()

    def tell(self, tenant_id: str, lead_id: str, granted: Mapping[str, Grant]) -> None:
        """After each committed step of a lead: what every cell is granted by it, by name."""
        for (tenant, cell), place in self._places.items():
            if tenant == tenant_id:
                place.tell(lead_id, granted.get(cell))

    def end_all(self) -> None:
        """The server stops: everybody is answered now."""
        for key in list(self._places):
            self.leave(*key)
