"""Histories of one machine that shall restart: people come, go and put it off, the agent dies, the record is damaged.

What always holds, whatever a seed lets happen: nobody is overruled without root's deadline; whoever is was told a full
warning before, and its last minute; deferrals stay within what was given; it does end.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from brakeline.agent.people import FORGOTTEN_S, GAP_S, Damaged, Goes, Waits, Warned, Word, judge, kinder, stood_down
from brakeline.protocol.messages import PeopleTerms

SEEDS = range(200)
LOOKS = 400


@dataclass
class World:
    """One boot of a machine, the people at it, and the helper's record of them. Looks come when the agent lives: its
    clock and the cell's may say what they like, nobody asks them."""

    rng: random.Random
    terms: PeopleTerms
    up: float = 700.0
    people: int = 0
    asks: bool = False
    record: Warned | Damaged | None = None
    told_s: list[float] = field(default_factory=list)
    deferred: int = 0

    def look(self) -> Goes | Waits:
        found = judge(self.terms, self.record, "boot", self.people, self.asks and self.people > 0, self.up)
        if isinstance(found, Waits):
            self.record = found.warned
            self.deferred += found.word is Word.DEFERRED
            self.told_s += [self.up] if found.word else []
        return found

    def pass_time(self) -> None:
        away = self.rng.random() < 0.03  # asleep, or the agent was stopped, or its cell could not be reached
        self.up += self.rng.uniform(GAP_S + 1, 20_000) if away else self.rng.choice((60.0, 60.0, 61.0, 75.0, 200.0))
        if self.rng.random() < 0.05:
            self.people = self.rng.randrange(3)
        self.asks = self.rng.random() < 0.05
        if self.rng.random() < 0.01:
            self.record = Damaged()
        if self.rng.random() < 0.01:
            self.record = stood_down(self.record, self.up) or self.record


def world_of(seed: int) -> World:
    rng = random.Random(seed)
    deadline_s = rng.choice((0, 4 * 3600, 24 * 3600))
    root = PeopleTerms(rng.choice((60, 900, 3600)), rng.randrange(4), rng.choice((600, 3600)), deadline_s)
    order = PeopleTerms(rng.choice((0, 5, 1800)), rng.randrange(5), 0, rng.choice((0, 1, 7 * 3600)))
    return World(rng, kinder(root, rng.choice((None, order))), people=rng.randrange(3))


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_is_overruled_unwarned_and_deferrals_are_bounded(seed: int) -> None:
    world = world_of(seed)
    for _ in range(LOOKS):
        found = world.look()
        if isinstance(found, Goes):
            assert found.over == (world.people > 0), "whoever is there is overruled knowingly, or not at all"
            if found.over:
                assert world.terms.deadline_s > 0
                assert world.up - world.told_s[-1] >= 60, "the last minute was told, and was one"
                assert world.up - world.told_s[0] >= world.terms.warn_s
            return
        assert world.told_s, "whoever it waits for was told"
        renewals = 1 + (world.up - 700) // FORGOTTEN_S
        assert world.deferred <= world.terms.deferrals * renewals, "what cannot be read has no deferral left"
        world.pass_time()


@pytest.mark.parametrize("asks", [False, True])
def test_with_a_deadline_it_ends_whatever_people_do(asks: bool) -> None:
    world = World(random.Random(1), PeopleTerms(900, 9, 8 * 3600, 24 * 3600), people=1, asks=asks)
    while isinstance(world.look(), Waits):
        world.up += 60
        assert world.up <= 700 + 24 * 3600 + 180
    assert world.up >= (700 + 24 * 3600 if asks else 700 + 900)


def test_without_one_it_never_ends_while_somebody_is_there() -> None:
    world = World(random.Random(1), kinder(PeopleTerms(900, 3, 3600), PeopleTerms(deadline_s=1)), people=1)
    for _ in range(5000):
        assert isinstance(world.look(), Waits), "no order overrules anybody"
        world.up += 60
    world.people = 0
    assert world.look() == Goes()
