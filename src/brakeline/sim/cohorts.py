"""One rollout in a fleet of up to millions, in cohorts: the shipped planner and brake decide, numpy counts.

Endpoints that were ready in the same tick, region and class are one block of numbers; who asks, who is silent at a
checkpoint and whom the fault bites is drawn from them. Blocks become bets and numbers (`rollout.summary`), `planner.
decide` makes the next blueprint from these, its gates let the next endpoints ask. The same case and seed give the same
history. Habits are those of `rates`; what a fault does is in `harm`; single endpoints are simulated in `world`, and a
test holds the two against each other. Nothing here decides. Start with `run`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np

from brakeline.core.draw import U_END
from brakeline.rollout import arms, planner
from brakeline.rollout.alpha import MARGINS
from brakeline.rollout.evidence import SIGNALS, SILENT, STATIONARY, UNHEALTHY, Row
from brakeline.rollout.model import CLASSES, Change, Gate, Phase, Pin, Policy, TickState
from brakeline.rollout.restarts import rings_that_restart
from brakeline.rollout.signals import ACTIONS, RESOURCES, STARTS
from brakeline.rollout.summary import Bets, ControlArm, Part, Summary
from brakeline.sim import bets, rates
from brakeline.sim.asking import Floats, Ints, Region, SpreadPlaces, Waiting, come_and_go, few, share_of, split
from brakeline.sim.harm import LOOP_HEARD, SHOWS, Exposure, Shows, bitten_share
from brakeline.sim.incidents import AtReboot, Fault, Immediate
from brakeline.sim.rates import Population

HOUR_MS: Final = 3_600_000
STEP_H: Final = 0.25  # time between two decisions, so also the time that a halt takes to reach everybody
REPORTED_H: Final = 0.25  # an offer's result is told within a quarter of an hour
# Of healthy endpoints, at a checkpoint, by signal: a failed service, a machine short for other reasons, packages
# that people removed, repeated starts. Own assumptions.
BASES: Final = {UNHEALTHY: 0.001, RESOURCES: 0.002, ACTIONS: 0.0005, STARTS: 0.002}
SHOWN_BY: Final = {  # what an endpoint that is hit and heard tells
    Shows.HEALTH: (UNHEALTHY,), Shows.RESOURCES: (RESOURCES,), Shows.ACTIONS: (ACTIONS,),
    Shows.LOOP: (UNHEALTHY, STARTS),
}  # fmt: skip
ORDINARY_FAILURES: Final = 0.0005  # of trials of a good release fail by full disks and the like; own assumption
BACK_H: Final = 16.0  # who closed the lid before it could tell of the update is back the next morning
HORIZON_H: Final = 30 * 24.0
RESTART_H: Final = 0.25  # after ready, in either arm, whoever consents and is there is restarted (`restarts.SETTLE_S`)
RESTART_LOST: Final = 0.001  # of restarted endpoints do not come up by themselves, in either arm; own assumption
CONSENT: Final = 0.5  # of endpoints allow their restart; own assumption
CHANGE: Final = Change((Pin("example", "2.0"),))


@dataclass(frozen=True, slots=True)
class Outage:
    """A region of which nothing is heard for a while."""

    region: int
    from_h: float
    until_h: float


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a history depends on. `fault` None = the change is harmless."""

    endpoints: int
    policy: Policy
    fault: Fault | None = None
    seed: int = 0
    regions: int = 8
    start_h: float = rates.START_H
    horizon_h: float = HORIZON_H
    outages: tuple[Outage, ...] = ()
    attributes: int = 200  # values that are tested, the fault's own among them
    consent: float = CONSENT
    goodbye: float = 0.0  # of endpoints that go away by themselves say so
    harmless: Mapping[str, float] = field(default_factory=dict)  # by signal: a little more of it among the treated
    population: Population = field(default_factory=Population)


