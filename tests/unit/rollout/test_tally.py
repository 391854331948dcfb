"""What is kept between two evaluations equals what is counted anew, in random histories of a rollout."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from brakeline.rollout import planner
from brakeline.rollout.model import (
    CLASSES,
    Arm,
    Blueprint,
    Change,
    Gate,
    Goal,
    Observed,
    Phase,
    Pin,
    Policy,
    Progress,
    Ring,
    Subject,
    TickState,
    Turn,
)
from brakeline.rollout.summary import Summary, summarise
from brakeline.rollout.tally import Tally

HOUR_MS = 3_600_000
REGIONS = ("eu", "us")
POLICY = Policy((Ring("first", 3600, count=30), Ring("wide", 3600, share=0.4), Ring("all", 3600, share=1.0)))
CHANGE = Change((Pin("x", "1"),))


class History:
    """Endpoints become ready, are heard, fall silent, finish, cross over, are set aside; a person may resume."""

    def __init__(self, seed: int) -> None:
        self.rng, self.now_ms, self.tick, self.ring = random.Random(seed), 10 * HOUR_MS, 1, 0
        self.subjects: dict[tuple[str, Arm, int], Subject] = {}
        self.turns: tuple[Turn, ...] = ()
        self.closed: set[int] = set()
        self.resumed_ms = 0

    def step(self) -> list[Subject]:
        """An hour or less passes; whoever changed."""
        rng = self.rng
        self.now_ms += rng.choice((60_000, 15 * 60_000, HOUR_MS, 7 * HOUR_MS))
        changed = [self._another(s) for s in self.subjects.values() if rng.random() < 0.3]
        changed += self._ready() if rng.random() < 0.7 else []
        if rng.random() < 0.2:
            self.closed.add(self.tick)
            self.tick += 1
            self.ring = min(2, self.ring + (rng.random() < 0.4))
        if rng.random() < 0.05:
            self.resumed_ms = self.now_ms - rng.randrange(20) * HOUR_MS
        self.subjects |= {(s.endpoint_id, s.arm, s.tick): s for s in changed}
        return changed

    def _ready(self) -> list[Subject]:
        rng, found = self.rng, list[Subject]()
        if rng.random() < 0.8:
            low = rng.randrange(100, 500)
            self.turns += tuple(Turn(r, self.ring, self.tick, low, 500, rng.randrange(600, 1000)) for r in REGIONS)
        for _ in range(rng.randrange(24)):
            arm, name = rng.choice((Arm.TREATED, Arm.CONTROL)), f"ep_{len(self.subjects) + len(found):04}"
            attributes = tuple(rng.sample(("os:a", "os:b", "role:c"), rng.randrange(3)))
            found.append(Subject(name, arm, self.ring, self.tick, rng.choice(REGIONS), rng.choice(CLASSES),
                                 (arm is Arm.CONTROL) * 500 + rng.randrange(500), self.now_ms, self.tick, attributes,
                                 last_heard_ms=self.now_ms, consents=rng.random() < 0.5,
                                 tells=rng.choice((0, 1, 7)), facing=rng.random() < 0.3))  # fmt: skip
        return found

    def _another(self, s: Subject) -> Subject:
        rng = self.rng
        changes: dict[str, Any] = {
            "heard": s.heard | rng.randrange(16), "unhealthy": s.unhealthy | rng.choice((0, 0, 1, 4)),
            "resources": s.resources | rng.choice((0, 0, 2)), "actions": s.actions | rng.choice((0, 0, 1)),
            "often": s.often | rng.choice((0, 0, 8)), "patches": s.patches | rng.choice((0, 0, 1)),
            "blocks": s.blocks | rng.choice((0, 0, 2)), "deletions": s.deletions | rng.choice((0, 0, 4)),
            "errors": s.errors | rng.choice((0, 0, 1)),
            "asleep": s.asleep | rng.choice((0, 0, 2)), "asleep_now": rng.random() < 0.1,
            "unhealthy_now": rng.random() < 0.1,
            "restarted_ms": s.restarted_ms or rng.choice((0, 0, self.now_ms)),
            "restart_refused": s.restart_refused or rng.choice(("", "", "twice a day at most")),
            "last_heard_ms": rng.choice((s.last_heard_ms, self.now_ms)),
        }  # fmt: skip
        if s.arm is Arm.CONTROL:
            changes["crossed_ms"] = s.crossed_ms or rng.choice((0, 0, self.now_ms))
            return replace(s, **changes)
        changes["progress"] = rng.choice(list(Progress))
        changes["explicit"] = s.explicit or rng.random() < 0.05
        changes["proven_ms"] = s.proven_ms or rng.choice((0, self.now_ms))
        changes["set_aside_ms"] = s.set_aside_ms or (self.now_ms if rng.random() < 0.05 else 0)
        return replace(s, **changes)

    def blueprint(self) -> Blueprint:
        gates = tuple(Gate(r, self.ring, self.tick, 1, 2, 3, 5, 0, self.now_ms + 1) for r in REGIONS)
        return Blueprint("ro_1", self.tick, self.tick - 1, Phase.ROLLING, self.ring, self.now_ms, gates,
                         tuple(Goal(r, 100) for r in REGIONS), (0,) * (self.ring + 1), turns=self.turns)  # fmt: skip

    def observed(self) -> Observed:
        us = {r: tuple(range(i, 1000, 7)) for i, r in enumerate(REGIONS)}
        ticks = tuple(TickState(r, t, 0, 1, t in self.closed) for r in REGIONS for t in range(1, self.tick + 1))
        return Observed(CHANGE, 400, tuple(self.subjects.values()), us, us, ticks, data_ms=self.now_ms,
                        resumed_ms=self.resumed_ms, attributes=("os:a", "os:b", "role:c"))  # fmt: skip


def plain(s: Summary) -> dict[str, Any]:
    """A summary in values that can be compared."""
    names = (
        "change",
        "parts",
        "controls",
        "ended",
        "lost",
        "given_up",
        "compared",
        "names",
        "ticks",
        "data_ms",
        "attributes",
    )
    found = {name: getattr(s, name) for name in names}
    found["table"] = {
        (row, ring): [round(b, 6) for b in bets] for row, x in s.table.items() for ring, bets in x.items()
    }
    found["spare"] = [[s.places.spare(r, ring).at(k) for k in range(150)] for r in REGIONS for ring in range(3)]
    return found | {"population": s.population, "by_region": s.treated_by_region()}


@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (4, 8, 12))])
def test_after_any_history_the_tally_equals_counting_anew(first: int) -> None:
    assert sum(map(compared_in, range(first, first + 4))), "some of these histories compare something"


def compared_in(seed: int) -> int:
    """Rows that were compared in one history, after each of whose evaluations both ways agree."""
    story, tally, rows = History(seed), Tally(POLICY), 0
    for _ in range(24):
        tally.update(story.step(), story.turns)
        if story.rng.random() < 0.5:
            continue  # several changes may come between two evaluations
        observed, blueprint = story.observed(), story.blueprint()
        kept = tally.summary(blueprint, observed, story.now_ms)
        anew = summarise(POLICY, blueprint, observed, story.now_ms)
        assert plain(kept) == plain(anew)
        next_kept, next_anew = (planner.decide(POLICY, blueprint, seen, story.now_ms)[0] for seen in (kept, anew))
        assert next_kept == next_anew
        rows += len(kept.table)
    assert len(tally) == len(story.subjects)
    return rows


def test_without_subjects_there_is_nothing_to_tell() -> None:
    story = History(1)
    kept = Tally(POLICY).summary(story.blueprint(), story.observed(), story.now_ms)
    assert plain(kept) == plain(summarise(POLICY, story.blueprint(), story.observed(), story.now_ms))
