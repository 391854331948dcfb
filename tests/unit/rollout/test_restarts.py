"""Which canaries are restarted, when, and what a ring says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.rollout import restarts
from brakeline.rollout.arms import SortedDraws
from brakeline.rollout.model import Arm, Change, Pin, Policy, Progress, Restarts, State, Subject
from brakeline.rollout.presets import policy_for
from brakeline.rollout.summary import Part, Summary

CHANGE = Change((Pin("example", "2.0"),))
READY_MS = 1_000_000_000
LARGE = policy_for(8_500_000)
FIRST = frozenset({0})


class Left:
    """So many endpoints in one region who may still be treated."""

    def __init__(self, count: int) -> None:
        self.count, self.draws = count, SortedDraws([])

    def regions(self) -> list[str]:
        return ["eu"]

    def eligible(self, region: str) -> int:
        return self.count

    def untreated(self, region: str) -> SortedDraws:
        return self.draws

    def fresh(self, region: str) -> SortedDraws:
        return self.draws

    def spare(self, region: str, ring: int) -> SortedDraws:
        return self.draws


def subject(arm: Arm = Arm.TREATED, **fields: object) -> Subject:
    progress = Progress.INSTALLED if arm is Arm.TREATED else Progress.NONE
    s = Subject("ep_1", arm, 0, 1, "eu", "server", 1, READY_MS, 1, progress=progress, consents=True)
    return replace(s, **fields)  # type: ignore[arg-type]


def due(s: Subject, age_s: int, policy: Policy = LARGE) -> bool:
    return restarts.due(policy, FIRST, s, READY_MS + age_s * 1000)


def test_the_first_three_rings_restart_and_the_last_one_never_does() -> None:
    assert restarts.rings_that_restart(LARGE, CHANGE, 8_500_000) == {0, 1, 2}
    tiny = policy_for(6)
    assert restarts.rings_that_restart(tiny, CHANGE, 6) == {0, 1}
    alone = policy_for(1)
    assert restarts.rings_that_restart(alone, CHANGE, 1) == frozenset()
    wide = replace(LARGE, restarts=Restarts(rings=9))
    assert restarts.rings_that_restart(wide, CHANGE, 8_500_000) == {0, 1, 2}
    assert restarts.rings_that_restart(policy_for(6, "rehearsal"), CHANGE, 6) == frozenset()


@pytest.mark.parametrize(
    ("consent", "allows", "tags", "may"),
    [
        ("tagged", True, ("restart-yes",), True),
        ("tagged", True, (), False),
        ("tagged", False, ("restart-yes",), False),
        ("tagged", True, ("restart-yes", "restart-no"), False),
        ("all", True, (), True),
        ("all", False, (), False),
        ("all", True, ("restart-no",), False),
    ],
)
def test_people_and_the_endpoint_itself_must_both_allow_it(
    consent: str, allows: bool, tags: tuple[str, ...], may: bool
) -> None:
    policy = replace(LARGE, restarts=Restarts(consent=consent))
    assert restarts.consents(policy, allows, tags) is may


@pytest.mark.parametrize("age_s", [0, 299, 300, 900, 901, 1800, 1801, 7200, 8000, 8101, 21_599, 21_600, 90_000])
def test_both_arms_are_restarted_by_the_same_clock(age_s: int) -> None:
    assert due(subject(), age_s) is due(subject(Arm.CONTROL), age_s)


def test_no_restart_begins_at_once_before_a_checkpoint_or_late() -> None:
    times = [t for t in range(0, 30_000, 60) if due(subject(), t)]
    assert times[0] == LARGE.checkpoints_s[0] + 60  # the early look comes first
    assert due(subject(), restarts.SETTLE_S, replace(LARGE, checkpoints_s=LARGE.checkpoints_s[1:]))
    assert times[-1] < LARGE.restarts.within_s
    for c in LARGE.checkpoints_s:
        assert not any(c - restarts.QUIET_S < t <= c for t in times)


@pytest.mark.parametrize(
    "never",
    [
        {"consents": False}, {"restarted_ms": 1}, {"restart_refused": "one a day"}, {"set_aside_ms": 1}, {"ring": 1},
        {"progress": Progress.STARTED}, {"progress": Progress.FAILED}, {"explicit": True}, {"crossed_ms": 1},
    ],
)  # fmt: skip
def test_nobody_else_is_restarted(never: dict[str, object]) -> None:
    assert due(subject(), 660)
    assert not due(subject(**never), 660)


def seen(*parts: Part) -> Summary:
    return Summary(CHANGE, Left(8_400_000), parts)


def part(counted: int, consenting: int, restarted: int, excused: int = 0, kind: str = "server") -> Part:
    return Part(0, "eu", kind, counted, consenting=consenting, restarted=restarted, excused=excused)


def test_a_ring_waits_until_a_quorum_was_heard_after_its_restart() -> None:
    (waits,) = restarts.gate(LARGE, 0, "100", seen(part(100, 50, 39)))
    assert waits.state is State.WAIT
    assert waits.text == "ring 100: 39 of 50 that consent were restarted and heard again"
    (passes,) = restarts.gate(LARGE, 0, "100", seen(part(50, 25, 20), part(50, 25, 20, kind="desktop")))
    assert passes.state is State.OK
    assert restarts.gate(LARGE, 3, "100,000", seen(part(100, 50, 0))) == []


def test_who_could_not_be_restarted_is_not_waited_for_but_told() -> None:
    (line,) = restarts.gate(LARGE, 0, "100", seen(part(100, 50, 40, excused=10)))
    assert line.state is State.OK
    assert "10 could not be restarted" in line.text


@pytest.mark.parametrize("none", [part(100, 0, 0), part(100, 30, 0, excused=30)])
def test_a_ring_in_which_nobody_was_restarted_says_what_it_cannot_see(none: Part) -> None:
    (line,) = restarts.gate(LARGE, 0, "100", seen(none))
    assert line.state is State.OK
    assert line.data["warning"] is True
    assert "a fault that shows at a restart is not seen here" in line.text
    careful = replace(LARGE, restarts=Restarts(without="hold"))
    assert restarts.gate(careful, 0, "100", seen(none))[0].state is State.HOLD


def test_only_who_is_there_when_the_order_lapses_is_excused() -> None:
    lapsed_ms = READY_MS + LARGE.restarts.within_s * 1000
    assert restarts.excused(LARGE, subject(last_heard_ms=lapsed_ms + 1))
    assert restarts.excused(LARGE, subject(restart_refused="twice a day at most"))
    assert not restarts.excused(LARGE, subject(last_heard_ms=READY_MS + 60_000))
    assert not restarts.excused(LARGE, subject(last_heard_ms=lapsed_ms + 1, restarted_ms=5))
    assert not restarts.excused(LARGE, subject(consents=False, last_heard_ms=lapsed_ms + 1))
