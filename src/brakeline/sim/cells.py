"""Several cells and their conductor over a bad network: the shipped decisions of both ends, seeded, no I/O.

Each cell runs the whole of planner, brake, lint and `led`; the conductor runs `conduct`; between them messages are
lost, late, doubled and out of order, cells and the conductor die for a while, a clock is wrong for a while. The
invariants are checked after every step and kept in `History.broken`; nothing here decides for the product.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Final

from brakeline.cells import decide
from brakeline.cells.model import (
    GRANT_S,
    SKEW_MAX_MS,
    Answer,
    CellReport,
    Exchange,
    Grant,
    Link,
    Member,
    MemberState,
    Stand,
)
from brakeline.core.draw import draw
from brakeline.protocol.codec import decode
from brakeline.rollout import arms, evidence, led, lint, planner
from brakeline.rollout.conduct import Lead, Standing, conduct, grants
from brakeline.rollout.led import Led
from brakeline.rollout.model import (
    Arm,
    Change,
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
from brakeline.rollout.summary import summarise

STEP_MS: Final = 10_000
START_MS: Final = 1_800_000_000_000
CHANGE: Final = Change((Pin("libexample1", "2.0-1"),))
LEAD: Final = "ld_00000000000000000000000000"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong, to whom ("" = the conductor), from step to step. kind: dead | cut | skew | lossy."""

    kind: str
    who: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Scenario:
    policy: Policy
    sizes: tuple[int, ...]
    troubles: tuple[Trouble, ...] = ()
    fails_in: str = ""  # the cell in which the update fails
    steps: int = 400


@dataclass(slots=True)
class History:
    treated: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    lead: Lead | None = None
    steps: int = 0
    halted_step: int = 0
    last_treated_step: int = 0
    report: Report = field(default_factory=lambda: Report(()))


