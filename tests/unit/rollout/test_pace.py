"""Which pace is suggested for which risk, what a person may choose instead, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.core.errors import Invalid
from brakeline.rollout import pace_text
from brakeline.rollout.lanes import why_fast
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.pace import BY_RISK, CHOICES, EXPLOITED_A_DAY, Risk, a_day, settle, suggest, weigh
from brakeline.rollout.presets import policy_for

CHANGE = Change((Pin("libssl3", "3.0.17"),))
KEV = Risk(True, 3, ("CVE-2025-0001",), 40)
SIZES = (1, 6, 20, 21, 200, 2_000, 50_000, 99_999, 100_000, 8_500_000)


def suggested(risk: Risk, size: int) -> str:
    return suggest(weigh(risk, replace(CHANGE, exploited=bool(risk.exploited)), size))


@pytest.mark.parametrize("size", SIZES)
def test_without_data_on_risk_it_is_careful_and_says_so(size: int) -> None:
    advice = pace_text.advise(Risk(False, exposed=size, exploited=("CVE-2025-0001",)), CHANGE, size)
    assert advice.suggested == "careful"
    assert advice.sentences[0].startswith("No data on risk")
    assert "because there is no data on risk" in advice.sentences[-1]


@pytest.mark.parametrize("size", SIZES)
def test_how_bad_it_is_never_hurries_anything(size: int) -> None:
    assert suggested(Risk(True, 40, (), size, cvss=10.0), size) == "careful"


def test_what_is_exploited_is_hurried_where_waiting_costs_more() -> None:
    assert suggested(replace(KEV, exposed=6), 6) == "fast"
    assert suggested(replace(KEV, exposed=3_100), 50_000) == "fast"
    assert suggested(replace(KEV, exposed=8_000_000), 8_500_000) == "fast"


def test_one_exposed_endpoint_among_millions_hurries_nobody() -> None:
    assert suggested(replace(KEV, exposed=1), 8_500_000) == "careful"


@pytest.mark.parametrize(("epss", "pace"), [(None, "careful"), (0.05, "careful"), (0.3, "fast"), (0.9, "fast")])
def test_how_likely_it_is_to_be_exploited_opens_the_lanes(epss: float | None, pace: str) -> None:
    assert suggested(Risk(True, 2, (), 8_000_000, epss=epss), 8_500_000) == pace


@pytest.mark.parametrize("size", SIZES)
def test_faster_is_sooner_and_never_watched_for_less_than_six_hours(size: int) -> None:
    careful, fast, emergency = weigh(KEV, CHANGE, size)
    assert careful.hours > fast.hours >= emergency.hours
    assert careful.exposed_days >= fast.exposed_days >= emergency.exposed_days
    for pace in CHOICES:
        assert min(r.bake_s for r in policy_for(size, pace).rings) >= 6 * 3600


@pytest.mark.parametrize("size", SIZES)
def test_whatever_is_faster_takes_two_people(size: int) -> None:
    careful, *faster = weigh(KEV, CHANGE, size)
    assert careful.two_people == ""
    assert all(o.two_people == why_fast(policy_for(size, o.pace), CHANGE, size) != "" for o in faster)


def test_a_fault_that_shows_a_day_later_is_what_hurrying_costs() -> None:
    careful, fast, emergency = weigh(KEV, CHANGE, 50_000)
    late = [next(h for h in o.harms if "later" in h.fault).taken for o in (careful, fast, emergency)]
    assert late == [100, 49_500, 50_000]


def test_what_cannot_be_told_from_chance_is_said() -> None:
    (careful, *_) = weigh(KEV, CHANGE, 200)
    rare = next(h for h in careful.harms if h.fault.startswith("0.1 %"))
    assert not rare.found
    assert "200 (all: not found in time)" in pace_text.rows(pace_text.advise(KEV, CHANGE, 200))[0]


def test_the_trade_off_is_told_in_figures() -> None:
    said = " ".join(pace_text.advise(replace(KEV, exposed=3_100), replace(CHANGE, exploited=True), 50_000).sentences)
    assert "3,100 endpoints; known to be exploited: CVE-2025-0001. No EPSS is loaded, no CVSS is loaded." in said
    assert "careful ends after 5.7 d at the earliest" in said
    assert "50,000 endpoints instead of 100 (all, a day later)" in said
    assert "Suggested: fast, because it is exploited now" in said


def test_a_person_may_choose_otherwise_with_a_reason() -> None:
    advice = pace_text.advise(KEV, replace(CHANGE, exploited=True), 50_000)
    assert settle(advice, BY_RISK, "", "alice").pace == advice.suggested
    assert settle(advice, advice.suggested, "", "alice").pace == advice.suggested
    other = next(p for p in CHOICES if p != advice.suggested)
    with pytest.raises(Invalid, match="Say why"):
        settle(advice, other, "  ", "alice")
    chosen = settle(advice, other, "the vendor asks for it", "alice")
    text = pace_text.chosen_line(chosen).text
    assert text.startswith(f"pace {other}, chosen by alice; {advice.suggested} was suggested")
    assert text.endswith("alice: the vendor asks for it")


def test_a_rehearsal_is_no_pace_that_needs_a_reason_and_others_are_refused() -> None:
    advice = pace_text.advise(KEV, CHANGE, 6)
    assert settle(advice, "rehearsal", "", "alice").pace == "rehearsal"
    with pytest.raises(Invalid, match="there are risk, careful, fast, emergency, rehearsal"):
        settle(advice, "warp", "", "alice")


def test_nobody_to_change_has_no_table() -> None:
    advice = pace_text.advise(KEV, CHANGE, 0)
    assert (advice.suggested, advice.options) == ("careful", ())


def test_a_day_of_waiting_is_told_with_its_sum() -> None:
    """40 endpoints with what is exploited and 600 where EPSS says 0.1 count as 100."""
    risk = Risk(True, 9, ("CVE-2025-0001",), 40, 0.1, 9.8, 100.0, "of 2026-11-20, 6 days old")
    assert a_day(risk) == pytest.approx(100 * EXPLOITED_A_DAY)
    advice = pace_text.advise(risk, replace(CHANGE, exploited=True), 50_000)
    said = " ".join(advice.sentences)
    assert "EPSS up to 0.10 (of 2026-11-20, 6 days old), CVSS up to 9.8." in said
    assert "A day of waiting is expected to cost 0.3 endpoints: 100.0 endpoints (each counts as 1 where it is" in said
    careful, fast, emergency = advice.options
    assert careful.waiting > fast.waiting > emergency.waiting
    assert careful.hurrying < min(fast.hurrying, emergency.hurrying)
    assert all(o.cost == pytest.approx(o.waiting + o.hurrying) for o in advice.options)
    assert f"by a bad change: careful {pace_text.lost(careful.waiting)} and " in said


def test_where_nothing_says_it_is_likely_no_cost_of_waiting_is_claimed() -> None:
    said = " ".join(pace_text.advise(Risk(True, 9, (), 40, cvss=9.8, at_risk=0.0), CHANGE, 200).sentences)
    assert "A day of waiting: nothing says that any of it is exploited or likely to be, so no cost is known." in said


def test_epss_that_is_too_old_is_said_and_hurries_nobody() -> None:
    risk = Risk(True, 9, (), 8_000_000, None, None, 0.0, "EPSS is too old to be used (of 2026-01-01, 329 days old)")
    advice = pace_text.advise(risk, CHANGE, 8_500_000)
    assert advice.suggested == "careful"
    assert "EPSS is too old to be used (of 2026-01-01, 329 days old), no CVSS is loaded." in advice.sentences[0]


@pytest.mark.parametrize(
    ("endpoints", "text"), [(0.0, "0"), (0.0123, "0.01"), (0.34, "0.3"), (12.4, "12"), (4321.0, "4,321")]
)
def test_expectations_are_not_told_more_exactly_than_they_are(endpoints: float, text: str) -> None:
    assert pace_text.lost(endpoints) == text