@dataclass(frozen=True, slots=True)
class End:
    """What became of it. Hours count from the start."""

    phase: Phase
    why: str
    ring: int
    exposed: int
    harmed: int  # the fault has shown on them, the time that a halt needs included
    hours: float  # to the halt, the completion, or the beginning of the hold that was never left
    held_h: float  # in all


class Blocks:
    """Columns of numbers, a row a block; `grow` adds rows."""

    INTS: Final = (
        "ring",
        "region",
        "kind",
        "tick",
        "n_t",
        "n_c",
        "m_t",
        "m_c",
        "prone",
        "bitten",
        "failed",
        "late",
        "point",
        "willing",  # treated that are restarted on order
        "willing_c",  # controls that are, too
        "eager",  # of the willing, those whom the fault will hit at a restart
        "ordered",  # of these, those who were restarted
        "lost",  # treated that did not come up again, by no fault of the change
        "lost_c",
    )
    FLOATS: Final = ("ready_h", "low", "high", "share", "restarted")

    def __init__(self) -> None:
        self.ints = {name: np.zeros(0, dtype=np.int64) for name in self.INTS}
        self.floats = {name: np.zeros(0) for name in self.FLOATS}

    def grow(self, rows: list[dict[str, float]]) -> None:
        """Add blocks; what a row does not name is 0."""
        for columns, kind in ((self.ints, np.int64), (self.floats, np.float64)):
            for name, old in columns.items():
                columns[name] = np.concatenate([old, np.array([r.get(name, 0) for r in rows], dtype=kind)])

    def __len__(self) -> int:
        return len(self.ints["ring"])


@lru_cache(maxsize=200_000)
def _not_seen(population: Population, machine_class: str, at_h: float, zone_h: float, age_h: float) -> float:
    weekday, hour = rates.local(at_h, zone_h)
    return rates.not_seen(population, machine_class, hour, weekday, age_h * 3600)


@lru_cache(maxsize=200_000)
def _bitten(fault: Fault, population: Population, who: Exposure, start_h: float, at_h: float) -> float:
    return bitten_share(fault, population, who, start_h, at_h)


