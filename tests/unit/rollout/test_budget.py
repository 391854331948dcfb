"""Budgets: what people type, what is left, who is in no arm, and which gates the limits cover."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.core.draw import U_END
from brakeline.core.errors import Invalid
from brakeline.rollout import budget
from brakeline.rollout.budget import (
    FLEET,
    Allowance,
    Group,
    Limit,
    Per,
    Refusal,
    Usage,
    checked,
    parse_group,
    refusal,
    widens,
)
from brakeline.rollout.model import Blueprint, Gate, Goal, Line, Phase, State, Turn

NOW = 1_795_400_000_000
SLOT = NOW // budget.SLOT_MS
DB = Group("tag", "db")


def fleet(cap: int, used: int, *spends: tuple[int, int]) -> Usage:
    return Usage(FLEET, Per.HOUR, cap, used, 1000, spends)


# --- what people type -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "tag:db", "region:eu-north", "class:server", "os:debian-12", "tag:site-*", "region:*"]
)
def test_groups_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_group(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tags:db", "did you mean tag:db"),
        ("web", "write region:…"),
        ("tag:", "only the end may be"),
        ("tag:a*b", "only the end may be"),
        ("tag:a,b", "only the end may be"),
        ("tag:" + "x" * 65, "only the end may be"),
        ("seen:<1h", "is no group of endpoints"),
    ],
)
def test_what_is_no_group(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        parse_group(text)


@pytest.mark.parametrize(
    ("endpoints", "percent"),
    [(None, None), (0, None), (-5, None), (10**9, None), (None, 0.0), (None, -1.0), (None, 100.1), (None, 0.05),
     (None, float("inf")), (None, float("nan")), (5, 0.0)],
)  # fmt: skip
def test_what_is_no_limit(endpoints: int | None, percent: float | None) -> None:
    with pytest.raises(Invalid):
        checked(endpoints, percent)


def test_limits_in_words_and_for_a_size() -> None:
    assert [str(checked(50, None)), str(checked(None, 12.5)), str(checked(50, 10))] == [
        "50",
        "12.5 %",
        "10 %, at least 50",
    ]
    assert [budget.DEFAULT.cap(n) for n in (0, 6, 500, 1000, 8_500_000)] == [50, 50, 50, 100, 850_000]
    assert [Limit(None, 100).cap(n) for n in (0, 6, 10, 25)] == [
        1,
        1,
        1,
        2,
    ]  # never nothing: else it would wait for ever


def test_raising_is_told_from_lowering_at_every_size() -> None:
    assert widens(Limit(50), Limit(51))
    assert widens(Limit(50), Limit(None, 10))  # 1 % may be more than 50 one day
    assert widens(Limit(50, 100), Limit(10, 200))
    assert widens(Limit(5), None)
    assert not widens(None, Limit(5))
    assert not widens(Limit(50, 100), Limit(50))
    assert not widens(Limit(50), Limit(49))


# --- in words ---------------------------------------------------------------------------------------------------------


def test_what_is_spent_and_when_there_is_room_again() -> None:
    usage = fleet(50, 50, (SLOT - 12, 1), (SLOT - 3, 49))
    minutes = -(-((SLOT + 1) * budget.SLOT_MS - NOW) // 60_000)
    assert budget.in_words(usage, NOW) == f"budget: 50 of 50 endpoints per hour are spent; next in {minutes} min"
    lowered = replace(usage, cap=20)
    assert lowered.next_ms == (SLOT + 10) * budget.SLOT_MS  # the first one going free is not enough
    assert budget.in_words(fleet(50, 49, (SLOT, 49)), NOW) == "budget: 49 of 50 endpoints per hour are spent"
    assert budget.in_words(fleet(1, 1, (SLOT, 1)), NOW).startswith(
        "budget: 1 of 1 endpoint per hour is spent; next in "
    )
    assert budget.in_words(Usage(DB, Per.AT_ONCE, 2, 2), NOW) == (
        "budget: 2 of 2 endpoints of tag:db at once are in change; next when one of them is done"
    )


# --- at ready ---------------------------------------------------------------------------------------------------------


def test_a_tick_goes_on_only_while_all_that_is_left_of_it_is_covered() -> None:
    assert refusal([fleet(50, 45)], 5, NOW) is None
    refused = refusal([fleet(50, 46)], 5, NOW)
    assert refused is not None
    assert refused.closes


def test_whether_a_tick_is_covered_does_not_depend_on_who_was_drawn() -> None:
    """An offer of the tick's own lowers what is left of both alike, so the same askers end it whatever their draws."""
    for used in range(45, 52):
        for treated in range(5):
            before = refusal([fleet(50, used)], 5 - treated, NOW) is None
            after = refusal([fleet(50, used + 1)], 5 - treated - 1, NOW) is None
            assert before == after