class SimCell:
    """One control plane with its endpoints."""

    def __init__(self, name: str, size: int, fails: bool) -> None:
        self.name, self.fails = name, fails
        self.ids = [f"ep_{name}_{i}" for i in range(size)]
        self.u = {e: draw(name.encode() * 8, e) for e in self.ids}
        self.link = Link(f"li_{name}", name, "", "", "")
        self.grant: Grant | None = None
        self.blueprint = planner.first_blueprint("ro_sim", START_MS)
        self.subjects: dict[tuple[str, Arm], Subject] = {}
        self.ticks: dict[tuple[str, int], TickState] = {}
        self.report = Report(())
        self.counter = self.asked_ms = 0
        self.skew_ms = 0
        self.wish, self.wish_by = Wish.RUN, ""
        self.treated_now: list[Grant | None] = []  # the grant under which somebody was treated in this step
        self.trouble = ""

    @property
    def treated(self) -> int:
        return sum(arm is Arm.TREATED for _, arm in self.subjects)

    def known(self) -> Led:
        return Led(LEAD, "conductor", self.grant, self.asked_ms, trouble=self.trouble)

    def policy(self) -> Policy:
        assert self.grant is not None
        return led.policy_of(decode(Policy, self.grant.policy.encode()), self.grant)

    def step(self, true_ms: int) -> list[str]:
        """Endpoints ask, then the executor decides; what lint or the second look finds wrong."""
        now_ms = true_ms + self.skew_ms
        self.treated_now = []
        if self.grant is None:
            return []
        policy = self.policy()
        for e in self.ids:
            self._ask(e, policy, now_ms)
        seen = self._observe(now_ms)
        summary = summarise(policy, self.blueprint, seen, now_ms)
        proposed, report = planner.decide(policy, self.blueprint, summary, now_ms)
        proposed, self.report = led.bounded(self.blueprint, proposed, report, self.known(), now_ms)
        if proposed == self.blueprint:
            return []
        problems = [f"{self.name}: {p.rule}: {p.text}" for p in lint.check(policy, self.blueprint, proposed, seen)]
        spent = {(t.region, t.tick): t.treated for t in self.ticks.values()}
        problems += led.exceeds(proposed, self.known(), self.treated, spent, now_ms)
        if not problems:
            self.blueprint = proposed
            for g in proposed.gates:
                self.ticks.setdefault((g.region, g.tick), TickState(g.region, g.tick, g.ring, 0, False))
            live = {(g.region, g.tick) for g in proposed.gates}
            self.ticks = {k: t if k in live else replace(t, closed=True) for k, t in self.ticks.items()}
        return problems

    def _ask(self, e: str, policy: Policy, now_ms: int) -> None:
        for arm in (Arm.TREATED, Arm.CONTROL):
            s = self.subjects.get((e, arm))
            if s is not None:
                hit = evidence.heard_now(policy, "server", s.ready_ms, now_ms)
                done = s.progress in (Progress.INSTALLED, Progress.FAILED)
                progress = s.progress if done or arm is Arm.CONTROL else self._result()
                proven = s.proven_ms or (now_ms if s.progress is Progress.INSTALLED else 0)
                self.subjects[(e, arm)] = replace(
                    s, heard=s.heard | hit, last_heard_ms=now_ms, progress=progress, proven_ms=proven,
                    explicit=progress is Progress.FAILED,
                )  # fmt: skip
        gate = self.blueprint.gate("all")
        if (e, Arm.TREATED) in self.subjects or gate is None:
            return
        tick = self.ticks.get(("all", gate.tick)) or TickState("all", gate.tick, gate.ring, 0, False)
        arm = arms.assign(gate, self.u[e], tick.treated, tick.closed, now_ms)
        if arm is Arm.DEFERRED or (e, arm) in self.subjects:
            return
        self.subjects[(e, arm)] = Subject(
            e, arm, gate.ring, gate.tick, "all", "server", self.u[e], now_ms, self.blueprint.generation,
            last_heard_ms=now_ms, progress=Progress.OFFERED if arm is Arm.TREATED else Progress.NONE,
        )  # fmt: skip
        if arm is Arm.TREATED:
            self.ticks[("all", gate.tick)] = replace(tick, treated=tick.treated + 1)
            self.treated_now.append(self.grant)
            control = self.subjects.get((e, Arm.CONTROL))
            if control is not None:
                self.subjects[(e, Arm.CONTROL)] = replace(control, crossed_ms=now_ms)

    def _result(self) -> Progress:
        return Progress.FAILED if self.fails else Progress.INSTALLED

    def _observe(self, now_ms: int) -> Observed:
        untreated = sorted(self.u[e] for e in self.ids if (e, Arm.TREATED) not in self.subjects)
        fresh = sorted(u for e, u in self.u.items() if not any((e, a) in self.subjects for a in Arm))
        return Observed(
            CHANGE, len(self.ids), tuple(self.subjects.values()), {"all": tuple(untreated)}, {"all": tuple(fresh)},
            tuple(self.ticks.values()), wish=self.wish, wish_by=self.wish_by, data_ms=now_ms,
        )  # fmt: skip

    # --- the link -----------------------------------------------------------------------------------------------------

    def say(self, true_ms: int) -> Exchange:
        now_ms = true_ms + self.skew_ms
        self.counter, self.asked_ms = max(self.counter + 1, now_ms), now_ms
        return Exchange(self.link.link_id, self.name, self.counter, now_ms, "sim", self._reports(now_ms))

    def _reports(self, now_ms: int) -> tuple[CellReport, ...]:
        if self.grant is None:
            return ()
        policy = self.policy()
        seen = summarise(policy, self.blueprint, self._observe(now_ms), now_ms)
        cause = led.cause_of(self.blueprint, self.report, self.wish, self.wish_by, frozen=False)
        return (led.told(policy, self.blueprint, seen, self.known(), cause, now_ms),)

    def hear(self, answer: Answer, given: tuple[Grant, ...], true_ms: int) -> None:
        now_ms = true_ms + self.skew_ms
        try:
            decide.check_answer(self.link, answer, self.counter, now_ms)
            self.trouble = answer.trouble
            for grant in given:
                decide.check_grant(self.link, grant, self.grant, now_ms)
                self.grant = grant
                if grant.stand is Stand.HALT and self.wish is Wish.RUN and self.blueprint.phase not in led.STOPS:
                    self.wish, self.wish_by = Wish.BRAKE, f"{led.BY}sim"
        except decide.Doubt as e:
            self.trouble = e.detail


class Conductor:
    """Counts of all cells, and what follows from them."""

    def __init__(self, scenario: Scenario, names: tuple[str, ...]) -> None:
        self.members = {n: Member(f"li_{n}", n, n[0], MemberState.JOINED) for n in names}
        self.reports: dict[str, tuple[CellReport, int]] = {}
        self.lead = Lead(LEAD, "sim", CHANGE, scenario.policy, "", names, Wish.RUN, "sim", "",
                         planner.first_blueprint(LEAD, START_MS), created_ms=START_MS)  # fmt: skip
        self.report = Report(())
        self.refused: list[str] = []

    def standings(self) -> tuple[Standing, ...]:
        told: dict[str, tuple[CellReport | None, int]] = {n: self.reports.get(n, (None, 0)) for n in self.members}
        return tuple(Standing(n, m.link_id, m.state, told[n][0], told[n][1], m.doubt) for n, m in self.members.items())

    def think(self, now_ms: int) -> None:
        self.lead, self.report = conduct(self.lead, self.standings(), now_ms)

    def answer(self, said: Exchange, now_ms: int) -> tuple[Answer, tuple[Grant, ...]] | None:
        member = self.members[said.cell]
        try:
            decide.check_exchange(member, said, now_ms)
        except decide.Doubt as e:
            self.refused.append(e.detail)
            return None
        doubt = member.doubt
        for r in said.reports:
            last = self.reports.get(said.cell, (None, 0))[0]
            doubt = doubt or decide.plausible(r, last, self.lead.granted(said.cell))
            if not doubt:
                self.reports[said.cell] = (r, now_ms)
        self.members[said.cell] = replace(member, counter=said.counter, doubt=doubt)
        self.think(now_ms)
        mine = grants(self.lead, self.standings(), self.report, now_ms).get(said.cell)
        return Answer(member.link_id, said.counter, now_ms, "sim", trouble=doubt), (mine,) if mine else ()


