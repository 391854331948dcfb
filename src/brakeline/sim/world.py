"""The simulated world: endpoints ask, the real arms, planner, brake and lint decide, time passes in steps.

A step: every endpoint that is on checks in (and may be ready), the executor makes its observation, plans, lints and
publishes. Blueprints reach the assigning side through a `Receiver` that refuses older generations, as the product's
does. The result is a `History` for `promises` to judge; nothing here judges. `Mind` holds the two decisions that
`mutants` replace.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from brakeline.rollout import arms, evidence, facing, giving_way, lint, planner, restarts
from brakeline.rollout.model import (
    Arm,
    Blueprint,
    Change,
    Gate,
    Observed,
    Phase,
    Pin,
    Policy,
    Progress,
    Report,
    Subject,
    TickState,
    Wish,
)
from brakeline.rollout.summary import small_rings
from brakeline.sim.faults import NEVER_MS, Fault
from brakeline.sim.fleet import DAY_MS, Outage, SimEndpoint

STEP_MS: Final = 10 * 60_000
DECIDE_MS: Final = 30 * 60_000
INSTALL_MS: Final = 5 * 60_000

CHANGE: Final = Change((Pin("libexample1", "2.0-1"),), exploited=False)
Plan = Callable[[Policy, Blueprint, Observed, int], tuple[Blueprint, Report]]
Assign = Callable[[Gate | None, int, int, bool, int], Arm]


@dataclass(frozen=True, slots=True)
class Mind:
    """Who decides. The defaults are the product; `lints` off lets a planted bug show what it does unchecked."""

    plan: Plan = planner.plan
    assign: Assign = arms.assign
    lints: bool = True


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that a history depends on."""

    name: str
    policy: Policy
    fleet: tuple[SimEndpoint, ...]
    fault: Fault
    outages: tuple[Outage, ...]
    start_ms: int
    horizon_ms: int
    consent: float = 0.0  # share of endpoints that allow their restart
    change: Change = CHANGE
    refuses: float = 0.0  # share of endpoints that refuse an offer by limits of their own
    gives_way: bool = True  # off: what became of a small ring before places were given to others


@dataclass(frozen=True, slots=True)
class Offered:
    """One offer that left, under which generation, with the facts of that moment that promises are about."""

    at_ms: int
    endpoint_id: str
    ring: int
    generation: int
    exposed: int  # treated endpoints before this one
    proven: int  # of them proven
    settled_ms: int  # when nine of ten of the ring before were ready; 0 = there is none


@dataclass(slots=True)
class Member:
    """What becomes of one endpoint over time (the only mutable state besides the blueprint)."""

    endpoint: SimEndpoint
    treated: Subject | None = None
    controls: list[Subject] = field(default_factory=list)  # at most one a ring; the last is the present one
    last_heard_ms: int = 0
    dies_ms: int = NEVER_MS
    restarted_ms: int = 0


@dataclass(slots=True)
class History:
    """What happened, for the promises."""

    scenario: Scenario
    blueprints: list[Blueprint] = field(default_factory=list)
    offers: list[Offered] = field(default_factory=list)
    controls: list[tuple[Subject, Gate]] = field(default_factory=list)
    closed_ms: dict[tuple[str, int], int] = field(default_factory=dict)
    lint: list[str] = field(default_factory=list)
    report: Report = field(default_factory=lambda: Report(()))
    gave: list[tuple[int, giving_way.Gives]] = field(default_factory=list)
    stopped_ms: int = 0  # first blueprint that halted
    ended_ms: int = 0
    harmed: int = 0

    @property
    def last(self) -> Blueprint:
        return self.blueprints[-1]


@dataclass(slots=True)
class Receiver:
    """The side that acts on blueprints: takes only newer generations."""

    blueprint: Blueprint

    def receive(self, blueprint: Blueprint) -> None:
        if blueprint.generation > self.blueprint.generation:
            self.blueprint = blueprint


