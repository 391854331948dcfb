"""Until when the hold-out waits, that it is offered then, and what is said of it at each moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.core.days import DAY_MS, day_of
from brakeline.rollout import arms, lint, planner
from brakeline.rollout.model import (
    Arm,
    Blocked,
    Blueprint,
    Change,
    Goal,
    Observed,
    Phase,
    Pin,
    Policy,
    Progress,
    Report,
    Ring,
    State,
    Subject,
    Wish,
)
from brakeline.rollout.summary import summarise
from brakeline.rollout.tally import Tally

HOUR_MS = 3_600_000
POLICY = Policy((Ring("first", 26 * 3600, count=50), Ring("all", 26 * 3600, share=1.0)),
                checkpoints_s=(1_800, 8_100, 22_500, 93_600, 259_200))  # fmt: skip
CHANGE = Change((Pin("x", "2"),))
START_MS = 20_000 * DAY_MS
DUE_MS = START_MS + 2 * DAY_MS
LAST = Blueprint("ro_1", 5, 4, Phase.ROLLING, 1, 0, (), (Goal("eu", 198),), (START_MS, START_MS))
SIZE, HELD = 200, 2


def observed(now_ms: int, due_ms: int = DUE_MS, **more: object) -> Observed:
    """198 of 200 have taken it at `START_MS` and are proven; two, the hold-out, are controls."""
    treated = [
        Subject(f"ep_{i:03}", Arm.TREATED, int(i >= 50), 1 + int(i >= 50), "eu", "server", i, START_MS, 1,
                heard=(1 << 5) - 1, last_heard_ms=now_ms, progress=Progress.INSTALLED, proven_ms=START_MS + 1)
        for i in range(SIZE - HELD)
    ]  # fmt: skip
    controls = [
        Subject(f"ep_{i:03}", Arm.CONTROL, 1, 2, "eu", "server", i, START_MS, 1, heard=(1 << 5) - 1,
                last_heard_ms=now_ms)
        for i in range(SIZE - HELD, SIZE)
    ]  # fmt: skip
    us = {"eu": (SIZE - 2, SIZE - 1)}
    seen = Observed(replace(CHANGE, due_ms=due_ms), SIZE, (*treated, *controls), us, {"eu": ()}, data_ms=now_ms)
    return replace(seen, **more)  # type: ignore[arg-type]  # names are fields of Observed


def said(report: Report) -> str:
    return next(x.text for x in report.lines if x.gate == "hold-out")


@pytest.mark.parametrize(
    ("hours", "due_ms", "opens"),
    [
        (47, DUE_MS, False), (48, DUE_MS, True), (71, 0, False), (72, 0, True), (72, START_MS + 9 * DAY_MS, True),
        (25, START_MS - DAY_MS, False), (26, START_MS - DAY_MS, True),
    ],
)  # fmt: skip
def test_it_ends_at_the_last_checkpoint_or_when_due_and_never_before_the_ring_has_baked(
    hours: int, due_ms: int, opens: bool
) -> None:
    now_ms = START_MS + hours * HOUR_MS
    seen = observed(now_ms, due_ms)
    blueprint, report = planner.plan(POLICY, LAST, seen, now_ms)
    assert (blueprint.ring == 2) is opens
    assert lint.check(POLICY, LAST, blueprint, seen) == ()
    if opens:
        assert said(report).startswith("no control")
    elif due_ms == DUE_MS:
        assert f"until {day_of(DUE_MS)}" in said(report)
    elif due_ms:
        assert "no longer than the ring bakes by itself" in said(report)


@pytest.mark.parametrize("wish", [Wish.PAUSE, Wish.BRAKE])
def test_a_due_date_opens_nothing_against_a_persons_word(wish: Wish) -> None:
    now_ms = DUE_MS + HOUR_MS
    blueprint, report = planner.plan(POLICY, LAST, observed(now_ms, wish=wish, wish_by="ada"), now_ms)
    assert (blueprint.ring, blueprint.gates) == (1, ())
    if wish is Wish.PAUSE:
        assert "never overrides the brake" in said(report)


def test_a_due_date_opens_nothing_without_data_or_without_proof() -> None:
    now_ms = DUE_MS + HOUR_MS
    dark = observed(now_ms, data_ms=now_ms - DAY_MS)
    assert planner.plan(POLICY, LAST, dark, now_ms)[0].phase is Phase.HOLDING
    unproven = observed(now_ms)
    some = tuple(replace(s, proven_ms=0) if i % 2 else s for i, s in enumerate(unproven.subjects))
    blueprint, report = planner.plan(POLICY, LAST, replace(unproven, subjects=some), now_ms)
    assert (blueprint.phase, blueprint.ring) == (Phase.HOLDING, 1)
    assert "never overrides the brake" in said(report)


def test_nine_of_ten_have_to_bake_for_the_rings_own_time_and_both_ways_of_counting_agree() -> None:
    now_ms = DUE_MS + HOUR_MS
    seen = observed(now_ms)
    late = [replace(s, ready_ms=now_ms - HOUR_MS) if 50 <= int(s.endpoint_id[3:]) < 60 else s for s in seen.subjects]
    seen = replace(seen, subjects=tuple(late))
    assert planner.plan(POLICY, LAST, seen, now_ms)[0].ring == 2, "ten of 148 came late"
    tally = Tally(POLICY)
    tally.update(seen.subjects, ())
    assert tally.summary(LAST, seen, now_ms).parts == summarise(POLICY, LAST, seen, now_ms).parts
    before = now_ms - 2 * HOUR_MS
    baked = [sum(p.baked for p in summarise(POLICY, LAST, seen, t).parts) for t in (before, now_ms)]
    assert baked[0] == 0
    assert baked[1] == SIZE - HELD - 10


def test_only_the_ring_before_the_hold_out_is_shortened() -> None:
    rings = arms.rings_for(POLICY, CHANGE, SIZE)
    change = replace(CHANGE, due_ms=1)
    assert [r.bake_s for r, _ in rings] == [93_600, 259_200, 0]
    assert [arms.bake_s(POLICY, change, SIZE, i, 2) for i in (-1, 0, 1, 2, 3)] == [93_600, 93_600, 93_600, 0, 0]
    assert [arms.bake_s(POLICY, CHANGE, SIZE, i, 2) for i in (0, 1, 2)] == [93_600, 259_200, 0]
    assert arms.bake_s(POLICY, change, 0, 0, 2) == 0
    led = replace(POLICY, led=True, rings=(Ring("a", 60, count=50), Ring("b", 259_200, count=198)))
    assert arms.bake_s(led, change, SIZE, 1, 2) == 259_200, "its conductor says how long"


def test_whoever_was_held_out_and_is_here_has_its_offer_before_the_rollout_is_completed() -> None:
    """Two of 200 are too few for "nine of ten are enrolled", so their ring was over before anybody could ask."""
    now_ms = START_MS + 73 * HOUR_MS
    current = replace(LAST, ring=2, goals=(Goal("eu", 200),), ring_opened_ms=(START_MS, START_MS, now_ms))
    blueprint, report = planner.plan(POLICY, current, observed(now_ms), now_ms)
    assert blueprint.phase is Phase.ROLLING
    assert blueprint.gates[0].treat_below > SIZE - 1
    line = next(x for x in report.lines if x.gate == "enrolled")
    assert line.state is State.WAIT
    assert "of those held out 2 are here and have none yet" in line.text
    away = observed(now_ms, untreated={"eu": ()}, eligible={"eu": 2})
    done, report = planner.plan(POLICY, current, away, now_ms)
    assert done.phase is Phase.COMPLETED, "who is away holds nothing up"
    later = planner.plan(POLICY, done, away, now_ms)[1]
    assert said(later).startswith("no control")


def test_nobody_holds_up_the_end_who_is_watched_elsewhere_or_for_more_than_a_night() -> None:
    now_ms = START_MS + 73 * HOUR_MS
    current = replace(LAST, ring=2, goals=(Goal("eu", 200),), ring_opened_ms=(START_MS, START_MS, now_ms))
    busy = tuple(Blocked(f"ep_{i}", "busy", "is watched in rollout ro_2") for i in (198, 199))
    assert planner.plan(POLICY, current, observed(now_ms, blocked=busy), now_ms)[0].phase is Phase.COMPLETED
    one = observed(now_ms, blocked=busy[:1])
    assert planner.plan(POLICY, current, one, now_ms)[0].phase is Phase.ROLLING
    for hours, phase in ((26, Phase.ROLLING), (27, Phase.COMPLETED)):
        later_ms = now_ms + hours * HOUR_MS
        assert planner.plan(POLICY, current, observed(later_ms), later_ms)[0].phase is phase


def test_a_cell_that_is_led_offers_the_hold_out_before_it_says_that_it_has_passed() -> None:
    now_ms = START_MS + 73 * HOUR_MS
    granted = (Ring("first", 60, count=50), Ring("all", 60, count=198), Ring(arms.HOLD_OUT, 0, count=200))
    led = replace(POLICY, led=True, rings=granted, guard=replace(POLICY.guard, holdout=0.0))
    current = replace(LAST, ring=2, goals=(Goal("eu", 200),), ring_opened_ms=(START_MS, START_MS, now_ms))
    seen = summarise(led, current, observed(now_ms), now_ms)
    states = [x.state for x in planner.passed(led, current, seen, granted[2], now_ms)]
    assert states == [State.WAIT, *[State.OK] * (len(states) - 1)]
    before = replace(current, ring=1, goals=(Goal("eu", 198),))
    assert planner.passed(led, before, seen, granted[1], now_ms)[0].state is State.OK