class World:
    """One rollout; `run` lets time pass."""

    def __init__(self, case: Case) -> None:
        self.case, self.rng = case, np.random.default_rng(case.seed)
        sizes = [case.endpoints // case.regions + (i < case.endpoints % case.regions) for i in range(case.regions)]
        zones = case.population.zones_h
        self.regions = [Region(f"cell-{i}", i, zones[i % len(zones)], n) for i, n in enumerate(sizes)]
        self.mix = np.array([case.population.rates(c).share for c in CLASSES])
        self.mix /= self.mix.sum()
        self.blocks = Blocks()
        self.table: dict[Row, dict[int, Bets]] = defaultdict(dict)
        self.ticks: dict[tuple[str, int], TickState] = {}
        self._tables_h, self._tables = -1.0, dict[float, Floats]()
        self.blueprint = planner.first_blueprint("ro_sim", self._ms(case.start_h))
        held_out = case.policy.guard.holdout
        self.reserve_low = U_END - int(U_END * held_out)
        self.rings = arms.rings_for(case.policy, CHANGE, case.endpoints)
        self.attribute = self._attribute()
        others = max(0, case.attributes - 1)
        self.attributes = (self.attribute or "other:0", *(f"other:{i}" for i in range(1, others + 1)))
        self.shows = SHOWS[case.fault.symptom] if case.fault else Shows.NOTHING
        self.restarting = rings_that_restart(case.policy, CHANGE, case.endpoints)

    def _attribute(self) -> str:
        subset = self.case.fault.subset if self.case.fault else None
        return f"{subset.attribute}:hit" if subset else ""

    @staticmethod
    def _ms(at_h: float) -> int:
        return round(at_h * HOUR_MS)

    # --- time -------------------------------------------------------------------------------------------------------

    def run(self) -> End:
        """Steps until the rollout is over, or the horizon."""
        case, at_h = self.case, self.case.start_h
        stood_h, held_h = case.start_h, 0.0
        while at_h < case.start_h + case.horizon_h:
            before = self.blueprint.phase
            self._look(at_h)
            self._decide(at_h)
            now = self.blueprint.phase
            if now is not before:
                stood_h = at_h
            if now in (Phase.HALTED, Phase.COMPLETED):
                break
            held_h += STEP_H if now is Phase.HOLDING else 0.0
            self._ask(at_h)
            at_h += STEP_H
            self._restart(at_h)
            self._bite(at_h)
            self._check(at_h)
        end_h = at_h + STEP_H if self.blueprint.phase is Phase.HALTED else at_h
        self._bite(end_h)
        phase = self.blueprint.phase
        if phase is Phase.COMPLETED and self.case.fault is not None:
            self._bite(case.start_h + case.horizon_h)
        hours = stood_h if phase in (Phase.HOLDING, Phase.HALTED, Phase.COMPLETED) else at_h
        exposed = int(self.blocks.ints["n_t"].sum())
        return End(phase, self.blueprint.why, self.blueprint.ring, exposed, int(self.blocks.ints["bitten"].sum()),
                   hours - case.start_h, held_h)  # fmt: skip

    def _look(self, at_h: float) -> None:
        """Who is there now."""
        for r in self.regions:
            there = self._there(r, at_h)
            r.here = float(self.mix @ there)
            for w in r.waiting:
                come_and_go(self.rng, w, there, STEP_H)

    def _there(self, r: Region, at_h: float) -> Floats:
        """Probability to be online now, by class."""
        if self._dark(r.index, at_h):
            return np.zeros(len(CLASSES))
        weekday, hour = rates.local(at_h, r.zone_h)
        return np.array([rates.online(self.case.population, c, hour, weekday) for c in CLASSES])

    def _decide(self, at_h: float) -> None:
        now_ms = self._ms(at_h)
        proposed, _ = planner.decide(self.case.policy, self.blueprint, self.summary(at_h), now_ms)
        if proposed == self.blueprint:
            return
        kept = {(g.region, g.tick) for g in proposed.gates}
        for key, tick in self.ticks.items():
            if key not in kept and not tick.closed:
                self.ticks[key] = TickState(tick.region, tick.tick, tick.ring, tick.treated, closed=True)
        for g in proposed.gates:
            self.ticks.setdefault((g.region, g.tick), TickState(g.region, g.tick, g.ring, 0, closed=False))
        self.ticks = {key: tick for key, tick in self.ticks.items() if key in kept}
        self.blueprint = proposed

    # --- who is ready -----------------------------------------------------------------------------------------------

    def _ask(self, at_h: float) -> None:
        rows: list[dict[str, float]] = []
        for g in self.blueprint.gates:
            tick = self.ticks[(g.region, g.tick)]
            if tick.closed or self._dark(int(g.region.removeprefix("cell-")), at_h):
                continue
            region = self.regions[int(g.region.removeprefix("cell-"))]
            self._extend(region, g, at_h)
            rows += self._ready(region, g, tick, at_h)
        if rows:
            self.blocks.grow(rows)

    def _dark(self, region: int, at_h: float) -> bool:
        return any(o.region == region and o.from_h <= at_h < o.until_h for o in self.case.outages)

    def _extend(self, r: Region, g: Gate, at_h: float) -> None:
        """Draws that come into range with this gate."""
        if r.ring != g.ring:
            for w in r.waiting:
                w.control, w.control_here = np.zeros_like(w.control), np.zeros_like(w.control)
            r.ring, r.ring_low, r.ring_high = g.ring, U_END, 0
        places = max(0, g.budget - r.front_here())
        treat = share_of(r, r.below, g.treat_below) if g.treat_below > r.below else 0
        treat = min(treat, r.size - r.treated - r.front())
        control, low = 0, float(g.control_from)
        if g.control_from < g.control_until and g.control_from < r.ring_low:
            high = min(r.ring_low, g.control_until)
            control = share_of(r, g.control_from, high)
            r.ring_low, r.ring_high = g.control_from, max(r.ring_high, g.control_until)
            r.low = min(r.low, r.ring_low)
        r.below = max(r.below, g.treat_below)
        if treat or control:
            r.waiting = few(r.waiting)
            there = self._there(r, at_h)
            away, here = split(self.rng, self.mix, treat, min(treat, places), there)
            c_away, c_here = split(self.rng, self.mix, control, None, there)
            r.waiting.append(Waiting(g.tick, g.ring, low, float(g.control_until), away, here, c_away, c_here, there))

    def _ready(self, r: Region, g: Gate, tick: TickState, at_h: float) -> list[dict[str, float]]:
        """Who asks in this step, both arms alike; the tick closes for both when its budget is spent."""
        asking = [(w, w.treat_here, w.control_here) for w in r.waiting]
        wish = int(sum(t.sum() for _, t, _ in asking))
        left = max(0, g.budget - tick.treated)
        closed = wish > left
        rows, given = [], 0
        for w, treat, control in asking:
            t, c = treat, control
            if closed:  # the first who would overdraw the budget closes the tick, so the later part asked in vain
                t, c = self.rng.binomial(treat, left / wish), self.rng.binomial(control, left / wish)
            w.treat_here, w.control_here = treat - t, control - c
            given += int(t.sum())
            rows += self._rows(r, g, w, t, c, at_h)
        self.ticks[(g.region, g.tick)] = TickState(g.region, g.tick, g.ring, tick.treated + given, closed=closed)
        r.treated += given
        r.waiting = [w for w in r.waiting if w.left()]
        return rows

    def _rows(self, r: Region, g: Gate, w: Waiting, treat: Ints, control: Ints,
              at_h: float) -> list[dict[str, float]]:  # fmt: skip
        rows = []
        for kind in np.flatnonzero(treat + control) if treat.any() else ():
            n_t = int(treat[kind])
            n_c = int(control[kind]) if w.ring == g.ring else 0
            fault, rng = self.case.fault, self.rng
            m_t, m_c, prone = 0, 0, 0
            if fault is not None and fault.subset is not None:
                m_t, m_c = int(rng.binomial(n_t, fault.subset.share)), int(rng.binomial(n_c, fault.subset.share))
            if fault is not None and self.shows is not Shows.NOTHING:
                prone = int(rng.binomial(m_t if fault.subset else n_t, fault.prevalence))
            willing = self._willing(g, int(kind), n_t, n_c, at_h)
            eager = int(rng.hypergeometric(prone, n_t - prone, willing[0])) if prone and willing[0] else 0
            rows.append({
                "willing": willing[0], "willing_c": willing[1], "eager": eager,
                "ring": g.ring, "region": r.index, "kind": int(kind), "tick": g.tick, "n_t": n_t, "n_c": n_c,
                "m_t": m_t, "m_c": m_c, "prone": prone, "failed": int(rng.binomial(n_t, ORDINARY_FAILURES)),
                "late": self._late(r, int(kind), n_t, at_h),
                "ready_h": at_h, "low": w.low, "high": w.high,
            })  # fmt: skip
        return rows

    def _willing(self, g: Gate, kind: int, n_t: int, n_c: int, at_h: float) -> tuple[int, int]:
        """Who of both arms consents and is there when the restart is ordered."""
        if g.ring not in self.restarting:
            return 0, 0
        region = int(g.region.removeprefix("cell-"))
        share = self.case.consent * (1 - min(1.0, float(self._away_table(at_h, RESTART_H)[region, kind])))
        return int(self.rng.binomial(n_t, share)), int(self.rng.binomial(n_c, share))

    def _late(self, r: Region, kind: int, n: int, at_h: float) -> int:
        """Who goes away before it could say that it is well, and says so when it comes back."""
        away = float(self._away_table(at_h, REPORTED_H)[r.index, kind])
        return int(self.rng.binomial(n, min(1.0, away)))

    # --- what becomes of them ---------------------------------------------------------------------------------------

    def _restart(self, at_h: float) -> None:
        """The willing of both arms restart, the same time after ready; nobody once the rollout has stopped."""
        b = self.blocks
        waits = (b.ints["willing"] + b.ints["willing_c"] > 0) & (b.floats["restarted"] == 0)
        if not waits.any() or self.blueprint.phase not in (Phase.ROLLING, Phase.HOLDING):
            return
        now = np.flatnonzero(waits & (at_h - b.floats["ready_h"] >= RESTART_H - 1e-9))
        b.floats["restarted"][now] = at_h
        b.ints["lost"][now] = self.rng.binomial(b.ints["willing"][now], RESTART_LOST)
        b.ints["lost_c"][now] = self.rng.binomial(b.ints["willing_c"][now], RESTART_LOST)
        if self.case.fault is not None and isinstance(self.case.fault.onset, AtReboot):
            b.ints["ordered"][now] = b.ints["eager"][now]
            b.ints["bitten"][now] += b.ints["eager"][now]

    def _bite(self, at_h: float) -> None:
        """The fault shows on more of those whom it will hit."""
        b, fault = self.blocks, self.case.fault
        if fault is None or not len(b):
            return
        waiting = b.ints["prone"] - b.ints["bitten"] - np.where(b.floats["restarted"] == 0, b.ints["eager"], 0)
        left = np.flatnonzero(waiting > 0)
        if not left.size:
            return
        now = np.array([self._share_of(int(i), at_h) for i in left])
        before = b.floats["share"][left]
        p = np.clip((now - before) / np.maximum(1 - before, 1e-12), 0, 1)
        b.ints["bitten"][left] += self.rng.binomial(waiting[left], p)
        b.floats["share"][left] = np.maximum(before, now)

    def _share_of(self, i: int, at_h: float) -> float:
        assert self.case.fault is not None
        b = self.blocks
        zone_h = self.regions[int(b.ints["region"][i])].zone_h
        who = Exposure(CLASSES[int(b.ints["kind"][i])], zone_h, float(b.floats["ready_h"][i]))
        return _bitten(self.case.fault, self.case.population, who, self.case.start_h, at_h)

    def _check(self, at_h: float) -> None:
        """Blocks that have reached a checkpoint speak."""
        b = self.blocks
        for j, c in enumerate(self.case.policy.checkpoints_s):
            ready = at_h - b.floats["ready_h"] >= c / 3600 - 1e-9
            due = np.flatnonzero((b.ints["point"] == j) & ready)
            if due.size:
                b.ints["point"][due] = j + 1
                self._speak(due, j, c / 3600, at_h)

    def _speak(self, due: Ints, j: int, age_h: float, at_h: float) -> None:
        b = self.blocks
        away = self._away_table(at_h, age_h)[b.ints["region"][due], b.ints["kind"][due]]
        n_c, m_c = self._uncrossed(due)
        bitten, none = b.ints["bitten"][due], np.zeros(due.size, np.int64)
        m_t = b.ints["m_t"][due]
        lost = self._lost(due, n_c)
        whole = self._sample(b.ints["n_t"][due] - m_t, n_c - m_c, none if self.attribute else bitten, lost, away)
        marked = self._sample(m_t, m_c, bitten if self.attribute else none, (none, none), away)
        # Whoever was randomised together is one block, of all classes; a group's row counts only its own bad ones.
        where = [b.ints["tick"][due], b.ints["region"][due], b.floats["low"][due].astype(np.int64)]
        _, first, place = np.unique(np.column_stack(where), axis=0, return_index=True, return_inverse=True)
        for signal in SIGNALS:
            both = whole[signal] + marked[signal]
            sums = _merged(both, place, first.size)
            self._add(signal, j, "all", due[first], np.column_stack([sums, sums[:, 0]]))
            of_groups = [(f"class:{c}", np.where((b.ints["kind"][due] == k)[:, None], both, 0))
                         for k, c in enumerate(CLASSES)]  # fmt: skip
            lids = (b.ints["kind"][due] == CLASSES.index("laptop"))[:, None]
            of_groups.append((STATIONARY, np.where(lids, 0, both)))
            for group, mine in (*of_groups, *([(self.attribute, marked[signal])] if self.attribute else [])):
                own = _merged(mine, place, first.size)
                self._add(signal, j, group, due[first], np.column_stack([sums[:, :2], own[:, 2:], own[:, 0]]))

    def _away_table(self, at_h: float, age_h: float) -> Floats:
        """Probability that a healthy endpoint, ready so long ago, is away now: a row a region, a column a class."""
        if self._tables_h != at_h:
            self._tables_h, self._tables = at_h, {}
        if age_h not in self._tables:
            self._tables[age_h] = self._table_of(at_h, age_h)
        return self._tables[age_h]

    def _table_of(self, at_h: float, age_h: float) -> Floats:
        return np.array([
            [1.0 if self._dark(r.index, at_h) else _not_seen(self.case.population, c, at_h, r.zone_h, age_h)
             for c in CLASSES]
            for r in self.regions
        ])  # fmt: skip

    def _uncrossed(self, due: Ints) -> tuple[Ints, Ints]:
        """Controls whose turn to be treated has not come yet."""
        b = self.blocks
        below = np.array([float(r.below) for r in self.regions])[b.ints["region"][due]]
        low, high = b.floats["low"][due], b.floats["high"][due]
        part = np.clip((high - np.maximum(low, below)) / np.maximum(high - low, 1.0), 0, 1)
        marked = self.rng.binomial(b.ints["m_c"][due], part)
        others = self.rng.binomial(b.ints["n_c"][due] - b.ints["m_c"][due], part)
        return marked + others, marked

    def _lost(self, due: Ints, n_c: Ints) -> tuple[Ints, Ints]:
        """Who of either arm did not come up from its restart; of controls those who are still compared."""
        b = self.blocks
        stays = n_c / np.maximum(b.ints["n_c"][due], 1)
        return b.ints["lost"][due], self.rng.binomial(b.ints["lost_c"][due], stays)

    def _awake(self, n_t: Ints, n_c: Ints, bitten: Ints, away: Floats) -> tuple[Ints, Ints, Floats]:
        """Without those who said goodbye, who count nowhere; nobody whom a fault has silenced says anything."""
        if not self.case.goodbye:
            return n_t, n_c, away
        said = away * self.case.goodbye
        rest = (away - said) / np.maximum(1 - said, 1e-12)
        return n_t - self.rng.binomial(n_t - bitten, said), self.rng.binomial(n_c, 1 - said), rest

    def _sample(self, n_t: Ints, n_c: Ints, bitten: Ints, lost: tuple[Ints, Ints],
                away: Floats) -> dict[str, Ints]:  # fmt: skip
        """(treated, controls, bad treated, bad controls) by signal: all of them for silence, those heard for others."""
        n_t, n_c, away = self._awake(n_t, n_c, bitten, away)
        rng, well = self.rng, n_t - bitten
        off_t, off_c = np.minimum(lost[0], well), np.minimum(lost[1], n_c)
        if self.shows is Shows.SILENCE:
            gone, ill = bitten, np.zeros_like(bitten)
        elif self.shows is Shows.LOOP:
            gone = rng.binomial(bitten, 1 - LOOP_HEARD)
            ill = bitten - gone
        else:
            gone = rng.binomial(bitten, away)
            ill = bitten - gone if self.shows in SHOWN_BY else np.zeros_like(bitten)
        x_t = gone + off_t + rng.binomial(well - off_t, away)
        x_c = off_c + rng.binomial(n_c - off_c, away)
        heard_t, heard_c = n_t - x_t, n_c - x_c
        found = {SILENT: np.column_stack([n_t, n_c, x_t, x_c])}
        for signal, base in BASES.items():
            shown = ill if signal in SHOWN_BY.get(self.shows, ()) else np.zeros_like(ill)
            bad_t = shown + rng.binomial(np.maximum(heard_t - shown, 0), base + self.case.harmless.get(signal, 0.0))
            found[signal] = np.column_stack([heard_t, heard_c, bad_t, rng.binomial(heard_c, base)])
        return found

    def _add(self, signal: str, j: int, group: str, due: Ints, counts: Ints) -> None:
        told = (counts[:, 0] > 0) & (counts[:, 1] > 0)
        if not told.any():
            return
        margin = MARGINS[signal]
        each = bets.beyond(counts[told], margin) if margin else bets.compare(counts[told])
        rings = self.blocks.ints["ring"][due][told]
        mine = self.table[(signal, j, group)]
        for ring in np.unique(rings):
            total = each[rings == ring].sum(axis=0)
            mine[int(ring)] = tuple(np.add(mine.get(int(ring), 0.0), total))

    # --- in numbers -------------------------------------------------------------------------------------------------

    def summary(self, at_h: float) -> Summary:
        """What a conductor would know now."""
        dark = len(self.regions) == sum(self._dark(r.index, at_h) for r in self.regions)
        heard_h = min((o.from_h for o in self.case.outages if o.from_h <= at_h < o.until_h), default=at_h)
        return Summary(
            CHANGE, SpreadPlaces(self.regions, self.reserve_low), self._parts(at_h), self._controls(at_h), self.table,
            self._ended(at_h), ticks=tuple(self.ticks.values()), compared=True,
            data_ms=self._ms(heard_h if dark else at_h), attributes=self.attributes,
        )  # fmt: skip

    def _parts(self, at_h: float) -> tuple[Part, ...]:
        b = self.blocks
        if not len(b):
            return ()
        age_h = at_h - b.floats["ready_h"]
        n, (ill, bad) = b.ints["n_t"], self._unproven(at_h, age_h)
        first = age_h >= self.case.policy.checkpoints_s[0] / 3600 - 1e-9
        failed = self._failures()
        open_ = np.where(
            age_h < REPORTED_H, n, b.ints["bitten"] if self.shows is Shows.SILENCE and self._at_once else 0
        )
        known = n - np.minimum(n, ill)
        good = n - np.minimum(n, bad)  # parts of endpoints, made whole below so that no sum drifts
        keys = (b.ints["ring"] * len(CLASSES) + b.ints["kind"]) * len(self.regions) + b.ints["region"]
        sums = {name: np.bincount(keys, values) for name, values in (
            ("n", n), ("good", good), ("passed", n * first), ("passed_good", good * first),
            ("known", known), ("passed_known", known * first), ("open", open_),
            ("failed", failed), ("baked", n * (age_h >= self._bake_h() - 1e-9)),
            ("consenting", b.ints["willing"]), ("restarted", self._back()),
        )}  # fmt: skip
        for name in ("good", "passed_good"):
            sums[name] = np.diff(np.rint(np.cumsum(sums[name])), prepend=0.0)
        youngest = np.zeros(int(keys.max()) + 1)
        np.maximum.at(youngest, keys, b.floats["ready_h"])
        parts = []
        for key in np.flatnonzero(sums["n"]):
            ring_kind, region = divmod(int(key), len(self.regions))
            ring, kind = divmod(ring_kind, len(CLASSES))
            x = {name: int(values[key]) for name, values in sums.items()}
            parts.append(Part(
                ring, self.regions[region].name, CLASSES[kind], x["n"], 0, x["known"], x["good"], x["passed"],
                x["passed_known"], x["passed_good"],
                x["open"], x["failed"], x["failed"], x["good"], self._ms(float(youngest[key])), x["baked"],
                x["consenting"], x["restarted"],
            ))  # fmt: skip
        return tuple(parts)

    def _back(self) -> Ints:
        """Treated who were restarted on order and heard again."""
        b = self.blocks
        back: Ints = np.where(b.floats["restarted"] > 0, b.ints["willing"] - b.ints["lost"] - b.ints["ordered"], 0)
        return np.maximum(back, 0)

    def _bake_h(self) -> float:
        rings = self.rings
        return rings[min(max(self.blueprint.ring, 0), len(rings) - 1)][0].bake_s / 3600

    @property
    def _at_once(self) -> bool:
        """Whether who is bitten never tells a result."""
        return self.case.fault is not None and isinstance(self.case.fault.onset, Immediate)

    def _failures(self) -> Ints:
        b = self.blocks
        found: Ints = b.ints["failed"] + (b.ints["bitten"] if self.shows is Shows.REPORT else 0)
        return np.minimum(found, b.ints["n_t"])

    def _unproven(self, at_h: float, age_h: Floats) -> tuple[Floats, Floats]:
        """(not known to be well on the new version: not told yet, failed or unhealthy; the same or away too long)."""
        b, policy = self.blocks, self.case.policy
        late = np.where(age_h < BACK_H, b.ints["late"], 0)
        ill = self._failures() + late + (b.ints["bitten"] if self.shows in (Shows.HEALTH, Shows.LOOP) else 0)
        if self.shows is Shows.SILENCE and self._at_once:
            ill = ill + b.ints["bitten"]  # who dies at once never says that it is well
        bad = ill.astype(np.float64)
        if self.shows is Shows.SILENCE and not self._at_once:
            limit = np.array([policy.return_s(c) / 3600 for c in CLASSES])[b.ints["kind"]]
            bad += np.where(age_h > limit, b.ints["bitten"], 0)
        gone = self._away_table(at_h, policy.people_return_s / 3600)[b.ints["region"], b.ints["kind"]]
        bad += np.where(age_h >= policy.people_return_s / 3600, gone * (b.ints["n_t"] - b.ints["bitten"]), 0.0)
        untold = age_h < REPORTED_H
        return np.where(untold, b.ints["n_t"], ill), np.where(untold, b.ints["n_t"], bad)

    def _controls(self, at_h: float) -> tuple[ControlArm, ...]:
        """Controls of the ring in progress; those of earlier rings have moved to it."""
        b = self.blocks
        mine = np.flatnonzero((b.ints["ring"] == self.blueprint.ring) & (b.ints["n_c"] > 0))
        if not mine.size:
            return ()
        kinds = len(CLASSES)
        keys = b.ints["region"][mine] * kinds + b.ints["kind"][mine]
        n = np.bincount(keys, b.ints["n_c"][mine], minlength=len(self.regions) * kinds).reshape(-1, kinds)
        age_h = min(at_h - float(b.floats["ready_h"][mine].mean()), self.case.policy.checkpoints_s[-1] / 3600)
        heard = n * (1 - self._away_table(at_h, age_h))
        return tuple(
            ControlArm(r.name, CLASSES[k], int(n[r.index, k]), round(heard[r.index, k]))
            for r in self.regions for k in range(kinds) if n[r.index, k]
        )  # fmt: skip

    def _ended(self, at_h: float) -> dict[str, tuple[int, int]]:
        """Offers that came to an end, and how many of them failed through the change."""
        b = self.blocks
        told = at_h - b.floats["ready_h"] >= REPORTED_H
        failed = self._failures() * told
        n = b.ints["n_t"] * told
        found = {"all": (int(n.sum()), int(failed.sum()))}
        for kind, name in enumerate(CLASSES):
            mine = b.ints["kind"] == kind
            found[f"class:{name}"] = (int(n[mine].sum()), int(failed[mine].sum()))
        fixed = b.ints["kind"] != CLASSES.index("laptop")
        found[STATIONARY] = (int(n[fixed].sum()), int(failed[fixed].sum()))
        if self.attribute:
            bitten = int((b.ints["bitten"] * told).sum()) if self.shows is Shows.REPORT else 0
            found[self.attribute] = (int((b.ints["m_t"] * told).sum()), bitten)
        return found


def _merged(rows: Ints, place: Ints, size: int) -> Ints:
    sums = np.zeros((size, rows.shape[1]), dtype=np.int64)
    np.add.at(sums, place.ravel(), rows)
    return sums


def run(case: Case) -> End:
    """One history."""
    return World(case).run()
