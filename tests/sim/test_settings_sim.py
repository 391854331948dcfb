"""Histories of one endpoint's settings: policies change, rollouts start, halt and complete, replies are lost.

The real `decide` of the agent on one side, `remediation.standing` on the other, and a cell of a few lines between them.
What always holds right after an exchange: the agent runs by nothing wider than its last good settings unless a rollout
that stands has offered it, and by nothing that policies have taken away; when all is calm it runs by what is in force.
And against whoever can write replies without the cell's order key (wider settings, old grants, old offers, grants of
another endpoint): whatever comes, the agent runs by nothing wider than what was once signed for it and still stands.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field, replace

import pytest
from tests.unit.agent.test_decide import ME, SERVER_MS, Story, begun, grant, sign

from brakeline.agent import ceiling, events, taking
from brakeline.agent.model import Durable, State
from brakeline.agent.providers.model import Planned
from brakeline.core.ids import make_id
from brakeline.protocol import codec
from brakeline.protocol.digests import settings_digest
from brakeline.protocol.messages import (
    Candidate,
    Mode,
    Offer,
    RestartConsent,
    Settings,
    SettingsGrant,
    SignedOrder,
    UpdateRef,
)
from brakeline.protocol.settings import WIDEST
from brakeline.remediation import standing
from brakeline.remediation.standing import NONE

SEEDS = 60
STEPS = 40
ALL = [Settings(m, 60, i, r, w, c) for m, i, r, w, c in itertools.product(
    Mode, (600, 900, 7200), (900, 21600, 86400), ((), ("sat,sun 00:00/24:00",), ("daily 22:00/06:00",)),
    (RestartConsent.ANY, RestartConsent.WINDOW, RestartConsent.NEVER))]  # fmt: skip
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
    serial: int = 0
    grants: list[SignedOrder] = field(default_factory=list)  # every one that ever left
    orders: list[SignedOrder] = field(default_factory=list)
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
            self.serial = self.story.server_ms()
            self.grants.append(grant(self.has, self.serial))

    def crash(self) -> None:
        """The agent's process dies and another begins with what was on the disk."""
        self.story = Story(State(ME, self.story.state.durable), self.story.now_s).happens(events.Started, ()).secret()

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
                self.orders += orders
        if self.chance.random() < 0.1:
            return  # the reply is lost, and the offer with it
        granted = self.grants[-1] if self.grants else None
        story.reply(settings=told, candidates=candidates, offers=orders, halted=self.halted, granted=granted)
        self._check(bool(orders))

    def attack(self) -> None:
        """A reply that the cell did not compose: all that was ever signed, and some that was not, at its widest."""
        story, before = self.story, self.story.state.durable
        story.now_s += 61
        story.state = replace(story.state, link=replace(story.state.link, busy=True, ever=True))
        forged = grant(WIDEST, 10**15, seed=b"x" * 32)
        others = grant(WIDEST, 10**15, endpoint_id="ep_01JD0000000000000000000002")
        granted = self.chance.choice([None, forged, others, *self.grants])
        offers = tuple(self.chance.sample(self.orders, min(2, len(self.orders))))
        story.reply(settings=WIDEST, granted=granted, offers=offers, halted=before.halted)
        runs = story.state.durable.settings
        bounds = [ceiling.ceiling(before), *self._signed_since(before)]
        assert any(not wider(runs, b) for b in bounds), "wider than all that was signed since"

    def _signed_since(self, known: Durable) -> list[Settings]:
        """Of all that the cell ever signed: what is newer than what the agent has heard. A halt may not have reached
        it, but an offer that ran out, or that an older one came after, is worth nothing any more."""
        serial = known.allowed.serial if known.allowed else 0
        grants = [codec.decode(SettingsGrant, g.payload.encode()) for g in self.grants]
        offers = [codec.decode(Offer, o.payload.encode()) for o in self.orders]
        fresh = [o for o in offers if o.issued_ms > max(serial, known.trial_ms) and o.rollout_id not in known.halted]
        standing_ = [o.settings for o in fresh if o.expires_ms > self.story.server_ms() and o.settings]
        return [*(g.settings for g in grants if g.serial > serial), *standing_]

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


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nobody_without_the_order_key_widens_what_an_agent_runs_by(seed: int) -> None:
    cell = Cell(random.Random(1000 + seed))
    cell.story.secret()
    for _ in range(STEPS):
        cell.step()
        if cell.chance.random() < 0.4:
            cell.attack()
            cell.exchange()  # and the cell is back in command at once


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
