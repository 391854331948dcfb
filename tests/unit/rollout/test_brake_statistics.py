"""The e-values, the alpha table, windows and arms: rules as tables, and validity by exact expectation."""

from __future__ import annotations

import math

import pytest

from brakeline.rollout import arms, evalue, evidence
from brakeline.rollout.alpha import alpha_sum, alpha_table
from brakeline.rollout.evidence import Counts
from brakeline.rollout.model import Arm, Change, Gate, Pin, Policy, Ring, Subject
from brakeline.rollout.power import power
from brakeline.rollout.presets import policy_for

POLICY = policy_for(1000)
CHANGE = Change((Pin("a", "1"),))


def hypergeometric(n_t: int, n_c: int, m: int, k: int) -> float:
    return math.comb(n_t, k) * math.comb(n_c, m - k) / math.comb(n_t + n_c, m)


@pytest.mark.parametrize(("n_t", "n_c", "m"), [(1, 9, 3), (5, 45, 10), (12, 7, 15), (30, 270, 40)])
def test_comparison_is_a_fair_bet_when_the_change_does_nothing(n_t: int, n_c: int, m: int) -> None:
    expected = sum(
        hypergeometric(n_t, n_c, m, k) * math.exp(evalue.compare([Counts(n_t, n_c, k, m - k)]))
        for k in range(max(0, m - n_c), min(n_t, m) + 1)
    )
    no_bad = hypergeometric(n_t, n_c, m, 0) if m <= n_c else 0.0
    assert expected <= 1 + no_bad + 1e-9  # k = 0 is reported as exactly 1, above its true value, which is below 1
    fair = expected - no_bad
    assert fair <= 1 + 1e-9


@pytest.mark.parametrize(("n_t", "n_c"), [(20, 180), (100, 900)])
def test_excess_within_its_margin_is_a_fair_bet(n_t: int, n_c: int) -> None:
    """Treated bad at the margin, controls never: the least favourable split for the comparison alone."""
    margin = 0.02
    expected = sum(
        math.comb(n_t, k) * margin**k * (1 - margin) ** (n_t - k)
        * math.exp(evalue.excess([Counts(n_t, n_c, k, 0)], margin))
        for k in range(1, n_t + 1)
    )  # fmt: skip
    assert expected <= 1


@pytest.mark.parametrize(("n_t", "n_c", "m"), [(3, 9, 4), (6, 6, 9), (2, 40, 5)])
@pytest.mark.parametrize("margin", [0.002, 0.05])
def test_every_bet_beyond_a_margin_is_fair_when_both_happen(n_t: int, n_c: int, m: int, margin: float) -> None:
    """m bad ones by a fair draw, and each other treated endpoint ill by the margin besides: summed over both."""
    means = [0.0] * len(evalue.odds_beyond(margin))
    for same in range(max(0, m - n_c), min(n_t, m) + 1):
        for extra in range(n_t - same + 1):
            p = hypergeometric(n_t, n_c, m, same) * math.comb(n_t - same, extra)
            p *= margin**extra * (1 - margin) ** (n_t - same - extra)
            bets = evalue.bets_beyond(Counts(n_t, n_c, same + extra, m - same), margin)
            means = [mean + p * math.exp(bet) for mean, bet in zip(means, bets, strict=True)]
    assert max(means) <= 1 + 1e-9


def test_a_group_is_charged_for_its_own_endpoints_alone() -> None:
    few, all_ = (evalue.bets_beyond(Counts(100, 900, 5, 3, m_t), 0.01) for m_t in (10, -1))
    assert all(a > b for a, b in zip(few, all_, strict=True))


def test_a_report_holds_as_many_bets_as_it_ever_did() -> None:
    """Older cells and conductors add figures of theirs to ours, place by place."""
    assert [len(evalue.odds_beyond(m)) for m in (0.002, 0.005, 0.01)] == [42, 36, 36]
    assert evalue.odds_beyond(0.01)[0] == evalue.ODDS_RATIOS[0]
    assert evalue.odds_beyond(0.01)[-1] == pytest.approx(evalue.ODDS_RATIOS[-1])


