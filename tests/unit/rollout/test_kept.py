"""Rows that are kept and told what changed come to what reading everything comes to, in random histories."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.rollout.test_tally import POLICY, REGIONS, plain

from brakeline.fleet.model import Presence, Readings
from brakeline.protocol.messages import LauncherReport, ReleaseRef
from brakeline.rollout import planner, view
from brakeline.rollout.kept import Kept
from brakeline.rollout.model import (
    CLASSES,
    Arm,
    Blueprint,
    Change,
    Gate,
    Goal,
    Phase,
    Pin,
    Progress,
    Report,
    Subject,
    TickState,
    Turn,
    Wish,
)
from brakeline.rollout.situation import Situation, assemble
from brakeline.rollout.store.arms import SubjectRow, Target
from brakeline.rollout.store.rollouts import RolloutRow

HOUR_MS = 3_600_000
REF = ReleaseRef("agent", "2.0.0", "agent/2.0.0/any/bundle.tar", "ab" * 32, 1000, 2)
RELEASE = Change((Pin("brakeline-agent", REF.release_id),), kind="release", title="agent 2.0.0", release=REF)
CODES = ("", "", "", "locked", "window", "nothing_to_do", "no_space")
SIZE = 60
SCARCE = Readings(1, 1 << 33, 1, 1 << 33, 99.0, 2, 1 << 30, 900, 0)


class Story:
    """Rows of one rollout, what its endpoints say, and what of both is new since somebody asked."""

    def __init__(self, seed: int) -> None:
        self.rng, self.now_ms, self.tick = random.Random(seed), 100 * HOUR_MS, 1
        rng = self.rng
        self.change = RELEASE if seed % 2 else Change((Pin("x", "1"),))
        self.targets = {
            f"ep_{i:04}": Target(f"ep_{i:04}", f"host-{i}", rng.choice(REGIONS), rng.choice(CLASSES), ("os:a",), i * 7)
            for i in range(SIZE)
        }
        self.rows: dict[tuple[str, Arm, int], SubjectRow] = {}
        self.presence: dict[str, Presence] = {}
        self.turns = tuple(Turn(r, 0, 1, SIZE * 3, SIZE * 3, SIZE * 7) for r in REGIONS)

    def step(self) -> tuple[list[Target], list[SubjectRow], list[str]]:
        """What was written since, and who was heard."""
        rng = self.rng
        self.now_ms += rng.choice((1000, 60_000, 15 * 60_000, HOUR_MS, 9 * HOUR_MS))
        heard = [i for i in self.targets if rng.random() < rng.choice((0.1, 0.6))]
        self.presence |= {i: self._heard(i) for i in heard}
        blocked = [self._blocked(t) for t in self.targets.values() if rng.random() < 0.05]
        self.targets |= {t.endpoint_id: t for t in blocked}
        rows = [self._written(row) for row in self.rows.values() if rng.random() < 0.1]
        rows += [self._joins(i) for i in sorted(self.targets) if rng.random() < 0.1 and not self._in_an_arm(i)]
        self.rows |= {(r.subject.endpoint_id, r.subject.arm, r.subject.tick): r for r in rows}
        return blocked, rows, heard

    def _heard(self, endpoint_id: str) -> Presence:
        rng, ref = self.rng, REF.release_id
        taken, left = LauncherReport(running=ref, confirmed=ref), LauncherReport(running="old", confirmed=ref)
        report = rng.choice((None, taken, left))
        return Presence(
            self.now_ms - rng.randrange(3) * 1000, f"boot {rng.randrange(3)}", rng.random() < 0.4, "0.1",
            rng.choice(((), (), ("cron.service",))), report, rng.choice((None, SCARCE)),
        )  # fmt: skip

    def _blocked(self, t: Target) -> Target:
        code = self.rng.choice(CODES)
        return replace(t, blocked_code=code, blocked_reason=f"because {self.rng.randrange(3)}" if code else "")

    def _in_an_arm(self, endpoint_id: str) -> bool:
        return any(key[0] == endpoint_id for key in self.rows)

    def _joins(self, endpoint_id: str) -> SubjectRow:
        rng, t = self.rng, self.targets[endpoint_id]
        arm = rng.choice((Arm.TREATED, Arm.CONTROL))
        progress = Progress.OFFERED if arm is Arm.TREATED else Progress.NONE
        subject = Subject(endpoint_id, arm, 0, self.tick, t.region, t.machine_class, t.u, self.now_ms, 2, t.attributes,
                          progress=progress, consents=rng.random() < 0.3)  # fmt: skip
        return SubjectRow(subject, frozenset(), 0)

    def _written(self, row: SubjectRow) -> SubjectRow:
        rng, s = self.rng, row.subject
        if s.arm is Arm.CONTROL:
            return replace(row, subject=replace(s, crossed_ms=s.crossed_ms or rng.choice((0, self.now_ms))))
        ended = replace(s, progress=rng.choice(list(Progress)), explicit=s.explicit or rng.random() < 0.1)
        return SubjectRow(ended, row.baseline_failed, rng.choice((0, self.now_ms - 5000)), row.readings)

    def row(self) -> RolloutRow:
        gates = tuple(Gate(r, 0, self.tick, 1, 2, 3, 5, 0, self.now_ms + 1) for r in REGIONS)
        blueprint = Blueprint("ro_1", 2, 1, Phase.ROLLING, 0, self.now_ms, gates, tuple(Goal(r, 100) for r in REGIONS),
                              (0,), turns=self.turns)  # fmt: skip
        return RolloutRow("ro_1", "x", self.change, POLICY, bytes(32), ("os:a",), 0, "olga", Wish.RUN, "olga", "", 0, 0,
                          blueprint, Report(()))  # fmt: skip

    def anew(self) -> Situation:
        stored = sorted(self.rows.values(), key=lambda r: (r.subject.ready_ms, r.subject.endpoint_id))
        return assemble(self.row(), tuple(self.targets.values()), stored, self.ticks, self.presence, frozenset(), None,
                        self.now_ms)  # fmt: skip

    @property
    def ticks(self) -> tuple[TickState, ...]:
        return tuple(TickState(r, 1, 0, 1, True) for r in REGIONS)

    def save(self, changed: tuple[Subject, ...]) -> list[SubjectRow]:
        """Evidence as the executor stores it; the rows are written by that."""
        rows = [replace(self.rows[(s.endpoint_id, s.arm, s.tick)], subject=_stored(s)) for s in changed]
        self.rows |= {(r.subject.endpoint_id, r.subject.arm, r.subject.tick): r for r in rows}
        return rows


def _stored(s: Subject) -> Subject:
    """Without what only presence says."""
    plain = Subject(s.endpoint_id, s.arm, s.ring, s.tick, s.region, s.machine_class, s.u, s.ready_ms, s.generation)
    return replace(s, last_heard_ms=plain.last_heard_ms, asleep_now=False, unhealthy_now=False, troubles=())


def told(x: Situation) -> dict[str, Any]:
    """A situation in values that can be compared."""
    o = x.observed
    return plain(x.summary) | {
        "subjects": sorted(x.subjects, key=lambda s: (s.ready_ms, s.endpoint_id)), "targets": x.targets,
        "changed": sorted(x.changed, key=lambda s: s.endpoint_id), "taken": sorted(x.taken),
        "places": (dict(o.untreated), dict(o.fresh), dict(o.eligible), o.blocked), "data_ms": o.data_ms,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_after_any_history_it_equals_reading_everything(seed: int) -> None:
    story = Story(seed)
    kept, asleep, blocked = Kept(story.row(), tuple(story.targets.values()), (), 1), 0, 0
    for _ in range(24):
        targets, rows, heard = story.step()
        kept.take(targets, rows)
        kept.hear([*heard, "ep_of_nobody"])
        kept.look(story.row(), story.presence, story.now_ms)
        mine, anew = kept.situation(story.row(), story.ticks, frozenset(), None, story.now_ms), story.anew()
        assert told(mine) == told(anew)
        assert kept.sample(story.now_ms) == view.counts(POLICY, anew.subjects, story.now_ms)
        assert planner.decide(POLICY, story.row().blueprint, mine.summary, story.now_ms) == planner.decide(
            POLICY, story.row().blueprint, anew.summary, story.now_ms)  # fmt: skip
        assert kept.differences(story.targets.values(), story.rows.values(), story.presence, story.now_ms) == set()
        kept.take((), story.save(anew.changed))  # as each step does, or it is forgotten
        asleep += sum(s.asleep > 0 for s in anew.subjects)
        blocked += len(anew.observed.blocked)
    assert asleep, "somebody slept through a checkpoint"
    assert blocked, "somebody could not take part"


def test_whoever_is_stored_otherwise_than_kept_is_named() -> None:
    story = Story(3)
    while len(story.rows) < 8:
        story.step()
    kept = Kept(story.row(), tuple(story.targets.values()), tuple(story.rows.values()), 1)
    kept.look(story.row(), story.presence, story.now_ms)
    first, second, third = list(story.rows)[:3]
    target = next(i for i in story.targets if i not in {key[0] for key in story.rows})
    rows = dict(story.rows)
    rows[first] = replace(rows[first], ended_ms=77)
    del rows[second]
    targets = story.targets | {target: replace(story.targets[target], blocked_code="locked", blocked_reason="by apt")}
    said = story.presence | {third[0]: Presence(story.now_ms + 1, "another", failed_services=("sshd.service",))}
    assert kept.differences(targets.values(), rows.values(), said, story.now_ms) == {
        first[0],
        second[0],
        third[0],
        target,
    }
