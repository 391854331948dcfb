"""Endpoints become ready in a simulated rollout: gates let them ask, and who asks becomes rows of `Blocks`.

Both arms ask alike; a tick closes for both when its budget is spent. Who is hit by the fault, who fails by an ordinary
failure and who goes away before it could tell is drawn here, once. Next: `cohorts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brakeline.core.draw import U_END
from brakeline.rollout.model import Gate, TickState
from brakeline.sim.asking import CONTROL, HERE, TREAT, Crowd, Floats, Ints, Region, share_of, split
from brakeline.sim.harm import Shows
from brakeline.sim.incidents import Fault

ORDINARY_FAILURES: Final = 0.0005  # of trials of a good release fail by full disks and the like; own assumption
Columns = dict[str, NDArray[Any]]
Away = Callable[[], Floats]  # by region and class: probability to go away before telling how it went


class Enrolment:
    """The asking side of one rollout."""

    def __init__(self, rng: np.random.Generator, regions: Sequence[Region], mix: Floats, fault: Fault | None,
                 shows: Shows) -> None:  # fmt: skip
        self.crowd = Crowd(len(mix))
        self._rng, self._regions, self._mix, self._fault, self._shows = rng, regions, mix, fault, shows
        self._asked = 0  # blocks so far

    def look(self, there: Floats, hours: float) -> None:
        """Who is there now, by region and class."""
        for r, here in zip(self._regions, there @ self._mix, strict=True):
            r.here = float(here)
        self.crowd.come_and_go(self._rng, there, hours)
        self.crowd.tell(self._regions)

    def ask(self, gates: Sequence[tuple[Region, Gate, TickState]], there: Floats, away: Away,
            at_h: float) -> tuple[dict[tuple[str, int], TickState], Columns | None]:  # fmt: skip
        """Ticks as they are after this step, and rows of those who were ready in it."""
        ticks, found = {}, list[Columns]()
        for region, gate, tick in gates:
            self._extend(region, gate, there[region.index])
            ticks[(gate.region, gate.tick)], rows = self._ready(region, gate, tick)
            found += [rows] if rows else []
        self.crowd.drop_empty()
        self.crowd.tell(self._regions)
        if not found:
            return ticks, None
        columns = {name: np.concatenate([rows[name] for rows in found]) for name in found[0]}
        return ticks, self._drawn(columns, away(), at_h)

    def _extend(self, r: Region, g: Gate, there: Floats) -> None:
        """Draws that come into range with this gate."""
        if r.ring != g.ring:
            self.crowd.people[self.crowd.region == r.index, CONTROL] = 0
            r.ring, r.ring_low, r.ring_high = g.ring, U_END, 0
        places = max(0, g.budget - r.front_here)
        treat = share_of(r, r.below, g.treat_below) if g.treat_below > r.below else 0
        treat = min(treat, r.size - r.treated - r.front)
        control, low = 0, float(g.control_from)
        if g.control_from < g.control_until and g.control_from < r.ring_low:
            high = min(r.ring_low, g.control_until)
            control = share_of(r, g.control_from, high)
            r.ring_low, r.ring_high = g.control_from, max(r.ring_high, g.control_until)
            r.low = min(r.low, r.ring_low)
        r.below = max(r.below, g.treat_below)
        if treat or control:
            self.crowd.make_room(r.index)
            arms = [split(self._rng, self._mix, treat, min(treat, places), there),
                    split(self._rng, self._mix, control, None, there)]  # fmt: skip
            self.crowd.add(r.index, g.ring, low, float(g.control_until), np.array(arms), there)

    def _ready(self, r: Region, g: Gate, tick: TickState) -> tuple[TickState, Columns | None]:
        """Who asks in this step, both arms alike; the tick closes for both when its budget is spent."""
        mine = np.flatnonzero(self.crowd.region == r.index)
        here = self.crowd.people[mine, :, HERE]
        wish, left = int(here[:, TREAT].sum()), max(0, g.budget - tick.treated)
        closed = wish > left
        # The first who would overdraw the budget closes the tick, so the later part asked in vain.
        asked = self._rng.binomial(here, left / wish) if closed else here
        self.crowd.people[mine, :, HERE] = here - asked
        given = int(asked[:, TREAT].sum())
        r.treated += given
        after = TickState(g.region, g.tick, g.ring, tick.treated + given, closed=closed)
        return after, self._rows(r, g, mine, asked) if given else None

    def _rows(self, r: Region, g: Gate, mine: Ints, asked: Ints) -> Columns:
        """A row a class, of draws of which anybody is treated; controls of an earlier ring are compared no more."""
        asked = asked.copy()
        asked[self.crowd.ring[mine] != g.ring, CONTROL] = 0
        treated = asked[:, TREAT].sum(axis=1) > 0
        w, kind = np.nonzero((asked.sum(axis=1) > 0) & treated[:, None])
        low = self.crowd.low[mine]
        _, block = np.unique(low, return_inverse=True)  # draws of one range are one block
        self._asked += mine.size
        return {
            "ring": np.full(w.size, g.ring), "region": np.full(w.size, r.index), "kind": kind,
            "block": self._asked - mine.size + block.ravel()[w], "low": low[w], "high": self.crowd.high[mine][w],
            "n_t": asked[w, TREAT, kind], "n_c": asked[w, CONTROL, kind],
        }  # fmt: skip

    def _drawn(self, rows: Columns, away: Floats, at_h: float) -> Columns:
        """The same with what chance decides on the day they are ready."""
        rng, fault, n_t = self._rng, self._fault, rows["n_t"]
        subset = fault.subset.share if fault and fault.subset else 0.0
        m_t = rng.binomial(n_t, subset) if subset else np.zeros_like(n_t)
        rows |= {"m_t": m_t, "m_c": rng.binomial(rows["n_c"], subset) if subset else np.zeros_like(n_t)}
        if fault is not None and self._shows is not Shows.NOTHING:
            rows["prone"] = rng.binomial(m_t if fault.subset else n_t, fault.prevalence)
        rows["failed"] = rng.binomial(n_t, ORDINARY_FAILURES)
        rows["late"] = rng.binomial(n_t, away[rows["region"], rows["kind"]])
        return rows | {"ready_h": np.full(n_t.size, at_h)}