@pytest.mark.parametrize("baseline", [0.001, 0.01])
def test_one_sample_is_a_fair_bet_at_its_baseline(baseline: float) -> None:
    n = 200
    expected = sum(
        math.exp(
            math.log(math.comb(n, k))
            + k * math.log(baseline)
            + (n - k) * math.log1p(-baseline)
            + evalue.one_sample(n, k, baseline)
        )
        for k in range(n + 1)
    )
    assert expected == pytest.approx(1, abs=1e-6)


def test_exact_expectation_is_never_above_its_binomial_bound() -> None:
    for m in (1, 5, 40):
        for w in evalue.ODDS_RATIOS:
            assert evalue._log_expected(50, 450, m, w) <= m * math.log1p(0.1 * (w - 1)) + 1e-9


def test_everybody_dark_says_nothing() -> None:
    assert evalue.compare([Counts(10, 90, 10, 90)]) == pytest.approx(0, abs=1e-9)


def test_more_harm_is_more_evidence() -> None:
    values = [evalue.compare([Counts(100, 900, x, 3)]) for x in range(1, 40)]
    assert values == sorted(values)


@pytest.mark.parametrize("attributes", [(), ("os:debian-12",), tuple(f"tag:{i}" for i in range(500))])
def test_the_alpha_table_spends_no_more_than_it_may(attributes: tuple[str, ...]) -> None:
    assert alpha_sum(alpha_table(POLICY, attributes)) <= POLICY.guard.alpha * (1 + 1e-12)


@pytest.mark.parametrize(
    ("checkpoints_s", "early", "settled_s"),
    [((600, 1800, 8100), 1, 1800), ((1800, 8100), 0, 1800), ((40, 60, 90), 0, 40), ((600, 3600), 1, 3600)],
)
def test_looks_before_half_an_hour_are_early_but_in_a_rehearsal(
    checkpoints_s: tuple[int, ...], early: int, settled_s: int
) -> None:
    policy = Policy(POLICY.rings, checkpoints_s=checkpoints_s)
    assert (policy.early, policy.settled_s) == (early, settled_s)
    asked = {(r.signal, r.checkpoint) for r in alpha_table(policy, ("os:debian-12",)) if r.checkpoint >= 0}
    assert {j for signal, j in asked if signal == evidence.SILENT} == set(range(len(checkpoints_s)))
    assert {j for signal, j in asked if signal != evidence.SILENT} == set(range(early, len(checkpoints_s)))
    assert alpha_sum(alpha_table(policy, ())) <= policy.guard.alpha * (1 + 1e-12)


def test_who_is_away_at_an_early_look_is_not_unproven_yet() -> None:
    assert policy_for(100_000).return_s("server") == policy_for(1000).return_s("server") == 1800


# --- evidence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_s", "bits"),
    [(1500, 0), (1620, 0), (1621, 1), (1800, 1), (1801, 0), (8100, 2), (93_600, 8)],
)
def test_a_check_in_counts_in_the_window_before_a_checkpoint(at_s: int, bits: int) -> None:
    assert evidence.heard_now(Policy(POLICY.rings), "server", 0, at_s * 1000) == bits


def test_laptops_have_two_hours_of_grace() -> None:
    assert evidence.heard_now(Policy(POLICY.rings), "laptop", 0, 16_000 * 1000) == 4


@pytest.mark.parametrize(
    ("outcome", "code", "services", "healthy", "explicit"),
    [
        ("failed", "maintainer_script_failed", False, False, True),
        ("failed", "verify_failed", False, True, True),
        ("failed", "something_new", False, True, True),
        ("failed", "no_space", False, True, False),
        ("failed", "no_space", False, False, False),
        ("failed", "network", False, True, False),
        ("refused", "changed", False, True, False),
        ("refused", "unhealthy", False, False, False),
        ("expired", "offer_expired", False, True, False),
        ("interrupted", "killed", False, False, False),
        ("installed", "ok", True, True, True),
        ("installed", "ok", False, False, True),
        ("installed", "ok", False, True, False),
    ],
)
def test_which_failures_the_change_must_have_caused(
    outcome: str, code: str, services: bool, healthy: bool, explicit: bool
) -> None:
    assert evidence.came_through_the_change(outcome, code, services, healthy) is explicit