class World:
    """One rollout in one simulated fleet."""

    def __init__(self, scenario: Scenario, rng: random.Random, mind: Mind) -> None:
        self.scenario, self.rng, self.mind = scenario, rng, mind
        self.members = [Member(e, last_heard_ms=scenario.start_ms) for e in scenario.fleet]
        self.members.sort(key=lambda m: m.endpoint.u)
        first = planner.first_blueprint("ro_sim", scenario.start_ms)
        self.target, self.receiver = first, Receiver(first)
        self.ticks: dict[tuple[str, int], TickState] = {}
        self.history = History(scenario, [first])
        self.restarting = restarts.rings_that_restart(scenario.policy, CHANGE, len(scenario.fleet))
        self._last_checkpoint_ms = scenario.policy.checkpoints_s[-1] * 1000  # they rise
        self.attributes = tuple(sorted({a for e in scenario.fleet for a in e.attributes}))

    def run(self) -> History:
        """Steps until the rollout is over or the horizon is reached."""
        now_ms = self.scenario.start_ms
        while now_ms < self.scenario.start_ms + self.scenario.horizon_ms:
            if (now_ms - self.scenario.start_ms) % DECIDE_MS == 0:
                self._decide(now_ms)
            if self._over(now_ms):
                break
            self._pass(now_ms, now_ms + STEP_MS)
            now_ms += STEP_MS
        self.history.ended_ms = now_ms
        self.history.harmed = sum(1 for m in self.members if m.treated and self.scenario.fault.hits(m.endpoint))
        return self.history

    def _over(self, now_ms: int) -> bool:
        """Nothing more can come: an end with a few steps to watch it, or a hold that only a person would end."""
        age_ms = now_ms - self.target.made_ms
        if self.target.phase in (Phase.COMPLETED, Phase.HALTED):
            return age_ms > 6 * STEP_MS
        outage_ms = max((o.until_ms for o in self.scenario.outages), default=0)
        stands = self.target.phase is Phase.HOLDING and self.scenario.fault.harmful
        return stands and age_ms > DAY_MS // 2 and now_ms > outage_ms

    # --- the executor's part -----------------------------------------------------------------------------------------

    def observe(self, now_ms: int) -> Observed:
        """What the product would load from its store."""
        untreated: dict[str, list[int]] = {}
        fresh: dict[str, list[int]] = {}
        count: dict[str, int] = {}
        subjects: list[Subject] = []
        newest_ms = 0
        for m in self.members:
            newest_ms = max(newest_ms, m.last_heard_ms)
            eligible = now_ms - m.last_heard_ms <= self.scenario.policy.eligible_seen_s * 1000
            region = m.endpoint.region
            if m.treated is not None:
                m.treated = _last_heard(m.treated, m.last_heard_ms)
                subjects.append(m.treated)
            elif eligible:
                count[region] = count.get(region, 0) + 1
                untreated.setdefault(region, [])
                if now_ms - m.last_heard_ms < STEP_MS:
                    untreated[region].append(m.endpoint.u)
                if now_ms - m.last_heard_ms < STEP_MS and not m.controls:
                    fresh.setdefault(region, []).append(m.endpoint.u)
            if m.controls:
                m.controls = [_last_heard(c, m.last_heard_ms) for c in m.controls]
                subjects += m.controls
        return Observed(self.scenario.change, len(self.members), tuple(subjects),
                        {r: tuple(us) for r, us in untreated.items()}, {r: tuple(us) for r, us in fresh.items()},
                        tuple(self.ticks.values()), wish=Wish.RUN, data_ms=newest_ms,
                        attributes=self.attributes, eligible=count)  # fmt: skip

    def _give_way(self, now_ms: int) -> None:
        """As the executor does (`rollout.giving`)."""
        policy, change = self.scenario.policy, self.scenario.change
        if not (self.scenario.gives_way and giving_way.may(change, self.target.phase, Wish.RUN)):
            return
        treated = [m.treated for m in self.members if m.treated is not None]
        population = len(self.members) - sum(bool(s.set_aside_ms) for s in treated)
        small, uptos = small_rings(policy, change, population), [0]
        uptos += [upto for _, upto in arms.rings_for(policy, change, population)]
        gave = Counter(s.ring for s in treated if s.detail.startswith(giving_way.GAVE))
        found = [giving_way.Answered(s.endpoint_id, s.ring, s.progress, s.detail) for s in treated
                 if s.ring in small and not s.set_aside_ms]  # fmt: skip
        places = {i: uptos[i + 1] - uptos[i] for i in small}
        gives = {g.endpoint_id: g for g in giving_way.who(change, found, gave, places)}
        for m in self.members:
            if m.treated is not None and (g := gives.get(m.treated.endpoint_id)) is not None:
                m.treated = replace(m.treated, set_aside_ms=now_ms, detail=f"{giving_way.GAVE}{g.why}")
                self.history.gave.append((now_ms, g))

    def _decide(self, now_ms: int) -> None:
        self._give_way(now_ms)
        policy, observed = self.scenario.policy, self.observe(now_ms)
        proposed, self.history.report = self.mind.plan(policy, self.target, observed, now_ms)
        if proposed == self.target:
            return
        problems = lint.check(policy, self.target, proposed, observed)
        self.history.lint += [f"{p.rule}: {p.text}" for p in problems]
        if problems and self.mind.lints:
            return
        self._publish(proposed, now_ms)

    def _publish(self, proposed: Blueprint, now_ms: int) -> None:
        kept = {(g.region, g.tick) for g in proposed.gates}
        for key, tick in self.ticks.items():
            if key not in kept and not tick.closed:
                self._close(key, now_ms)
        for g in proposed.gates:
            self.ticks.setdefault((g.region, g.tick), TickState(g.region, g.tick, g.ring, 0, closed=False))
        self._cross(proposed, now_ms)
        self.target = proposed
        self.history.blueprints.append(proposed)
        if proposed.phase is Phase.HALTED and not self.history.stopped_ms:
            self.history.stopped_ms = now_ms
        self.receiver.receive(proposed)

    def _close(self, key: tuple[str, int], now_ms: int) -> None:
        self.ticks[key] = replace(self.ticks[key], closed=True)
        self.history.closed_ms.setdefault(key, now_ms)

    def _cross(self, proposed: Blueprint, now_ms: int) -> None:
        """Controls whose turn has come, or who are drawn for a later ring, leave the comparison, dead or alive."""
        gates = {g.region: g for g in proposed.gates}
        for m in self.members:
            g = gates.get(m.endpoint.region)
            if g is None or not m.controls or m.controls[-1].crossed_ms:
                continue
            c = m.controls[-1]
            if c.u < g.treat_below or (c.ring < g.ring and g.control_from <= c.u < g.control_until):
                m.controls[-1] = replace(c, crossed_ms=now_ms)

    # --- the endpoints' part -----------------------------------------------------------------------------------------

    def _pass(self, from_ms: int, to_ms: int) -> None:
        dark = {o.region for o in self.scenario.outages if o.from_ms <= to_ms < o.until_ms}
        asking: list[tuple[float, Member]] = []
        for m in self.members:
            if m.dies_ms <= from_ms or m.endpoint.region in dark or not m.endpoint.on(to_ms):
                continue
            until_ms = min(to_ms, m.dies_ms)
            m.last_heard_ms = until_ms
            if m.treated is not None:
                m.treated = self._heard(m.treated, from_ms, until_ms)
                if m.treated.progress is Progress.OFFERED:
                    m.treated = self._result(m, m.treated, until_ms)
                elif m.treated.progress is Progress.INSTALLED and not m.treated.proven_ms:
                    m.treated = replace(m.treated, proven_ms=until_ms)
                m.treated = self._restart(m, m.treated, until_ms)
            else:
                if m.controls:
                    m.controls[-1] = self._restart(m, self._heard(m.controls[-1], from_ms, until_ms), until_ms)
                asking.append((self.rng.random(), m))
        if not self.receiver.blueprint.gates:
            return  # nobody is waited for
        for when, m in sorted(asking, key=lambda x: x[0]):
            self._ask(m, from_ms + round(when * (to_ms - from_ms - 1)) + 1)

    def _heard(self, s: Subject, from_ms: int, to_ms: int) -> Subject:
        if from_ms - s.ready_ms >= self._last_checkpoint_ms:
            return s
        hit = evidence.windows_hit(self.scenario.policy, s.machine_class, s.ready_ms, from_ms, to_ms)
        return replace(s, heard=s.heard | hit) if hit & ~s.heard else s

    def _restart(self, m: Member, s: Subject, now_ms: int) -> Subject:
        """On order, while the rollout goes on; whom the fault hits at its next start does not come back."""
        if self.receiver.blueprint.phase not in (Phase.ROLLING, Phase.HOLDING):
            return s
        if not restarts.due(self.scenario.policy, self.restarting, s, now_ms):
            return s
        m.restarted_ms = now_ms
        if s.arm is Arm.TREATED and self.scenario.fault.at_reboot and self.scenario.fault.hits(m.endpoint):
            m.dies_ms = min(m.dies_ms, now_ms)
            return s
        return replace(s, restarted_ms=now_ms)

    def _result(self, m: Member, s: Subject, now_ms: int) -> Subject:
        if now_ms - s.ready_ms < INSTALL_MS:
            return s
        if self.scenario.fault.fails and self.scenario.fault.hits(m.endpoint):
            return replace(s, progress=Progress.FAILED, explicit=True, detail="maintainer_script_failed")
        if self.refuses(m):
            return replace(s, progress=Progress.REFUSED, detail="local_limits: its own root lets nothing be changed")
        return replace(s, progress=Progress.INSTALLED)

    def refuses(self, m: Member) -> bool:
        """By limits of its own, which its dry run did not know."""
        return (m.endpoint.phase * 5417) % 1.0 < self.scenario.refuses

    def _ask(self, m: Member, now_ms: int) -> None:
        """Ready: the moment of randomisation."""
        blueprint, e = self.receiver.blueprint, m.endpoint
        gate = blueprint.gate(e.region) if blueprint.phase is Phase.ROLLING else None
        if gate is None:
            return
        key = (gate.region, gate.tick)
        tick = self.ticks[key]
        if arms.overdraws(gate, e.u, tick.treated) and not tick.closed:
            self._close(key, now_ms)
            tick = self.ticks[key]
        arm = self.mind.assign(gate, e.u, tick.treated, tick.closed, now_ms)
        if arm is Arm.DEFERRED or (arm is Arm.CONTROL and any(c.ring == gate.ring for c in m.controls)):
            return
        subject = Subject(e.endpoint_id, arm, gate.ring, gate.tick, e.region, e.machine_class, e.u, now_ms,
                          blueprint.generation, e.attributes,
                          consents=(e.phase * 6007) % 1.0 < self.scenario.consent,
                          facing=bool(self.scenario.change.facing) and facing.faces(e.attributes))  # fmt: skip
        if arm is Arm.CONTROL:
            m.controls.append(subject)
            self.history.controls.append((subject, gate))
            return
        self._offer(m, subject, now_ms)
        self.ticks[key] = replace(tick, treated=tick.treated + 1)

    def _offer(self, m: Member, subject: Subject, now_ms: int) -> None:
        before = [x.treated for x in self.members if x.treated is not None and not x.treated.set_aside_ms]
        last_ring = max((s.ring for s in before if s.ring < subject.ring), default=-1)
        ready = sorted(s.ready_ms for s in before if s.ring == last_ring)
        settled = ready[math.ceil(0.9 * len(ready) - 1e-9) - 1] if ready else 0
        self.history.offers.append(
            Offered(now_ms, subject.endpoint_id, subject.ring, subject.generation, len(before),
                    sum(bool(s.proven_ms) for s in before if s.ring < subject.ring), settled)
        )  # fmt: skip
        m.treated = replace(subject, progress=Progress.OFFERED)
        m.dies_ms = NEVER_MS if self.refuses(m) else self.scenario.fault.death_ms(m.endpoint, now_ms)


def _last_heard(s: Subject, at_ms: int) -> Subject:
    """The same subject; most of a simulation's time went into copies by name, so this one is by position."""
    if s.last_heard_ms == at_ms:
        return s
    return Subject(
        s.endpoint_id, s.arm, s.ring, s.tick, s.region, s.machine_class, s.u, s.ready_ms, s.generation, s.attributes,
        s.heard, s.unhealthy, s.asleep, at_ms, s.asleep_now, s.unhealthy_now, s.progress, s.explicit, s.proven_ms,
        s.crossed_ms, s.set_aside_ms, s.detail, s.consents, s.restarted_ms, s.restart_refused,
        facing=s.facing,
    )  # fmt: skip


def run(scenario: Scenario, seed: int, mind: Mind | None = None) -> History:
    """One history. The same scenario and seed give the same one, step for step."""
    return World(scenario, random.Random(seed), mind or Mind()).run()  # noqa: S311  simulation, not secrets
