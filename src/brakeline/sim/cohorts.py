"""One rollout in a fleet of up to millions, in cohorts: the shipped planner and brake decide, numpy counts.

Endpoints that were ready in the same tick, region and class are one row of numbers; who asks (`enrolling`), who is
silent at a checkpoint (`telling`) and whom the fault bites (`harm`) is drawn for all at once. `counting` makes numbers
of them, `planner.decide` the next blueprint from these, its gates let the next endpoints ask. The same case and seed
give the same history. Habits are those of `rates`; single endpoints are simulated in `world`, and a test holds the two
against each other. Nothing here decides. Start with `run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brakeline.core.draw import U_END
from brakeline.rollout import arms, planner, pooling
from brakeline.rollout.alpha import questions
from brakeline.rollout.model import CLASSES, Change, Phase, Pin, Policy, TickState
from brakeline.rollout.pooling import Told
from brakeline.rollout.restarts import rings_that_restart
from brakeline.rollout.summary import Summary
from brakeline.sim import counting, rates
from brakeline.sim.asking import Floats, Ints, Region, SpreadPlaces
from brakeline.sim.blocks import Blocks
from brakeline.sim.counting import BACK_H, HOUR_MS, REPORTED_H, STEP_H, Telling
from brakeline.sim.enrolling import Columns, Enrolment
from brakeline.sim.habits import habits
from brakeline.sim.harm import SHOWS, Crowded, Shows, bitten_shares
from brakeline.sim.incidents import AtReboot, Fault, Immediate
from brakeline.sim.rates import Population
from brakeline.sim.telling import Due, Voice

RESTART_H: Final = 0.25  # after ready, in either arm, whoever consents and is there is restarted (`restarts.SETTLE_S`)
RESTART_LOST: Final = 0.001  # of restarted endpoints do not come up by themselves, in either arm; own assumption
CONSENT: Final = 0.5  # of endpoints allow their restart; own assumption
HORIZON_H: Final = 30 * 24.0
QUIET_H: Final = 1.0  # while a ring bakes and nobody has anything new to tell, the planner is asked once an hour
STANDS_H: Final = 24.0  # and so it is after a hold that has lasted for a day
SETTLE_STEPS: Final = 24  # rows on which nothing can happen any more are added up so often
NEARLY: Final = 0.999  # of what halts: sums of floats differ in their last digits
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
    idle: float = 0.0  # of endpoints that are here take nothing, whatever the change
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
    hours: float  # to the halt, the proof of the last ring (then the hold-out's own), or a hold that was never left
    held_h: float  # in all


class World:
    """One rollout; `run` lets time pass."""

    def __init__(self, case: Case) -> None:
        self.case, self.rng = case, np.random.default_rng(case.seed)
        sizes = [case.endpoints // case.regions + (i < case.endpoints % case.regions) for i in range(case.regions)]
        zones = [case.population.zones_h[i % len(case.population.zones_h)] for i in range(case.regions)]
        self.regions = [Region(f"cell-{i}", i, zones[i], n) for i, n in enumerate(sizes)]
        self.names = [r.name for r in self.regions]
        self.habits = habits(case.population, tuple(zones))
        mix = np.array([case.population.rates(c).share for c in CLASSES])
        shows = SHOWS[case.fault.symptom] if case.fault else Shows.NOTHING
        at_once = case.fault is not None and isinstance(case.fault.onset, Immediate)
        subset = case.fault.subset if case.fault else None
        self.how = Telling(shows, at_once, f"{subset.attribute}:hit" if subset else "", case.policy)
        self.attributes = (self.how.attribute or "other:0", *(f"other:{i}" for i in range(1, max(1, case.attributes))))
        self.blocks, self.voice = Blocks(), Voice(shows, self.how.attribute, 1, case.harmless, case.goodbye)
        self.enrolment = Enrolment(self.rng, self.regions, mix / mix.sum(), case.fault, shows)
        self.ticks: dict[tuple[str, int], TickState] = {}
        self.blueprint = planner.first_blueprint("ro_sim", self._ms(case.start_h))
        self.reserve_low = U_END - int(U_END * case.policy.guard.holdout)
        self.restarting = rings_that_restart(case.policy, CHANGE, case.endpoints)
        self.rings = arms.rings_for(case.policy, CHANGE, case.endpoints)
        self._rows = questions(case.policy, self.attributes)
        self._linked: tuple[int, frozenset[int]] = 0, frozenset()  # turns so far, and what they say
        self._news, self._asked_again_h = True, case.start_h
        self._pool: Told | None = None
        self._apart = np.random.default_rng((case.seed, 1))  # for what came later: the draws of others stay
        self._listened: tuple[tuple[int, int], Told] = ((-1, 0), {})
        self.at_h, self.over, self._stood_h, self._held_h = case.start_h, False, case.start_h, 0.0

    @staticmethod
    def _ms(at_h: float) -> int:
        return round(at_h * HOUR_MS)

    # --- time -------------------------------------------------------------------------------------------------------

    def run(self) -> End:
        """Steps until the rollout is over, or the horizon."""
        while not self.over:
            self.step()
        return self.end()

    def step(self) -> None:
        """The planner looks, endpoints ask, and a quarter of an hour passes."""
        at_h, before = self.at_h, self.blueprint.phase
        if at_h >= self.case.start_h + self.case.horizon_h:
            self.over = True
            return
        self.enrolment.look(self._there(at_h), STEP_H)
        if not self._quiet(at_h):
            self._decide(at_h)
        now = self.blueprint.phase
        self._stood_h = at_h if now is not before else self._stood_h
        if now in (Phase.HALTED, Phase.COMPLETED):
            self.over = True
            return
        self._held_h += STEP_H if now is Phase.HOLDING else 0.0
        self._ask(at_h)
        self._pass(at_h + STEP_H)

    def _pass(self, at_h: float) -> None:
        self.at_h = at_h
        self._bite(at_h)
        self._check(at_h)
        self._restart(at_h)  # after an early look, as no restart begins shortly before one
        if round((at_h - self.case.start_h) / STEP_H) % SETTLE_STEPS == 0:
            self._settle(at_h)

    def end(self) -> End:
        """What became of it. Ask once, when it is over."""
        phase, case, at_h = self.blueprint.phase, self.case, self.at_h
        self._bite(at_h + STEP_H if phase is Phase.HALTED else at_h)
        if phase is Phase.COMPLETED:
            self._bite(case.start_h + case.horizon_h)
        stands = phase in (Phase.HOLDING, Phase.HALTED, Phase.COMPLETED)
        hours = self._proven_h() if phase is Phase.COMPLETED else self._stood_h if stands else at_h
        exposed, harmed = (int(self.blocks.ints[name].sum()) for name in ("n_t", "bitten"))
        return End(phase, self.blueprint.why, self.blueprint.ring, exposed, harmed, hours - case.start_h, self._held_h)

    def _proven_h(self) -> float:
        """When the last ring was proven. The hold-out's own ring, if any, is offered from then on, and not waited for
        here: who is away counts in a crowd as here, so it would always last as long as it may.
        """
        opened_ms = self.blueprint.ring_opened_ms
        held = self.rings[-1][0].name == arms.HOLD_OUT and len(opened_ms) == len(self.rings)
        return opened_ms[-1] / HOUR_MS if held else self._stood_h

    def listen(self, pool: Told) -> None:
        """What this fleet and others that roll out the same change have to tell together."""
        self._pool = pool
        self._news = True

    def halting(self) -> Floats:
        """By draw, how much of what halts has been said: from 1 on the brake halts."""
        return self.voice.halting(self._alpha, self.linked())

    def _alpha(self, signal: str, checkpoint: int, group: str) -> float:
        row = self._rows.get((signal, checkpoint, group))
        return row.alpha if row else 0.0

    def linked(self) -> frozenset[int]:
        """Rings whose evidence goes on with that of earlier ones."""
        if self._linked[0] != len(self.blueprint.turns):
            self._linked = len(self.blueprint.turns), arms.linked(self.blueprint.turns)
        return self._linked[1]

    def _quiet(self, at_h: float) -> bool:
        """Nobody is asking, nothing was told and no time is over since the planner said that there is nothing to do."""
        stands = self.blueprint.phase is Phase.HOLDING and at_h - self._stood_h > STANDS_H
        dull = (self.blueprint.phase is Phase.ROLLING or stands) and not self.blueprint.gates and not self._news
        return dull and at_h < self._asked_again_h and not any(at_h in (o.from_h, o.until_h) for o in self.case.outages)

    def _decide(self, at_h: float) -> None:
        now_ms = self._ms(at_h)
        proposed, _ = planner.decide(self.case.policy, self.blueprint, self.summary(at_h), now_ms)
        rolls = self.blueprint.phase is Phase.ROLLING
        self._news = proposed != self.blueprint
        self._asked_again_h = min(at_h + QUIET_H, self._baked_h(at_h)) if rolls else at_h + QUIET_H
        if not self._news:
            return
        kept = {(g.region, g.tick) for g in proposed.gates}
        self.ticks = {key: tick for key, tick in self.ticks.items() if key in kept}
        for g in proposed.gates:
            self.ticks.setdefault((g.region, g.tick), TickState(g.region, g.tick, g.ring, 0, closed=False))
        self.blueprint = proposed

    def _baked_h(self, at_h: float) -> float:
        """When enough of the ring in progress will have baked; now, if that is not to be foreseen."""
        b = self.blocks
        mine = np.flatnonzero(b.ints["ring"] == self.blueprint.ring)
        if not mine.size:
            return at_h
        order = mine[np.argsort(b.floats["ready_h"][mine])]
        counted = np.cumsum(b.ints["n_t"][order])
        last = np.searchsorted(counted, self.case.policy.enrolled * counted[-1] - 1e-9)
        due_h = float(b.floats["ready_h"][order[last]]) + self._bake_h()
        return due_h if due_h > at_h else at_h

    def _bake_h(self) -> float:
        return self.rings[min(max(self.blueprint.ring, 0), len(self.rings) - 1)][0].bake_s / 3600

    # --- who is there -----------------------------------------------------------------------------------------------

    def _dark(self, at_h: float) -> list[int]:
        return [o.region for o in self.case.outages if o.from_h <= at_h < o.until_h]

    def _there(self, at_h: float) -> Floats:
        """Probability to be online now, by region and class."""
        return self._but_dark(self.habits.there(at_h), at_h, 0.0)

    def _away(self, at_h: float, age_h: float) -> Floats:
        """Probability that a healthy endpoint, ready so long ago, is not heard now."""
        return self._but_dark(self.habits.away(at_h, age_h), at_h, 1.0)

    def _but_dark(self, table: Floats, at_h: float, value: float) -> Floats:
        dark = self._dark(at_h)
        if dark:
            table = table.copy()
            table[dark] = value
        return table

    def _ask(self, at_h: float) -> None:
        dark = set(self._dark(at_h))
        gates = [(self.regions[self.names.index(g.region)], g, self.ticks[(g.region, g.tick)])
                 for g in self.blueprint.gates]  # fmt: skip
        asking = [(r, g, tick) for r, g, tick in gates if not tick.closed and r.index not in dark]
        if asking:
            ticks, rows = self.enrolment.ask(asking, self._there(at_h), lambda: self._away(at_h, REPORTED_H), at_h)
            self.ticks |= ticks
            if rows is not None:
                self.blocks.grow(rows | self._restarting(rows, at_h) | self._idle(rows))

    def _restarting(self, rows: Columns, at_h: float) -> Columns:
        """Who of both arms will be restarted on order, and of those whom a fault waits for until then."""
        n_t, prone = rows["n_t"], rows.get("prone", np.zeros_like(rows["n_t"]))
        willing, willing_c = self._willing(rows, at_h)
        waits = self.case.fault is not None and isinstance(self.case.fault.onset, AtReboot)
        eager = self.rng.hypergeometric(prone, n_t - prone, willing) if waits else np.zeros_like(n_t)
        return {"willing": willing, "willing_c": willing_c, "eager": eager}

    def _idle(self, rows: Columns) -> Columns:
        """Who of those who will tell takes nothing for reasons of its own."""
        if not self.case.idle:
            return {}
        ill = rows["failed"] + rows["late"] + rows.get("prone", 0)
        return {"idle": self._apart.binomial(np.maximum(rows["n_t"] - ill, 0), self.case.idle)}

    def _willing(self, rows: Columns, at_h: float) -> tuple[Ints, Ints]:
        """Who of both arms consents and is there when the restart is ordered."""
        away = self._away(at_h, RESTART_H)[rows["region"], rows["kind"]]
        share = np.where(np.isin(rows["ring"], list(self.restarting)), self.case.consent * (1 - away), 0.0)
        return self.rng.binomial(rows["n_t"], share), self.rng.binomial(rows["n_c"], share)

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
        b.ints["ordered"][now] = b.ints["eager"][now]
        b.ints["bitten"][now] += b.ints["eager"][now]
        self._news |= bool(now.size)

    def _bite(self, at_h: float) -> None:
        """The fault shows on more of those whom it will hit."""
        b, fault = self.blocks, self.case.fault
        waiting = b.ints["prone"] - b.ints["bitten"] - np.where(b.floats["restarted"] == 0, b.ints["eager"], 0)
        left = np.flatnonzero(waiting > 0)
        if fault is None or not left.size:
            return
        who = Crowded(b.ints["kind"][left], b.ints["region"][left], b.floats["ready_h"][left])
        zones = [r.zone_h for r in self.regions]
        now = bitten_shares(fault, self.case.population, zones, who, self.case.start_h, at_h)
        before = b.floats["share"][left]
        p = np.clip((now - before) / np.maximum(1 - before, 1e-12), 0, 1)
        bitten = self.rng.binomial(waiting[left], p)
        b.ints["bitten"][left] += bitten
        b.floats["share"][left] = np.maximum(before, now)
        self._news |= bool(bitten.any())

    def _check(self, at_h: float) -> None:
        """Blocks that have reached a checkpoint speak."""
        b, spoke = self.blocks, False
        for j, c in enumerate(self.case.policy.checkpoints_s):
            ready = at_h - b.floats["ready_h"] >= c / 3600 - 1e-9
            rows = np.flatnonzero((b.ints["point"] == j) & ready)
            if rows.size:
                b.ints["point"][rows] = j + 1
                away = self._away(at_h, c / 3600)[b.ints["region"][rows], b.ints["kind"][rows]]
                self.voice.speak(self.rng, b, Due(rows, j, away, self._uncrossed(rows), self._due(rows, c)))
                self._news |= j <= self.case.policy.early
                spoke = True
        self._news = self._news or (spoke and bool(self.halting().max() >= NEARLY))

    def _due(self, rows: Ints, checkpoint_s: int) -> NDArray[np.bool_]:
        """Whether the grace of an endpoint is shorter than its age: who was ready within it counts as heard."""
        over = np.array([self.case.policy.grace_s(c) < checkpoint_s for c in CLASSES])
        return over[self.blocks.ints["kind"][rows]]

    def _uncrossed(self, rows: Ints) -> Floats:
        """Share of the controls whose turn to be treated has not come yet."""
        b = self.blocks
        below = np.array([float(r.below) for r in self.regions])[b.ints["region"][rows]]
        low, high = b.floats["low"][rows], b.floats["high"][rows]
        share: Floats = np.clip((high - np.maximum(low, below)) / np.maximum(high - low, 1.0), 0, 1)
        return share

    def _settle(self, at_h: float) -> None:
        policy = self.case.policy
        limits = [BACK_H, policy.people_return_s / 3600, *(policy.return_s(c) / 3600 for c in CLASSES)]
        limits += [ring.bake_s / 3600 for ring, _ in self.rings]
        self.blocks.settle(at_h - max(limits), len(policy.checkpoints_s))

    # --- in numbers -------------------------------------------------------------------------------------------------

    def summary(self, at_h: float) -> Summary:
        """What a conductor would know now."""
        heard_h = at_h
        if len(self._dark(at_h)) == len(self.regions):
            heard_h = min(o.from_h for o in self.case.outages if o.from_h <= at_h < o.until_h)
        gone = self._away(at_h, self.case.policy.people_return_s / 3600)
        parts = counting.parts(self.blocks, self.how, self.names, gone, self._bake_h(), at_h)
        there = counting.controls(self.blocks, self.blueprint.ring, self.names)
        controls = counting.control_arms(there[0], self._away(at_h, self._age_h(at_h, there[1])), self.names) if (
            there) else ()  # fmt: skip
        return Summary(
            CHANGE, SpreadPlaces(self.regions, self.reserve_low), parts, controls, self._table(),
            counting.ended(self.blocks, self.how, at_h), ticks=tuple(self.ticks.values()), compared=True,
            data_ms=self._ms(heard_h), attributes=self.attributes, linked=self.linked(),
        )  # fmt: skip

    def _table(self) -> Told:
        """The comparisons that the brake judges: its own as soon as they come near to what halts, before which they
        change nothing; or those of a fleet that listens to others."""
        if self._pool is None:
            return self.voice.table if self.halting().max() >= NEARLY else {}
        if self._listened[0] != (self.voice.said, id(self._pool)):
            heard = pooling.listening(self.voice.table, self._pool)
            self._listened = (self.voice.said, id(self._pool)), heard
        return self._listened[1]

    def _age_h(self, at_h: float, ready_h: float) -> float:
        """Age of controls that were ready on average then, to a whole step."""
        age_h = min(at_h - ready_h, self.case.policy.checkpoints_s[-1] / 3600)
        return round(age_h / STEP_H) * STEP_H


def run(case: Case) -> End:
    """One history."""
    return World(case).run()