# --- arms ----------------------------------------------------------------------------------------------------------

GATE = Gate("eu", 0, 2, treat_below=100, control_from=800, control_until=900, budget=2, opened_ms=0, closes_ms=1000)


@pytest.mark.parametrize(
    ("u", "treated", "closed", "now_ms", "arm"),
    [
        (99, 0, False, 0, Arm.TREATED),
        (100, 0, False, 0, Arm.DEFERRED),
        (800, 0, False, 0, Arm.CONTROL),
        (900, 0, False, 0, Arm.DEFERRED),
        (99, 2, False, 0, Arm.DEFERRED),
        (800, 2, False, 0, Arm.CONTROL),
        (99, 0, True, 0, Arm.DEFERRED),
        (800, 0, True, 0, Arm.DEFERRED),
        (99, 0, False, 1000, Arm.DEFERRED),
    ],
)
def test_a_closed_tick_defers_both_arms(u: int, treated: int, closed: bool, now_ms: int, arm: Arm) -> None:
    assert arms.assign(GATE, u, treated, closed, now_ms) is arm


def test_no_gate_no_arm() -> None:
    assert arms.assign(None, 1, 0, False, 0) is Arm.DEFERRED


def test_draws_depend_on_the_salt_and_fit_the_database() -> None:
    assert arms.draw(b"1" * 32, "ep_a") != arms.draw(b"2" * 32, "ep_a")
    assert all(0 <= arms.draw(b"1" * 32, f"ep_{i}") < arms.U_END < 2**63 for i in range(1000))


@pytest.mark.parametrize(
    ("size", "uptos"), [(1, [1]), (2, [1, 2]), (3, [1, 3]), (6, [1, 3, 6]), (100, [2, 10, 40, 99, 100])]
)
def test_rings_of_small_fleets(size: int, uptos: list[int]) -> None:
    assert [n for _, n in arms.rings_for(policy_for(size), CHANGE, size)] == uptos


def test_nobody_is_held_out_of_an_exploited_finding() -> None:
    rings = arms.rings_for(policy_for(1000), Change((Pin("a", "1"),), exploited=True), 1000)
    assert [r.name for r, _ in rings][-1] == "all"


def test_places_are_shared_by_size_of_region() -> None:
    assert arms.allot(3, {"eu": 3, "us": 3}) == {"eu": 2, "us": 1}
    assert arms.allot(10, {"a": 90, "b": 10}) == {"a": 9, "b": 1}
    assert sum(arms.allot(7, {"a": 3, "b": 3, "c": 3}).values()) == 7


def test_controls_are_the_last_to_be_treated() -> None:
    us = range(0, 1000, 10)
    draws = arms.SortedDraws(us)
    below, start, until = arms.thresholds(draws, draws, draws, 5, 45, 10)
    assert sum(u < below for u in us) == 5
    assert sum(start <= u < until for u in us) == 45
    assert sum(u >= until for u in us) == 10


# --- cohorts -------------------------------------------------------------------------------------------------------


def gate(ring: int, tick: int, below: int, start: int, until: int) -> Gate:
    return Gate("eu", ring, tick, below, start, until, budget=5, opened_ms=0, closes_ms=1000)


def test_leftovers_belong_to_the_tick_in_which_they_came_into_range() -> None:
    turns = arms.turns_after((), [gate(0, 2, 100, 800, 900)])
    turns = arms.turns_after(turns, [gate(0, 5, 150, 700, 900)])
    cohorts = [arms.cohort(turns, "eu", 0, Arm.TREATED, u) for u in (99, 100, 149)]
    assert cohorts == [2, 5, 5]
    assert [arms.cohort(turns, "eu", 0, Arm.CONTROL, u) for u in (899, 800, 799, 700)] == [2, 2, 5, 5]
    assert arms.cohort(turns, "us", 0, Arm.TREATED, 1) == 0, "another region's ticks say nothing"


