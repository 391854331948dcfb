"""A lead changes hands over a bad network: two conductors, both alive, and cells that move one by one. Seeded, no I/O.

The old conductor is cut off and comes back, its messages arrive late and twice, cells hear of the new one at different
times, and some never. Worst of all cases: every link has the same name and every key is the same, so that nothing but
the generation stands between a cell and the old conductor. Invariants after every step, in `broken`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Final

from brakeline.cells import decide
from brakeline.cells.model import Answer, Exchange, Grant, Orphan, Stand, superseded
from brakeline.protocol.codec import decode
from brakeline.rollout import handover
from brakeline.rollout.conduct import grants
from brakeline.rollout.model import Arm, Phase, Policy, Wish
from brakeline.rollout.summary import summarise
from brakeline.sim.cells import STEP_MS, Conductor, Scenario
from brakeline.sim.one_cell import LEAD, START_MS, SimCell

RESUME_AFTER: Final = 12  # steps that people take to look at it


@dataclass(frozen=True, slots=True)
class HandOver:
    """`moves`: by cell, at which step it joins the new conductor. `cut`: the old one reaches nobody, from to."""

    scenario: Scenario
    moves: dict[str, int]
    taken: int
    cut: tuple[int, int]


@dataclass(slots=True)
class Found:
    broken: list[str] = field(default_factory=list)
    treated: dict[str, int] = field(default_factory=dict)
    completed: bool = False
    says: str = ""  # of the old conductor
    refused: int = 0  # grants of the old one that arrived where a newer one is believed


class MovingCell(SimCell):
    """A cell that believes one conductor, then the next."""

    def __init__(self, name: str, size: int, fails: bool) -> None:
        super().__init__(name, size, fails)
        self.refused = 0
        self.opened_by: list[int] = []  # generations of the grants that it took and that opened something

    def move(self) -> None:
        self.link = replace(self.link, generation=1)

    @property
    def orphaned(self) -> bool:
        return self.grant is not None and self.grant.generation < self.link.generation

    def orphan(self, now_ms: int) -> Orphan:
        assert self.grant is not None
        g = self.grant
        policy = self.policy() if g.rings else decode(Policy, g.policy.encode())
        seen = summarise(policy, self.blueprint, self._observe(now_ms), now_ms)
        return Orphan(LEAD, g.title, g.filter, g.change, g.policy, g.revision, g.stand, g.rings, g.salt,
                      seen.population, self.treated)  # fmt: skip

    def may_step(self) -> bool:
        """As in a cell: what is led under another link has no conductor, and offers nothing."""
        return not self.orphaned

    def hear(self, answer: Answer, given: tuple[Grant, ...], true_ms: int) -> None:
        for grant in given:
            try:
                decide.check_grant(self.link, grant, self.grant, true_ms)
            except decide.Doubt as e:
                self.trouble = e.detail
                self.refused += grant.generation < self.link.generation
                continue
            if grant.stand is Stand.GO and (self.grant is None or grant.rings != self.grant.rings):
                self.opened_by.append(grant.generation)
            self.grant, self.trouble = grant, answer.trouble


class NewConductor(Conductor):
    """The one that takes the lead over; before that it leads nothing."""

    def __init__(self, scenario: Scenario, names: tuple[str, ...]) -> None:
        super().__init__(scenario, names)
        self.members = {n: replace(m, generation=1) for n, m in self.members.items()}
        self.leads = False
        self.orphans: dict[str, Orphan] = {}

    def take(self, now_ms: int) -> None:
        self.lead = handover.taken(LEAD, self.orphans, "two people", "the old one is lost", now_ms)
        self.leads = True
        self.members = {n: m for n, m in self.members.items() if n in self.lead.cells}


class World:
    """Steps of ten seconds. Old and new conductor think in each of them."""

    def __init__(self, plan: HandOver, rng: random.Random) -> None:
        self.plan, self.rng, self.found = plan, rng, Found()
        names = tuple(plan.moves)
        self.cells = {n: MovingCell(n, s, fails=False) for n, s in zip(names, plan.scenario.sizes, strict=True)}
        self.old, self.new = Conductor(plan.scenario, names), NewConductor(plan.scenario, names)
        self.late: list[tuple[int, str, Answer, tuple[Grant, ...]]] = []
        self.rings_when_known = -1

    def run(self) -> Found:
        for step in range(self.plan.scenario.steps):
            self.step(step, START_MS + step * STEP_MS)
            ended = self.new.leads and self.new.lead.blueprint.phase is Phase.COMPLETED
            if ended and all(self.cells[n].blueprint.phase is Phase.COMPLETED for n in self.new.lead.cells):
                self.found.completed = True
                break
        self.found.treated = {n: c.treated for n, c in self.cells.items()}
        self.found.refused = sum(c.refused for c in self.cells.values())
        self.found.says = superseded(tuple(self.old.members.values()))
        return self.found

    def step(self, step: int, now_ms: int) -> None:
        for name, cell in self.cells.items():
            if step == self.plan.moves[name]:
                cell.move()
            if cell.may_step():
                self.found.broken += [f"step {step}: {p}" for p in cell.step(now_ms)]
            self._exchange(step, cell, now_ms)
        if step == self.plan.taken:
            self.new.take(now_ms)
        if step == self.plan.taken + RESUME_AFTER:
            self.new.lead = replace(self.new.lead, wish=Wish.RUN)
        self._deliver(step, now_ms)
        self._check(step)

    def _exchange(self, step: int, cell: MovingCell, now_ms: int) -> None:
        """With whom it believes; and now and then a word to the old one, which may be cut off."""
        away = self.plan.cut[0] <= step < self.plan.cut[1]
        said = cell.say(now_ms)
        if cell.link.generation == 0:
            if not away:
                self._answered(step, self.old, said, 0, now_ms)
            return
        if not away and step % 6 == 0:
            gone = replace(said, reports=(), left_generation=1, left_for="the new one")
            member = self.old.members[cell.name]
            self.old.members[cell.name] = replace(member, left_generation=1, left_for=gone.left_for)
        if not self.new.leads:
            if cell.grant is not None:
                self.new.orphans[cell.name] = cell.orphan(now_ms)
        elif cell.name in self.new.members:
            reports = () if cell.orphaned else said.reports
            self._answered(step, self.new, replace(said, reports=reports), 1, now_ms)

    def _answered(self, step: int, conductor: Conductor, said: Exchange, generation: int, now_ms: int) -> None:
        """Grants are late, doubled, lost. What `conducting` does about whoever is superseded is done here, too."""
        no_more = superseded(tuple(conductor.members.values()))
        if no_more and conductor.lead.wish is Wish.RUN:
            conductor.lead = replace(conductor.lead, wish=Wish.PAUSE, wish_reason=no_more)
        got = conductor.answer(said, now_ms)
        if got is None:
            return
        given = grants(conductor.lead, conductor.standings(), conductor.report, now_ms).get(said.cell)
        if given is None:
            return
        stand = Stand.HOLD if no_more and given.stand is not Stand.HALT else given.stand
        sealed = replace(given, generation=generation, stand=stand)
        for _ in range(self.rng.choice((0, 1, 1, 1, 2))):
            self.late.append((step + self.rng.choice((0, 0, 1, 3, 15)), said.cell, got[0], (sealed,)))

    def _deliver(self, step: int, now_ms: int) -> None:
        due, self.late = [x for x in self.late if x[0] <= step], [x for x in self.late if x[0] > step]
        self.rng.shuffle(due)
        for _, name, answer, given in due:
            self.cells[name].hear(answer, given, now_ms)

    def _check(self, step: int) -> None:
        """No two conductors can both open: in a cell never, over cells not once the old one has heard of the new."""
        for name, cell in self.cells.items():
            if cell.opened_by != sorted(cell.opened_by):
                self.found.broken.append(f"step {step}: {name} was opened by {cell.opened_by}")
            if any(g is None or g.generation != cell.link.generation for g in cell.treated_now):
                self.found.broken.append(f"step {step}: {name} offered under a conductor that it does not believe")
            cell.treated_now = []
            granted = max(self.old.lead.granted(name), self.new.lead.granted(name) if self.new.leads else 0)
            if cell.treated > granted:
                self.found.broken.append(f"step {step}: {name} treats {cell.treated}, granted {granted}")
            reached = max((s.ring for s in cell.subjects.values() if s.arm is Arm.TREATED), default=-1)
            if reached + cell.known().offset > max(self.old.lead.blueprint.ring, self.new.lead.blueprint.ring):
                self.found.broken.append(f"step {step}: {name} is in a ring that nobody has opened")
        if superseded(tuple(self.old.members.values())):
            if self.rings_when_known < 0:
                self.rings_when_known = self.old.lead.blueprint.ring
            if self.old.lead.blueprint.ring > self.rings_when_known:
                self.found.broken.append(f"step {step}: the old conductor opens a ring and knows of the new one")
