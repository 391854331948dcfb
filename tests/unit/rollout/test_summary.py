"""What planner and brake make of numbers: group rows are fair bets, weekends hold nothing, who is away no place."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from brakeline.fleet.model import Presence
from brakeline.rollout import brake, evalue, evidence, planner, situation
from brakeline.rollout.arms import SortedDraws
from brakeline.rollout.model import (
    Arm,
    Blueprint,
    Change,
    Goal,
    Hold,
    Observed,
    Phase,
    Pin,
    Policy,
    Progress,
    Ring,
    State,
    Subject,
)
from brakeline.rollout.store.arms import Target
from brakeline.rollout.summary import ControlArm, Part, Summary, summarise

NOW_MS = 1_000_000_000
CHANGE = Change((Pin("x", "1"),))
POLICY = Policy((Ring("first", 3600, count=100), Ring("all", 3600, share=1.0)))
SMALL = Policy((Ring("first", 3600, count=4), Ring("all", 3600, share=1.0)))


class Left:
    """So many endpoints that may still be treated, all here."""

    def __init__(self, count: int) -> None:
        self.draws = SortedDraws(range(1000, 1000 + count))

    def regions(self) -> tuple[str, ...]:
        return ("eu",)

    def eligible(self, region: str) -> int:
        return len(self.draws)

    def untreated(self, region: str) -> SortedDraws:
        return self.draws

    fresh = untreated

    def spare(self, region: str, ring: int) -> SortedDraws:
        return self.draws


def seen(*parts: Part, controls: tuple[ControlArm, ...] = (), left: int = 900) -> Summary:
    return Summary(CHANGE, Left(left), parts, controls, data_ms=NOW_MS)


def part(treated: int, known: int, proven: int, kind: str = "laptop", ring: int = 0, **more: int) -> Part:
    return Part(ring, "eu", kind, treated, 0, known, proven, treated, known, proven, **more)


@pytest.mark.parametrize("margin", [0.0, 0.002])
def test_a_bet_on_a_group_is_fair_among_all_who_were_randomised_together(margin: float) -> None:
    """Whoever of a block is treated, the same three endpoints with the attribute are silent: that is no effect."""
    sick, size, treated = {0, 1, 2}, 9, 3
    total = [0.0] * (len(evalue.ODDS_RATIOS) if not margin else 42)
    draws = list(itertools.combinations(range(size), treated))
    for chosen in draws:
        members = [_member(i, i in chosen, i in sick) for i in range(size)]
        counts = evidence.tabulate(POLICY, members, (), frozenset(), 0, NOW_MS)
        ((ring, (block,)),) = counts[(evidence.SILENT, 0, "os:rare")].items()
        assert (ring, block.n_t, block.n_c, block.m_t) == (0, 3, 6, sum(i in chosen for i in sick))
        bets = evalue.bets_beyond(block, margin) if margin else evalue.bets(block)
        total = [t + math.exp(b) for t, b in zip(total, bets, strict=True)]
    means = [t / len(draws) for t in total]
    assert max(means) <= 1 + 1e-9
    if not margin:
        assert means == pytest.approx([1.0] * len(means))


def _member(i: int, treated: bool, sick: bool) -> Subject:
    return Subject(f"ep_{i}", Arm.TREATED if treated else Arm.CONTROL, 0, 1, "eu", "server", i, 1, 1,
                   ("os:rare",) if sick else (), heard=0 if sick else 15, last_heard_ms=NOW_MS)  # fmt: skip


def test_the_weights_of_rings_sum_to_one_at_most_and_the_first_counts_most() -> None:
    assert brake.over_rings({}) == pytest.approx(0)
    assert brake.over_rings(dict.fromkeys(range(40), (0.0,))) == pytest.approx(0)
    assert brake.over_rings({0: (math.log(1000),)}) == pytest.approx(math.log(0.5 * 1000 + 0.5))
    assert brake.over_rings({3: (math.log(1000),)}) == pytest.approx(math.log(1000 / 16 + 15 / 16))


def test_a_weekend_holds_up_no_large_ring_and_an_absence_holds_a_small_one() -> None:
    away = part(100, known=100, proven=40)
    assert not isinstance(brake.judge(POLICY, seen(away), NOW_MS).verdict, Hold)
    few = part(4, known=4, proven=2)
    assert isinstance(brake.judge(SMALL, seen(few), NOW_MS).verdict, Hold)


def test_in_a_large_ring_one_closed_lid_holds_nothing_and_two_of_two_do() -> None:
    lid = (part(3, 2, 2), part(2, 2, 2, "server"))
    assert not isinstance(brake.judge(POLICY, seen(*lid), NOW_MS).verdict, Hold)
    dead = (part(1, 0, 0), part(1, 0, 0, "server"))
    verdict = brake.judge(POLICY, seen(*dead), NOW_MS).verdict
    assert isinstance(verdict, Hold)
    assert verdict.unproven
    assert "all classes: 0 of 2" in verdict.reason


def test_sleeping_laptops_are_no_dark_region_and_a_dark_region_is() -> None:
    night = (ControlArm("eu", "laptop", 10, 1), ControlArm("eu", "server", 10, 10))
    assert brake.judge(POLICY, seen(controls=night), NOW_MS).dark == frozenset()
    gone = (ControlArm("eu", "laptop", 10, 1), ControlArm("eu", "server", 10, 2))
    assert brake.judge(POLICY, seen(controls=gone), NOW_MS).dark == {"eu"}


def rolling(ring: int = 0) -> Blueprint:
    return Blueprint("ro_1", 2, 1, Phase.ROLLING, ring, 0, goals=(Goal("eu", 100),), ring_opened_ms=(0,) * (ring + 1))


def gates(policy: Policy, summary: Summary) -> dict[str, State]:
    lines = planner.passed(policy, rolling(), summary, policy.rings[0], NOW_MS)
    return {line.gate: line.state for line in lines}


def test_somebody_cut_off_before_it_told_stops_a_small_ring_and_no_large_one() -> None:
    assert gates(POLICY, seen(part(100, 99, 99, open=1)))["results"] is State.OK
    assert gates(POLICY, seen(part(100, 70, 70, open=30)))["results"] is State.WAIT
    assert gates(SMALL, seen(part(4, 3, 3, open=1)))["results"] is State.WAIT


@pytest.mark.parametrize(("baked", "state"), [(89, State.WAIT), (90, State.OK)])
def test_a_ring_has_baked_when_nine_of_ten_have(baked: int, state: State) -> None:
    late = part(100, 100, 100, youngest_ms=NOW_MS - 1000, baked=baked)
    assert gates(POLICY, seen(late))["bake"] is state


def test_what_a_ring_adds_is_spread_over_its_time() -> None:
    policy = replace(POLICY, spread_s=4 * POLICY.tick_s, offers_per_tick=10_000)
    first = planner.first_blueprint("ro_1", 0)
    opened, _ = planner.decide(policy, first, seen(left=1000), NOW_MS)
    assert [g.budget for g in opened.gates] == [7]  # a sixteenth of a hundred: nobody has been looked at
    at_once, _ = planner.decide(replace(policy, spread_s=0), first, seen(left=1000), NOW_MS)
    assert [g.budget for g in at_once.gates] == [100]


@pytest.mark.parametrize(("goal", "before", "ticks"), [(100, 0.0, 4), (12, 0.0, 20), (106_250, 0.1, 20), (9, 0.9, 6)])
def test_a_ring_grows_by_the_square_of_its_time(goal: int, before: float, ticks: int) -> None:
    """Few while nobody was looked at, all by the end of its time, somebody in each tick."""
    policy, left, budgets = replace(POLICY, spread_s=ticks * POLICY.tick_s), round(goal * (1 - before)), []
    added = left
    while left > 0:
        budgets.append(min(left, planner._places_of_tick(policy, goal, left, before)))
        left -= budgets[-1]
        assert sum(budgets) >= added * (len(budgets) / ticks) ** 2 - 1
    assert min(budgets) >= 1
    assert len(budgets) <= ticks
    assert budgets[0] <= 1 + added / ticks**2
    assert budgets[:-1] == sorted(budgets[:-1])


def test_places_are_for_who_is_here_and_who_is_away_still_counts() -> None:
    targets = [Target(f"ep_{i}", f"host-{i}", "eu", "server", (), i) for i in range(4)]
    presence = {
        "ep_0": Presence(NOW_MS),
        "ep_1": Presence(NOW_MS - 3_600_000),  # an hour ago
        "ep_2": Presence(NOW_MS, asleep=True),
    }  # ep_3 was never heard
    here, fresh, eligible, blocked = situation.eligible(POLICY, targets, (), presence, NOW_MS)
    assert (here, fresh, eligible) == ({"eu": (0,)}, {"eu": (0,)}, {"eu": 3})
    assert [b.endpoint_id for b in blocked] == ["ep_3"]


def test_a_cell_counts_what_was_set_aside_apart() -> None:
    well = Subject("ep_1", Arm.TREATED, 0, 1, "eu", "server", 1, 1, 1, progress=Progress.INSTALLED, proven_ms=2,
                   last_heard_ms=NOW_MS)  # fmt: skip
    aside = replace(well, endpoint_id="ep_2", proven_ms=0, explicit=True, set_aside_ms=5, progress=Progress.FAILED)
    observed = Observed(CHANGE, 2, (well, aside), {"eu": ()}, {"eu": ()}, data_ms=NOW_MS)
    (counted,) = summarise(POLICY, rolling(), observed, NOW_MS).parts
    assert (counted.treated, counted.counted, counted.known, counted.proven) == (2, 1, 1, 1)
    assert (counted.failed, counted.failed_news, counted.seen) == (1, 0, 1)