def test_a_new_ring_draws_its_controls_anew_and_keeps_who_is_left_to_treat() -> None:
    turns = arms.turns_after((), [gate(0, 2, 100, 800, 900)])
    turns = arms.turns_after(turns, [gate(1, 7, 300, 700, 900)])
    assert arms.cohort(turns, "eu", 1, Arm.CONTROL, 850) == 7
    assert arms.cohort(turns, "eu", 1, Arm.TREATED, 50) == 2, "left over from the first ring: no control is like it"


def test_a_tick_that_brings_nobody_into_range_starts_no_cohort() -> None:
    turns = arms.turns_after((), [gate(0, 2, 100, 800, 900)])
    assert arms.turns_after(turns, [gate(0, 5, 100, 850, 900)]) == turns
    assert arms.turns_after(turns, [gate(0, 5, 100, 900, 900)]) == turns


@pytest.mark.parametrize(
    ("new", "start", "until"),
    [
        (gate(0, 5, 150, 850, 900), 800, 900),  # narrower than before
        (gate(0, 5, 150, 700, 950), 700, 950),  # wider
        (gate(0, 5, 150, 900, 900), 800, 900),  # no new controls
        (gate(0, 5, 860, 870, 880), 860, 900),  # the treated have come that far
        (gate(1, 5, 150, 850, 880), 850, 880),  # another ring
    ],
)
def test_controls_once_in_range_stay_in_range(new: Gate, start: int, until: int) -> None:
    widened = arms.widened(new, arms.turns_after((), [gate(0, 2, 100, 800, 900)]))
    assert (widened.control_from, widened.control_until) == (start, until)
    assert widened.treat_below == new.treat_below


def test_late_askers_are_not_compared_with_early_ones() -> None:
    """Six of a first tick's leftovers are silent; beside them sit controls that came into range later."""
    turns = arms.turns_after((), [gate(0, 2, 100, 800, 900)])
    turns = arms.turns_after(turns, [gate(0, 5, 150, 700, 900)])
    late = [Subject(f"t{u}", Arm.TREATED, 0, 5, "eu", "server", u, 1, 5) for u in range(6)]
    others = [Subject(f"c{u}", Arm.CONTROL, 0, 5, "eu", "server", u, 1, 5, heard=1) for u in range(700, 750)]
    alike = [Subject(f"c{u}", Arm.CONTROL, 0, 5, "eu", "server", u, 1, 5, heard=1) for u in range(800, 820)]
    at_ms = POLICY.checkpoints_s[0] * 1000 + 1
    row = (evidence.SILENT, 0, "all")
    assert evidence.tabulate(POLICY, late + others, turns, frozenset(), 0, at_ms) == {}
    table = evidence.tabulate(POLICY, late + others + alike, turns, frozenset(), 0, at_ms)
    assert table[row] == {0: [Counts(6, 20, 6, 0)]}


# --- power ---------------------------------------------------------------------------------------------------------


def test_six_endpoints_are_told_what_statistics_cannot_see() -> None:
    seen = power(policy_for(6), CHANGE, 6)
    assert all(r.halts_at is None for r in seen.rings)
    assert "no comparison of treated with control can halt" in seen.sentences[0]


def test_larger_rings_see_rarer_harm() -> None:
    shares = [r.halts_at / r.treated for r in power(policy_for(50_000), CHANGE, 50_000).rings[:3] if r.halts_at]
    assert len(shares) == 3
    assert shares == sorted(shares, reverse=True)


def test_a_policy_of_one_ring_has_one_ring() -> None:
    assert [n for _, n in arms.rings_for(Policy((Ring("all", 60, share=1.0),)), CHANGE, 10)] == [10]
