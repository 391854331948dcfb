"""Several cells and their conductor over a bad network: the shipped decisions of both ends, seeded, no I/O.

Each cell runs the whole of planner, brake, lint and `led`; the conductor runs `conduct`; between them messages are
lost, late, doubled and out of order, cells and the conductor die for a while, a clock is wrong for a while. The
invariants are checked after every step and kept in `History.broken`; nothing here decides for the product. One cell by
itself: `one_cell`.
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
    Member,
    MemberState,
)
from brakeline.rollout import planner
from brakeline.rollout.conduct import Lead, Standing, conduct, grants
from brakeline.rollout.model import (
    Arm,
    Phase,
    Policy,
    Report,
    Wish,
)
from brakeline.sim.one_cell import CHANGE, LEAD, START_MS, SimCell

STEP_MS: Final = 10_000


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
