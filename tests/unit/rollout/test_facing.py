"""Who faces the internet is never held out: places in the draw, counts, and what the planner makes of them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from brakeline.core.draw import U_END
from brakeline.exposure import priority
from brakeline.rollout import arms, evidence, facing, planner
from brakeline.rollout.facing import ATTRIBUTE, TOP, Drawn
from brakeline.rollout.model import (
    INTERNET_TAG,
    Arm,
    Blueprint,
    Change,
    Facing,
    Goal,
    Observed,
    Phase,
    Pin,
    Policy,
    Ring,
    State,
    Subject,
)
from brakeline.rollout.summary import summarise

POLICY = Policy((Ring("half", 60, share=0.5), Ring("all", 60, share=1.0)))
CHANGE = Change((Pin("x", "2"),))


def drawn(size: int, share: float, seed: int = 1) -> list[Drawn]:
    rng = random.Random(seed)
    return [
        Drawn(f"ep_{i:04}", rng.choice(("eu", "us")), rng.randrange(U_END), rng.random() < share) for i in range(size)
    ]


def arranged(some: list[Drawn], policy: Policy = POLICY, change: Change = CHANGE) -> tuple[Change, list[Drawn]]:
    change = replace(change, facing=facing.counted(policy, change, some))
    places = facing.placed(policy, change, some)
    return change, [d._replace(u=places[d.endpoint_id]) for d in some]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.02, 0.3, 0.85])
def test_the_highest_draws_are_of_others_in_each_region_and_order_is_kept_within_each_kind(
    seed: int, share: float
) -> None:
    before = drawn(1000, share, seed)
    change, after = arranged(before)
    held = arms.held_out(POLICY, change, 1000)
    top = [d for d in after if d.u >= TOP]
    assert len(top) == held == (1000 - sum(d.faces for d in before)) // 100
    assert not any(d.faces for d in top)
    counts = Counter(d.region for d in top)
    assert {r: counts[r] for r in ("eu", "us")} == arms.allot(held, arms.holdable(change, facing.sizes(before)))
    for region in ("eu", "us"):
        for kind in (True, False):
            old, new = ([d for d in ds if (d.region, d.faces) == (region, kind)] for ds in (before, after))
            assert [d.endpoint_id for d in sorted(old, key=lambda d: d.u)] == [
                d.endpoint_id for d in sorted(new, key=lambda d: d.u)
            ]
        mine = sorted((d for d in after if d.region == region), key=lambda d: -d.u)
        first = next(i for i, d in enumerate(mine) if d.faces)
        others = sum(not d.faces for d in mine)
        assert first >= min(2 * sum(d.u >= TOP for d in mine) + 1, others), "as many again wait before any of them"


def test_where_nobody_faces_the_internet_or_nobody_is_held_out_the_draw_stands() -> None:
    plain, some = drawn(1000, 0.0), drawn(1000, 0.3)
    assert arranged(plain) == (CHANGE, plain)
    for change in (replace(CHANGE, exploited=True), replace(CHANGE, kind="release"), replace(CHANGE, kind="rollback")):
        assert arranged(some, change=change) == (change, some)
    assert arranged(some[:60]) == (CHANGE, some[:60]), "of sixty nobody is held out"


def test_of_a_fleet_that_faces_the_internet_nobody_is_held_out() -> None:
    change, after = arranged(drawn(1000, 1.0))
    assert arms.held_out(POLICY, change, 1000) == 0
    assert [upto for _, upto in arms.rings_for(POLICY, change, 1000)] == [500, 1000]
    assert max(d.u for d in after) < TOP


def test_what_was_drafted_before_has_no_counts_and_is_as_it_was() -> None:
    assert CHANGE.facing == ()
    assert arms.held_out(POLICY, CHANGE, 1000) == 10
    assert arms.holdable(CHANGE, {"eu": 7}) == {"eu": 7}


# --- the planner ------------------------------------------------------------------------------------------------------


def observed(change: Change, here: list[Drawn], treated: list[Drawn], eligible: int) -> Observed:
    subjects = tuple(
        Subject(d.endpoint_id, Arm.TREATED, 0, 1, "eu", "server", d.u, 0, 1, proven_ms=1, last_heard_ms=99)
        for d in treated
    )  # fmt: skip
    us = tuple(sorted(d.u for d in here))
    return Observed(change, 1000, subjects, {"eu": us}, {"eu": us}, data_ms=100, eligible={"eu": eligible})


def last_ring(change: Change) -> Blueprint:
    return Blueprint("ro_1", 5, 4, Phase.ROLLING, 1, 0, (), (Goal("eu", 1000),), (0, 50))


def in_one_region(share: float) -> tuple[Change, list[Drawn]]:
    return arranged([d._replace(region="eu") for d in drawn(1000, share)])


def test_in_the_last_ring_the_hold_out_takes_no_place_of_those_who_are_away() -> None:
    change, after = in_one_region(0.2)
    ranked = sorted(after, key=lambda d: d.u)
    treated, rest = ranked[:500], ranked[500:]
    here = [d for d in rest if not d.faces]
    seen = observed(change, here, treated, len(rest))
    blueprint, report = planner.plan(POLICY, last_ring(change), seen, 100)
    (gate,) = blueprint.gates
    assert gate.treat_below <= TOP
    assert gate.control_from < gate.control_until, "the hold-out is what it is compared with"
    assert sum(d.u < gate.treat_below for d in here) == len(here) - 8
    line = next(x for x in report.lines if x.gate == "hold-out")
    assert line.state is State.OK
    assert (line.data["never"], line.data["held"]) == (change.never_held, 8)
    assert INTERNET_TAG in line.text


def test_when_only_the_hold_out_is_here_nothing_opens_and_nothing_moves() -> None:
    change, after = in_one_region(0.2)
    ranked = sorted(after, key=lambda d: d.u)
    top, others = [d for d in after if d.u >= TOP], [d for d in ranked if d.u < TOP]
    seen = observed(change, top, others[:700], 300)
    current = last_ring(change)
    assert planner.plan(POLICY, current, seen, 100)[0] == current
    late = observed(change, [*top, others[-1]], others[:700], 300)
    (gate,) = planner.plan(POLICY, current, late, 100)[0].gates
    assert others[-1].u < gate.treat_below <= TOP, "who comes late has its place still"


def test_the_last_ring_is_for_everybody_else_and_the_hold_out_after_it_for_all() -> None:
    change, after = in_one_region(0.2)
    ranked = sorted(after, key=lambda d: d.u)
    rings = arms.rings_for(POLICY, change, 1000)
    assert [(r.name, n) for r, n in rings] == [("half", 500), ("all", 992), ("hold-out", 1000)]
    top = [d for d in after if d.u >= TOP]
    done = observed(change, top, [d for d in ranked if d.u < TOP], 8)
    strict = replace(POLICY, enrolled=1.0, checkpoints_s=(0,))
    lines = planner.passed(strict, last_ring(change), summarise(strict, last_ring(change), done, 100),
                           Ring("all", 0), 100)  # fmt: skip
    assert lines[0].state is State.OK, "nobody waits for the hold-out to be enrolled"
    opened = replace(last_ring(change), ring=2, ring_opened_ms=(0, 1, 2))
    (gate,) = planner.plan(POLICY, opened, done, 100)[0].gates
    assert all(d.u < gate.treat_below for d in top)


def test_a_cell_that_is_led_keeps_them_last_until_everybody_is_granted() -> None:
    change, after = in_one_region(0.2)
    top = [d for d in after if d.u >= TOP]
    others = [d for d in after if d.u < TOP]
    for granted, opens in ((992, False), (1000, True)):
        led = replace(POLICY, led=True, rings=(Ring("a", 60, count=500), Ring("b", 60, count=granted)),
                      guard=replace(POLICY.guard, holdout=0.0))  # fmt: skip
        current = replace(last_ring(change), goals=(Goal("eu", granted),))
        blueprint, _ = planner.plan(led, current, observed(change, top, others[:991], 9), 100)
        assert bool(blueprint.gates) is opens


# --- compared with their like -----------------------------------------------------------------------------------------


def test_a_block_is_of_one_kind() -> None:
    policy = Policy((Ring("all", 60, share=1.0),), checkpoints_s=(60,))
    subjects = [
        Subject(f"ep_{i}", arm, 0, 1, "eu", "server", i, 0, 1, (ATTRIBUTE,) if kind else (), heard=int(not kind),
                facing=kind)
        for i, (arm, kind) in enumerate([(Arm.TREATED, True), (Arm.TREATED, False), (Arm.CONTROL, False)])
    ]  # fmt: skip
    table = evidence.tabulate(policy, subjects, (), frozenset(), 0, 60_000)
    assert [(c.n_t, c.n_c, c.x_t) for c in table["silent", 0, "all"][0]] == [(1, 1, 0)]
    mixed = evidence.tabulate(policy, [replace(s, facing=False) for s in subjects], (), frozenset(), 0, 60_000)
    assert [(c.n_t, c.n_c, c.x_t) for c in mixed["silent", 0, "all"][0]] == [(2, 1, 1)]


def test_counts_are_by_region() -> None:
    assert facing.counted(POLICY, CHANGE, drawn(1000, 0.3)) == tuple(
        Facing(r, sum(d.faces for d in drawn(1000, 0.3) if d.region == r)) for r in ("eu", "us")
    )


def test_it_is_the_tag_by_which_priorities_are_told() -> None:
    assert priority.INTERNET_TAG == INTERNET_TAG