class World:
    """Steps of ten seconds."""

    def __init__(self, scenario: Scenario, rng: random.Random) -> None:
        self.scenario, self.rng = scenario, rng
        names = tuple(f"{'abcdefgh'[i // 2]}{i % 2 + 1}" for i in range(len(scenario.sizes)))
        self.cells = {n: SimCell(n, size, n == scenario.fails_in)
                      for n, size in zip(names, scenario.sizes, strict=True)}  # fmt: skip
        self.conductor = Conductor(scenario, names)
        self.asking: list[tuple[int, Exchange]] = []
        self.answering: list[tuple[int, str, Answer, tuple[Grant, ...]]] = []
        self.history = History()

    def ails(self, kind: str, who: str, step: int) -> bool:
        return any(t.kind == kind and t.who in (who, "*") and t.begin <= step < t.end for t in self.scenario.troubles)

    def run(self) -> History:
        """Until the lead is over and everybody has heard of it, or the steps are."""
        for step in range(self.scenario.steps):
            self.step(step, START_MS + step * STEP_MS)
            ended = self.conductor.lead.blueprint.phase in (Phase.COMPLETED, Phase.HALTED)
            told = all(c.blueprint.phase in (Phase.COMPLETED, Phase.HALTED) for c in self.cells.values())
            if ended and told:
                break
        self.history.lead, self.history.steps = self.conductor.lead, step
        self.history.treated = {n: c.treated for n, c in self.cells.items()}
        self.history.report = self.conductor.report
        return self.history

    def step(self, step: int, now_ms: int) -> None:
        """Endpoints ask, cells decide and call, the conductor answers."""
        for name, cell in self.cells.items():
            if self.ails("dead", name, step):
                continue
            cell.skew_ms = 120_000 if self.ails("skew", name, step) else 0
            self.history.broken += [f"step {step}: {p}" for p in cell.step(now_ms)]
            self._send(step, cell.say(now_ms))
        if not self.ails("dead", "", step):
            self.conductor.think(now_ms)
            self._deliver_questions(step, now_ms)
        self._deliver_answers(step, now_ms)
        self._check(step, now_ms)

    def _fate(self, step: int, name: str) -> list[int]:
        """At which steps copies of a message arrive; none = it is lost."""
        if self.ails("cut", name, step):
            return []
        if not self.ails("lossy", name, step):
            return [step]
        if self.rng.random() < 0.4:
            return []
        copies = 2 if self.rng.random() < 0.3 else 1
        return [step + self.rng.choice((0, 0, 0, 1, 2, 5)) for _ in range(copies)]

    def _send(self, step: int, said: Exchange) -> None:
        self.asking += [(at, said) for at in self._fate(step, said.cell)]
        self.rng.shuffle(self.asking)

    def _deliver_questions(self, step: int, now_ms: int) -> None:
        due, self.asking = [x for x in self.asking if x[0] <= step], [x for x in self.asking if x[0] > step]
        for _, said in due:
            got = self.conductor.answer(said, now_ms)
            if got is not None:
                self.answering += [(at, said.cell, *got) for at in self._fate(step, said.cell)]

    def _deliver_answers(self, step: int, now_ms: int) -> None:
        due, self.answering = [x for x in self.answering if x[0] <= step], [x for x in self.answering if x[0] > step]
        for _, name, answer, given in due:
            if not self.ails("dead", name, step):
                self.cells[name].hear(answer, given, now_ms)

    def _check(self, step: int, now_ms: int) -> None:
        """The promises."""
        lead, broken = self.conductor.lead, self.history.broken
        for name, cell in self.cells.items():
            if cell.treated > lead.granted(name):
                broken.append(f"step {step}: {name} treats {cell.treated}, granted {lead.granted(name)}")
            for grant in cell.treated_now:
                self.history.last_treated_step = step
                if grant is None or now_ms - grant.issued_ms > GRANT_S * 1000 + SKEW_MAX_MS:
                    broken.append(f"step {step}: {name} offered without a fresh grant")
            before = lead.plan[lead.blueprint.ring - 1].uptos.get(name, 0) if lead.blueprint.ring > 0 else 0
            if before and cell.blueprint.ring + cell.known().offset < lead.blueprint.ring - 1:
                broken.append(f"step {step}: {name} is two rings behind the conductor")
        reached = [max((s.ring for s in c.subjects.values() if s.arm is Arm.TREATED), default=-1) + c.known().offset
                   for c in self.cells.values() if c.treated]  # fmt: skip
        if reached and max(reached) > lead.blueprint.ring:
            broken.append(f"step {step}: a cell is in ring {max(reached)}, the conductor in {lead.blueprint.ring}")
        if lead.blueprint.phase is Phase.HALTED and not self.history.halted_step:
            self.history.halted_step = step
