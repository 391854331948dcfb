"""One cell of the simulation of several: its endpoints, its executor, and its end of the link. Seeded, no I/O.

It runs the whole of planner, brake, lint and `led` as the executor does: endpoints ask, the planner proposes, lint and
the second look check. What it says and hears goes through the shipped `cells.decide`. Next: `cells`, the network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.cells import decide
from brakeline.cells.model import Answer, CellReport, Exchange, Grant, Link, Stand
from brakeline.core.draw import draw
from brakeline.protocol.codec import decode
from brakeline.rollout import arms, evidence, led, lint, planner
from brakeline.rollout.led import Led
from brakeline.rollout.model import (
    Arm,
    Change,
    Observed,
    Pin,
    Policy,
    Progress,
    Report,
    Subject,
    TickState,
    Wish,
)
from brakeline.rollout.summary import summarise

START_MS: Final = 1_800_000_000_000
CHANGE: Final = Change((Pin("libexample1", "2.0-1"),))
LEAD: Final = "ld_00000000000000000000000000"


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