def test_a_group_without_room_defers_its_own_members_and_ends_no_tick() -> None:
    refused = refusal([fleet(50, 0), Usage(DB, Per.AT_ONCE, 2, 2)], 5, NOW)
    assert refused is not None
    assert not refused.closes
    assert "tag:db" in refused.reason
    assert refusal([fleet(50, 0), Usage(DB, Per.AT_ONCE, 2, 1)], 5, NOW) is None


# --- gates ------------------------------------------------------------------------------------------------------------

DRAWS = tuple(range(100, 200, 10))  # untreated, in each region


def nth(_region: str, n: int) -> int:
    return DRAWS[n] if n < len(DRAWS) else U_END


def gate(region: str, places: int, tick: int = 6) -> Gate:
    return Gate(region, 0, tick, nth(region, places), 180, 200, places, NOW, NOW + 900_000)


def rolling(*gates: Gate, generation: int = 5, **more: object) -> Blueprint:
    goals = (Goal("eu", 10), Goal("us", 10))
    turns = tuple(Turn(g.region, g.ring, g.tick, g.treat_below, g.control_from, g.control_until) for g in gates)
    made = Blueprint("ro_1", generation, generation - 1, Phase.ROLLING, 0, NOW, gates, goals, (NOW,), "why", 0.0, turns)
    return replace(made, **more)  # type: ignore[arg-type]  # names are fields of Blueprint


def fitted(current: Blueprint, proposed: Blueprint, allowed: Allowance, *before: Line,
           treated: int = 0) -> tuple[Blueprint, tuple[Line, ...]]:  # fmt: skip
    treated_in = {(g.region, g.tick): treated for g in current.gates}
    return budget.fit(current, proposed, allowed, treated_in, nth, NOW, before)


def test_with_room_the_proposal_stays_as_it_is_and_the_report_says_what_is_spent() -> None:
    current, proposed = rolling(), rolling(gate("eu", 5), gate("us", 5), generation=6)
    got, (line,) = fitted(current, proposed, Allowance(fleet(50, 40)))
    assert got is proposed
    assert (line.gate, line.state, line.text) == ("budget", State.OK, "budget: 40 of 50 endpoints per hour are spent")


def test_gates_are_cut_to_what_is_left_and_reach_no_more_draws_than_places() -> None:
    current, proposed = rolling(), rolling(gate("eu", 6), gate("us", 3), generation=6)
    got, (line,) = fitted(current, proposed, Allowance(fleet(50, 47)))
    assert [(g.region, g.budget, g.treat_below) for g in got.gates] == [("eu", 2, 120), ("us", 1, 110)]
    assert [g.control_from for g in got.gates] == [180, 180]
    assert max(t.treat_below for t in got.turns) == 120
    assert line.state is State.WAIT
    assert line.data["wanted"] == {"eu": 160, "us": 130}
    assert line.data["below"] == {"eu": 120, "us": 110}


def test_without_room_no_gate_opens_and_nothing_moves_for_it() -> None:
    current, proposed = rolling(), rolling(gate("eu", 6), generation=6)
    got, (line,) = fitted(current, proposed, Allowance(fleet(50, 50, (SLOT, 50))))
    assert got is current
    assert line.state is State.WAIT
    assert line.text.startswith("budget: 50 of 50 endpoints per hour are spent; next in ")
    assert line.data["below"] == {"eu": 0}
    assert budget.waiting([line], "eu", 159) == Refusal("budget", line.text)
    assert budget.waiting([line], "eu", 160) is None  # a later ring's: it waits for its turn, not for the budget
    assert budget.waiting([line], "us", 0) is None


def test_a_ring_may_open_before_there_is_room_for_its_first_offer() -> None:
    current = rolling(phase=Phase.ROLLING, ring=-1, ring_opened_ms=())
    got, _ = fitted(current, rolling(gate("eu", 1), generation=6), Allowance(fleet(50, 50)))
    assert (got.ring, got.gates, got.generation, got.why) == (0, (), 6, "why")


