"""Endpoints that answer check-ins and take nothing: who counts, what it says, and what it never does."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from brakeline.rollout import brake, evalue, untaken
from brakeline.rollout.alpha import questions
from brakeline.rollout.arms import SortedDraws
from brakeline.rollout.model import Arm, Change, Halt, Hold, Pin, Policy, Progress, Promote, Ring, State, Subject
from brakeline.rollout.summary import Names, Part, Summary
from brakeline.rollout.untaken import AGAIN, NO_WORD

POLICY = Policy((Ring("first", 3600, count=200), Ring("all", 3600, share=1.0)))
HOUR_MS = 3_600_000
LATER_MS = HOUR_MS
ASKED = Subject("ep_1", Arm.TREATED, 0, 1, "eu", "server", 7, 0, 1, heard=1, progress=Progress.OFFERED)
BAR = questions(POLICY, ())[(untaken.UNTAKEN, -1, "all")].bar


def test_who_is_heard_after_its_offer_is_over_and_never_said_a_word_takes_nothing() -> None:
    assert untaken.takes_nothing(POLICY, ASKED, LATER_MS)
    assert untaken.takes_nothing(POLICY, replace(ASKED, progress=Progress.EXPIRED, detail=NO_WORD), LATER_MS)


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, heard=0),  # silent: another signal's business
        replace(ASKED, set_aside_ms=1),
        replace(ASKED, progress=Progress.REFUSED, detail="busy"),
        replace(ASKED, progress=Progress.EXPIRED, detail="expired: in its own words"),
        replace(ASKED, progress=Progress.INSTALLED),
        replace(ASKED, progress=Progress.FAILED, explicit=True),
        replace(ASKED, progress=Progress.STARTED),  # it works on it
        replace(ASKED, detail=AGAIN),  # it answered the first
        replace(ASKED, progress=Progress.EXPIRED, detail=AGAIN),
    ],
    ids=str,
)
def test_whoever_answered_or_is_not_here_is_not_counted(other: Subject) -> None:
    assert not untaken.takes_nothing(POLICY, other, LATER_MS)


def test_half_an_hour_is_waited_for_a_start_and_the_next_checkpoint_for_an_end() -> None:
    assert not untaken.takes_nothing(POLICY, ASKED, POLICY.checkpoints_s[0] * 1000 - 1)
    begun = replace(ASKED, progress=Progress.STARTED, heard=3)
    assert not untaken.takes_nothing(POLICY, begun, POLICY.checkpoints_s[1] * 1000 - 1)
    assert untaken.takes_nothing(POLICY, begun, POLICY.checkpoints_s[1] * 1000)


def test_a_rehearsal_of_seconds_is_never_asked_before_an_offer_is_over() -> None:
    assert untaken.looked_at(replace(POLICY, checkpoints_s=(8, 16, 32))) is None
    assert not untaken.asked(replace(POLICY, checkpoints_s=(8, 16, 32)), ASKED, LATER_MS)
    assert untaken.looked_at(replace(POLICY, checkpoints_s=(60, 900, 1200))) == 1


def test_an_early_look_asks_for_nothing_but_silence() -> None:
    assert untaken.looked_at(replace(POLICY, checkpoints_s=(900, 1800, 8100))) == 1


def test_a_silent_first_offer_stays_so_and_one_that_was_answered_never_counts() -> None:
    silent = replace(ASKED, progress=Progress.EXPIRED, detail=NO_WORD)
    assert untaken.offered_again(silent) == NO_WORD
    assert untaken.takes_nothing(POLICY, replace(silent, progress=Progress.OFFERED), LATER_MS)
    assert untaken.offered_again(replace(ASKED, progress=Progress.REFUSED, detail="busy")) == AGAIN


@pytest.mark.parametrize(
    ("asked", "idle", "state"),
    [
        (500, 0, None), (500, 10, State.OK), (500, 17, State.OK), (60, 7, State.HOLD), (500, 100, State.HALT),
        (5, 5, State.HALT),
    ],
)  # fmt: skip
def test_a_large_ring_tells_what_is_usual_holds_in_doubt_and_halts_on_evidence(
    asked: int, idle: int, state: State | None
) -> None:
    found = untaken.line({0: (asked, idle)}, frozenset(), (), BAR)
    assert (found.state if found else None) is state


def test_in_a_small_ring_one_holds_and_no_number_halts() -> None:
    for idle in (1, 20, 40):
        found = untaken.line({0: (40, idle)}, frozenset({0}), ("ep_1",), BAR)
        assert found is not None
        assert found.state is State.HOLD
        assert "ep_1" in found.text
        assert "resume" in found.text


def test_what_is_usual_halts_and_holds_no_more_often_than_is_claimed() -> None:
    """Exactly: the chance that a ring of so many ever shows so much, one endpoint after another."""
    for bar in (untaken.DOUBT, BAR):
        reached, alive = 0.0, {0: 1.0}
        for n in range(1, 401):
            after: dict[int, float] = {}
            for x, p in alive.items():
                for more, chance in ((0, 1 - untaken.USUAL), (1, untaken.USUAL)):
                    after[x + more] = after.get(x + more, 0.0) + p * chance
            loud = {x for x in after if evalue.one_sample(n, x, untaken.USUAL) >= bar}
            reached += sum(after.pop(x) for x in loud)
            alive = after
        assert 0 < reached <= math.exp(-bar)


def _seen(change: Change, untaken_: int) -> Summary:
    part = Part(0, "eu", "server", 500, known=500, proven=500, passed=500, passed_known=500, passed_proven=500,
                seen=500, asked=500, untaken=untaken_)  # fmt: skip
    return Summary(change, _Nobody(), (part,), names=Names(untaken=("ep_1",)), data_ms=LATER_MS)


class _Nobody:
    def regions(self) -> list[str]:
        return ["eu"]

    def eligible(self, region: str) -> int:
        return 0

    def untreated(self, region: str) -> SortedDraws:
        return SortedDraws(())

    def fresh(self, region: str) -> SortedDraws:
        return SortedDraws(())

    def spare(self, region: str, ring: int) -> SortedDraws:
        return SortedDraws(())


@pytest.mark.parametrize(("idle", "verdict"), [(0, Promote), (10, Promote), (100, Halt)])
def test_the_brake_asks_it(idle: int, verdict: type[Halt | Hold | Promote]) -> None:
    judged = brake.judge(POLICY, _seen(Change((Pin("x", "1"),)), idle), LATER_MS)
    assert isinstance(judged.verdict, verdict)
    assert [x.gate for x in judged.lines if x.gate == untaken.UNTAKEN] == ([untaken.UNTAKEN] if idle else [])


def test_a_restart_that_people_put_off_is_not_judged_by_it() -> None:
    judged = brake.judge(POLICY, _seen(Change((Pin("restart", "1"),), kind="restart"), 400), LATER_MS)
    assert isinstance(judged.verdict, Promote)


def test_nothing_but_it_holds_so_the_offer_is_made_again() -> None:
    seen = replace(_seen(Change((Pin("x", "1"),)), 0))
    seen = replace(seen, parts=(replace(seen.parts[0], treated=60, known=60, proven=60, passed=60, passed_known=60,
                                        passed_proven=60, seen=60, asked=60, untaken=7),))  # fmt: skip
    verdict = brake.judge(POLICY, seen, LATER_MS).verdict
    assert isinstance(verdict, Hold)
    assert verdict.unproven
