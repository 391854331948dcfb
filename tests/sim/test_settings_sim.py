"""Histories of one endpoint's settings: policies change, rollouts start, halt and complete, replies are lost.

The real `decide` of the agent on one side, `remediation.standing` on the other, and a cell of a few lines between them.
What always holds right after an exchange: the agent runs by nothing wider than its last good settings unless a rollout
that stands has offered it, and by nothing that policies have taken away; when all is calm it runs by what is in force.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field, replace

import pytest
from tests.unit.agent.test_decide import ME, SERVER_MS, Story, begun, sign

from brakeline.agent import model, taking
from brakeline.agent.model import State
from brakeline.agent.providers.model import Planned
from brakeline.core.ids import make_id
from brakeline.protocol.digests import settings_digest
from brakeline.protocol.messages import Candidate, Mode, Offer, Settings, UpdateRef
from brakeline.remediation import standing
from brakeline.remediation.standing import NONE

SEEDS = 60
STEPS = 40
ALL = [Settings(m, 60, i, r) for m, i, r in itertools.product(Mode, (600, 900, 7200), (900, 21600, 86400))]
PIN = (UpdateRef(taking.PACKAGE, "0123456789ab"),)


def wider(one: Settings, other: Settings) -> bool:
    return not standing.allows(other, one)


@dataclass
class Cell:
    """What the cell knows of one endpoint: at most one rollout of settings at a time."""

    chance: random.Random
    has: Settings | None = None
    wished: Settings = NONE
    offered: Settings | None = None  # by the rollout that stands
    number: int = 0
    sent: bool = False  # the offer has left
    halted: tuple[str, ...] = ()
    story: Story = field(default_factory=begun)

    @property
    def rollout(self) -> str:
        return make_id("ro", SERVER_MS, self.number.to_bytes(10, "big"))

    def step(self) -> str:
        act = self.chance.choice(("policy", "start", "exchange", "exchange", "exchange", "halt", "complete", "crash"))
        getattr(self, act)()
        return act

    def policy(self) -> None:
        self.wished = self.chance.choice(ALL)

    def start(self) -> None:
        if self.offered is None and standing.waits(self.has, self.wished):
            self.offered, self.number, self.sent = self.wished, self.number + 1, False

    def halt(self) -> None:
        if self.offered is not None:
            self.halted, self.offered = (*self.halted, self.rollout), None

    def complete(self) -> None:
        if self.offered is not None and self.sent:
            self.has, self.offered = self.offered, None

    def crash(self) -> None:
        """The agent's process dies and another begins with what was on the disk."""
        self.story = Story(State(ME, self.story.state.durable), self.story.now_s).happens(model.Started, ()).secret()

    def exchange(self) -> None:
        """One check-in and its reply, whatever else is going on there."""
        story = self.story
        story.now_s += 61
        story.state = replace(story.state, link=replace(story.state.link, busy=True, ever=True))
        reported = settings_digest(story.state.durable.settings)
        told = standing.settings_told(self.has, self.wished, self.offered if self.sent else None, reported)
        orders, candidates = (), ()
        if self.offered is not None:
            candidates = (Candidate(self.rollout, 1, PIN, settings=self.offered),)
            answer = taking.answer(story.state, candidates[0])
            if isinstance(answer, Planned) and not self.sent and standing.allows(self.wished, self.offered):
                orders, self.sent = (sign(self._offer(answer)),), True
        if self.chance.random() < 0.1:
            return  # the reply is lost, and the offer with it
        story.reply(settings=told, candidates=candidates, offers=orders, halted=self.halted)
        self._check(bool(orders))

    def _offer(self, answer: Planned) -> Offer:
        offer_id, now_ms = make_id("of", SERVER_MS, self.number.to_bytes(10, "big")), self.story.server_ms()
        return Offer(offer_id, ME.endpoint_id, self.rollout, 1, answer.transaction.digest, PIN, now_ms,
                     now_ms + 600_000, settings=self.offered)  # fmt: skip

    def _check(self, offered_now: bool) -> None:
        runs = self.story.state.durable.settings
        assert not wider(runs, self.wished), "it runs by what policies have taken away"
        if wider(runs, self.has or NONE):
            assert self.offered is not None, "wider than what it has, and no rollout stands"
            assert self.sent or offered_now
            assert not wider(runs, self.offered)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_history_ends_in_settings_that_nobody_has_proven_or_offered(seed: int) -> None:
    cell = Cell(random.Random(seed))
    cell.story.secret()
    story = [cell.step() for _ in range(STEPS)]
    cell.halt()
    for _ in range(40):  # calm: some replies are lost still
        cell.exchange()
    runs = cell.story.state.durable.settings
    assert settings_digest(runs) == settings_digest(standing.in_force(cell.has, cell.wished)), story


def test_histories_take_offers_halts_and_completions() -> None:
    """So that the test above is not about agents to which nothing ever happens."""
    taken = completed = halted = 0
    for seed in range(SEEDS):
        cell = Cell(random.Random(seed))
        cell.story.secret()
        for _ in range(STEPS):
            cell.step()
            taken += cell.offered is not None and cell.story.state.durable.settings == cell.offered
        completed += cell.has is not None
        halted += bool(cell.halted)
    assert min(taken, completed, halted) >= 10