def test_a_running_tick_is_kept_and_its_places_are_counted_first() -> None:
    running = rolling(gate("eu", 4))
    proposed = rolling(gate("eu", 4), gate("us", 6), generation=6)
    got, (line,) = fitted(running, proposed, Allowance(fleet(50, 42)), treated=1)
    assert [(g.region, g.budget) for g in got.gates] == [("eu", 4), ("us", 5)]  # 8 left, 3 of them promised to eu
    again, (same,) = fitted(got, got, Allowance(fleet(50, 42)), line)
    assert again is got
    assert (same.state, same.data["wanted"]) == (State.WAIT, {"us": 160})  # the tick is smaller than it would be still


def test_what_other_rollouts_were_promised_is_not_promised_again() -> None:
    got, (line,) = fitted(rolling(), rolling(gate("eu", 6), generation=6), Allowance(fleet(50, 40), reserved=8))
    assert [g.budget for g in got.gates] == [2]
    assert line.text == "budget: 40 of 50 endpoints per hour are spent; 8 more are promised to other rollouts"


def test_rollouts_that_go_on_together_share_what_is_left() -> None:
    got, _ = fitted(rolling(), rolling(gate("eu", 9), generation=6), Allowance(fleet(50, 40), sharers=3))
    assert [g.budget for g in got.gates] == [3]
    last, _ = fitted(rolling(), rolling(gate("eu", 9), generation=6), Allowance(fleet(50, 49), sharers=3))
    assert [g.budget for g in last.gates] == [1]


def test_a_freeze_window_closes_every_gate_and_leases_to_nobody_new() -> None:
    running = rolling(gate("eu", 4))
    got, (line,) = fitted(running, running, Allowance(fleet(50, 0), frozen="freeze window 'x' until later"))
    assert (got.gates, got.generation, got.parent, got.why) == ((), 6, 5, "freeze window 'x' until later")
    assert (line.gate, line.state, line.text) == ("freeze window", State.WAIT, "freeze window 'x' until later")
    assert budget.bounds([line]) == {"eu": 0, "us": 0}
    again, _ = fitted(got, replace(running, generation=7, parent=6), Allowance(fleet(50, 0), frozen="x"))
    assert again is got


@pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.ROLLING])
def test_limits_hold_up_no_halt_and_nothing_else_but_new_offers(phase: Phase) -> None:
    stopped = rolling(phase=phase, generation=6)
    assert fitted(rolling(gate("eu", 4)), stopped, Allowance(fleet(50, 50), frozen="x")) == (stopped, ())


def test_endpoints_with_a_budget_of_their_own_get_releases_by_name() -> None:
    proposed = rolling(gate("eu", 5), generation=6)
    got, lines = fitted(rolling(), proposed, Allowance(fleet(50, 0), by_name={"eu": 130}))
    assert got is proposed
    assert budget.bounds(lines) == {"eu": 130}


def test_a_range_reaches_nobody_who_was_not_treated_whether_here_or_away() -> None:
    """Whoever looks first would take the release beside those who get the places, and nobody would watch it."""
    running = rolling(gate("eu", 4))  # below 140, for those who are here
    (line,) = fitted(running, running, Allowance(fleet(50, 0), by_name={"us": 7}))[1]
    draws = {"eu": (95, 99, *DRAWS), "us": (9, 11)}
    (led,) = budget.leased_within((line,), running, {("eu", 6): 1}, draws)
    assert led.data["below"] == {"eu": 95, "us": 7}
    assert (led.text, led.state) == (line.text, line.state)


def test_a_range_reaches_everybody_who_is_left_where_all_of_them_have_a_place() -> None:
    """What is broken and cannot ask is healed by it, and counted: there is a place for it."""
    running = rolling(gate("eu", 4))
    (line,) = fitted(running, running, Allowance(fleet(50, 0)))[1]
    assert budget.leased_within((line,), running, {("eu", 6): 1}, {"eu": DRAWS[1:4], "us": ()}) == (line,)


def test_reasons_to_wait_come_first_in_the_report() -> None:
    other = Line("state", State.OK, "rolling")
    wait, ok = Line("budget", State.WAIT, "spent"), Line("budget", State.OK, "free")
    assert budget.waits_first([other], [wait]) == (wait, other)
    assert budget.waits_first([other], [ok]) == (other, ok)
